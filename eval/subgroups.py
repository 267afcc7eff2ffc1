"""Whether it works alike for everybody: AUROC by sex, age and scanner, and the largest gap between two groups of one kind."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from eval.described import MEASURED, NAMED, UNKNOWN, how_to_give, named, with_others
from eval.evidence import Evidence
from eval.metrics import auroc, class_scores, scored_classes, weighted_auroc
from eval.page import Section
from eval.performance import AUROC, class_metric
from eval.results import Results
from eval.uncertainty import Bootstrap, against_rest, bootstrap, percentile_interval

ALL = "all"
FEWEST = 10  # patients with a class and without it, for its AUROC to be measured
AGES = {"under 40": 0, "40 to 59": 40, "60 to 79": 60, "80 and over": 80}  # where each band begins
KINDS = {
    "sex": NAMED["sex"],
    "age": "Age",
    "manufacturer": NAMED["manufacturer"],
    "model": NAMED["model"],
    "spacing": NAMED["spacing"],
    "study_year": MEASURED["study_year"],
}
MANY = (
    "spacing",
    "study_year",
)  # with more than VALUES values these are numbers rather than groups
VALUES = 6  # of a kind, the most frequent; the others are put together


@dataclass(frozen=True)
class Group:
    """The query images with one value of a kind. AUROC of each class against the rest (two classes: of the second), missing where too few."""

    kind: str
    name: str
    patients: int
    records: int
    positives: np.ndarray  # (class,) patients with the class
    negatives: np.ndarray  # (class,) patients without it
    value: np.ndarray  # (class,) mean over draws and seeds
    by_draw: np.ndarray  # (draw, class) mean over seeds
    resampled: np.ndarray  # (resample, class)
    bootstrap: Bootstrap
    classes: int


@dataclass(frozen=True)
class Gap:
    """The largest difference in AUROC between two groups of one kind, over the classes that both have enough patients of.

    low, high: some pair differs by `low` at least, and none by more than `high`: the highest of all pairs' bounds, since a small group may hide a
    larger gap than the largest that was seen. Bootstrap over patients, each group by itself.
    """

    kind: str
    better: str
    worse: str
    value: float
    low: float
    high: float
    pairs: int


def subgroups_section(evidence: Evidence) -> Section:
    groups = measure(evidence)
    gaps = {
        of: gap
        for of in (ALL, *KINDS)
        if (gap := largest([group for group in groups if of in (ALL, group.kind)]))
    }
    everybody, by_class = _everybody(evidence)
    table = pd.DataFrame(
        [everybody, *(_row(group, by_class, evidence.params.adapt.confidence) for group in groups)]
    )
    described = _described(evidence)
    single = [
        f"{KINDS[kind].lower()}: {values.iloc[0]}"
        for kind in KINDS
        if (values := _values(described, kind)[0]).nunique() == 1 and values.iloc[0] != UNKNOWN
    ]
    shown = {
        "rows": {kind: rows.to_dict("records") for kind, rows in table.groupby("kind", sort=False)},
        "gaps": gaps,
        "kinds": KINDS,
        "all": ALL,
        "single": single,
        "many": [KINDS[kind].lower() for kind in MANY if described[kind].nunique() > VALUES],
        "fewest": FEWEST,
        "classes": evidence.classes,
        "method": evidence.method,
        "k": evidence.shots,
        "confidence": evidence.params.adapt.confidence,
        "unknown": how_to_give(evidence.cohort, evidence.site),
    }
    tables = {
        "subgroups.csv": table,
        "subgroup_single.csv": pd.DataFrame({"the_same_for_all": single}),
    }
    if groups:
        tables |= {"subgroup_classes.csv": _by_class(groups, evidence.classes)}
    if gaps:
        tables |= {
            "subgroup_gaps.csv": pd.DataFrame([{"of": of, **vars(gap)} for of, gap in gaps.items()])
        }
    return Section("subgroups.html.j2", "Subgroups", shown, tables)


def largest_gap(results: Results) -> Gap | None:
    """The largest gap of all kinds, which params.yaml accept.subgroup_gap limits; None where no two groups have enough patients."""
    return largest(measure(results))


def largest(groups: list[Group]) -> Gap | None:
    """The largest gap between two groups of one kind; what is unknown is no group of patients, and stays out."""
    gaps = [
        gap
        for one, other in combinations([group for group in groups if group.name != UNKNOWN], 2)
        if one.kind == other.kind and (gap := _gap(one, other))
    ]
    if not gaps:
        return None
    most = max(gaps, key=lambda gap: gap.value)
    return Gap(
        most.kind,
        most.better,
        most.worse,
        most.value,
        max(gap.low for gap in gaps),
        max(gap.high for gap in gaps),
        len(gaps),
    )


def _gap(one: Group, other: Group) -> Gap | None:
    shared = np.isfinite(one.value) & np.isfinite(other.value)
    if not shared.any():
        return None
    value = float((one.value - other.value)[shared].mean())
    better, worse = (one, other) if value >= 0 else (other, one)
    resampled = (better.resampled - worse.resampled)[:, shared].mean(axis=1)
    fewer = min(one, other, key=lambda group: group.patients)
    low, high = fewer.bootstrap.interval(abs(value), resampled, -1, 1, _rests_on(fewer, shared))
    return Gap(one.kind, better.name, worse.name, abs(value), low, high, 1)


def _rests_on(group: Group, measured: np.ndarray) -> np.ndarray:
    """The images of each measured class and those of the others: a rare class that is not measured says nothing."""
    return against_rest(group.bootstrap.labels, np.asarray(scored_classes(group.classes))[measured])


def measure(results: Results) -> list[Group]:
    """Every kind that tells groups apart, and every group of it."""
    query, settings = results.query, results.params.adapt
    scores = class_scores(results.verdict_answers.probabilities)  # (seed, draw, record, class)
    described, groups = _described(results), []
    for kind in KINDS:
        values, names = _values(described, kind)
        for name in names if len(names) > 1 else []:
            rows = np.flatnonzero(values == name)
            resamples = bootstrap(
                query.patients[rows],
                query.labels[rows],
                settings.bootstrap,
                settings.confidence,
                results.params.seed + 1 + len(groups),
            )  # a seed each, so that groups are redrawn independently
            groups.append(
                _group(
                    kind,
                    name,
                    scores[:, :, rows],
                    query.labels[rows],
                    query.patients[rows],
                    len(results.classes),
                    resamples,
                )
            )
    return groups


def _group(
    kind: str,
    name: str,
    scores: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    classes: int,
    resamples: Bootstrap,
) -> Group:
    positives, negatives, by_draw, resampled = [], [], [], []
    for score, label in enumerate(scored_classes(classes)):
        positive = labels == label
        positives.append(len(np.unique(patients[positive])))
        negatives.append(len(np.unique(patients[~positive])))
        if min(positives[-1], negatives[-1]) < FEWEST:
            by_draw.append(np.full(scores.shape[1], np.nan))
            resampled.append(np.full(len(resamples.weights), np.nan))
            continue
        column = np.ascontiguousarray(scores[..., score])
        by_draw.append(auroc(column, positive).mean(axis=0))
        resampled.append(
            weighted_auroc(column.reshape(-1, len(labels)), positive, resamples.weights)
        )
    draws = np.stack(by_draw, axis=1)
    return Group(
        kind,
        name,
        len(np.unique(patients)),
        len(labels),
        np.array(positives),
        np.array(negatives),
        draws.mean(axis=0),
        draws,
        np.stack(resampled, axis=1),
        resamples,
        classes,
    )


def _described(results: Results) -> pd.DataFrame:
    """What is known of the query images, in their order."""
    return results.cohort.set_index("record").loc[results.query.records]


def _values(described: pd.DataFrame, kind: str) -> tuple[pd.Series, list[str]]:
    """Each query image's group of a kind, and the groups in order; none where there are too many to be groups."""
    if kind == "age":
        bands = pd.cut(
            described["age"].astype("Float64").to_numpy(float, na_value=np.nan),
            [*AGES.values(), np.inf],
            right=False,
            labels=list(AGES),
        )
        values = named(described.assign(age=bands), "age")
        return values, [name for name in (*AGES, UNKNOWN) if (values == name).any()]
    values = named(described, kind).astype(str)
    if kind in MANY:
        names = sorted(values.unique(), key=lambda name: (name == UNKNOWN, name))
        return values, names if described[kind].nunique() <= VALUES else []
    return with_others(values, VALUES)


def _everybody(evidence: Evidence) -> tuple[dict[str, Any], pd.Series]:
    """The row of the whole query set, as the verdict has it, and the AUROC of each class that is scored."""
    query, scored = evidence.query, scored_classes(len(evidence.classes))
    table = (
        evidence.performance.set_index(["method", "k", "metric"])
        .sort_index()
        .loc[(evidence.method, evidence.shots)]
    )
    found = table.loc[AUROC]
    names = [evidence.classes[label] for label in scored]
    by_class = pd.Series(
        {
            name: table.loc[class_metric(name) if len(scored) > 1 else AUROC, "value"]
            for name in names
        }
    )
    return {
        "kind": ALL,
        "group": "All",
        "patients": int(found["patients"]),
        "records": int(found["records"]),
        "fewest_positive": min(query.patients_of(label) for label in scored),
        "fewest_negative": min(len(set(query.patients[query.labels != label])) for label in scored),
        "draws": int(found["draws"]),
        "classes": ", ".join(names),
        "measured": len(scored),
        "auroc": found["value"],
        **found[["patient_low", "patient_high", "draws_low", "draws_high"]],
        "all_auroc": found["value"],
    }, by_class


def _row(group: Group, everybody: pd.Series, confidence: float) -> dict[str, Any]:
    """A group's mean over the classes it has enough patients of, with both uncertainties, and the mean of `everybody` over these classes."""
    enough = np.isfinite(group.value)
    row = {
        "kind": group.kind,
        "group": group.name,
        "patients": group.patients,
        "records": group.records,
        "fewest_positive": int(group.positives.min()),
        "fewest_negative": int(group.negatives.min()),
        "draws": len(group.by_draw),
        "classes": ", ".join(everybody.index[enough]),
        "measured": int(enough.sum()),
    }
    if not enough.any():
        return {
            **row,
            **dict.fromkeys(
                ("auroc", "patient_low", "patient_high", "draws_low", "draws_high", "all_auroc"),
                np.nan,
            ),
        }
    value, by_draw = float(group.value[enough].mean()), group.by_draw[:, enough].mean(axis=1)
    low, high = group.bootstrap.interval(
        value, group.resampled[:, enough].mean(axis=1), of=_rests_on(group, enough)
    )
    draws_low, draws_high = percentile_interval(by_draw, confidence)
    return {
        **row,
        "auroc": value,
        "patient_low": low,
        "patient_high": high,
        "draws_low": draws_low,
        "draws_high": draws_high,
        "all_auroc": everybody[enough].mean(),
    }


def _by_class(groups: list[Group], classes: list[str]) -> pd.DataFrame:
    names = [classes[label] for label in scored_classes(len(classes))]
    return pd.DataFrame(
        [
            {
                "kind": group.kind,
                "group": group.name,
                "class": name,
                "positive_patients": group.positives[at],
                "negative_patients": group.negatives[at],
                "auroc": group.value[at],
            }
            for group in groups
            for at, name in enumerate(names)
        ]
    )
