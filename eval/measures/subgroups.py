"""Whether it works alike for everybody: the score of subgroups, and the largest gap of two."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from eval.answers import Answers, Query
from eval.described import MEASURED, NAMED, UNKNOWN, named, with_others
from eval.intervals.patients import Bootstrap, bootstrap
from eval.results import Results
from eval.scores.score import Measured, Score

ALL = "all"
FEWEST = 10  # patients with a class and without it, for its score to be measured
AGES = {"under 40": 0, "40 to 59": 40, "60 to 79": 60, "80 and over": 80}  # where each band begins
KINDS = {
    "sex": NAMED["sex"],
    "age": "Age",
    "manufacturer": NAMED["manufacturer"],
    "model": NAMED["model"],
    "spacing": NAMED["spacing"],
    "study_year": MEASURED["study_year"],
}
# with more than VALUES values these are numbers rather than groups
MANY = (
    "spacing",
    "study_year",
)
VALUES = 6  # of a kind, the most frequent; the others are put together


@dataclass(frozen=True)
class Group:
    """The query images with one value of a kind, and the parts of the score (AUROC: classes).

    A part is missing where too few patients are there for it.
    """

    kind: str
    name: str
    patients: int
    records: int
    positives: np.ndarray  # (part,) patients with its class
    negatives: np.ndarray  # (part,) patients without it
    value: np.ndarray  # (part,) mean over draws and seeds
    by_draw: np.ndarray  # (draw, part) mean over seeds
    resampled: np.ndarray  # (resample, part)
    bootstrap: Bootstrap
    score: Score
    parts: tuple[int, ...]


@dataclass(frozen=True)
class Gap:
    """The largest difference in score between two groups of one kind, over the parts of both.

    low, high: some pair differs by `low` at least, and none by more than `high`: the highest of
    all pairs' bounds, since a small group may hide a larger gap than the largest that was seen.
    Bootstrap over patients, each group by itself.
    """

    kind: str
    better: str
    worse: str
    value: float
    low: float
    high: float
    pairs: int


def largest_gap(results: Results) -> Gap | None:
    """The largest gap of all kinds, which params.yaml accept.subgroup_gap limits; None where no two
    groups have enough patients.
    """
    return largest(measure(results))


def largest(groups: list[Group]) -> Gap | None:
    """The largest gap between two groups of one kind; what is unknown is no group of patients, and
    stays out.
    """
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
    higher, lower = (one, other) if value >= 0 else (other, one)
    resampled = (higher.resampled - lower.resampled)[:, shared].mean(axis=1)
    fewer = min(one, other, key=lambda group: group.patients)
    bounds = one.score.differences
    low, high = fewer.bootstrap.interval(abs(value), resampled, *bounds, rests_on(fewer, shared))
    better, worse = (higher, lower) if one.score.higher_is_better else (lower, higher)
    return Gap(one.kind, better.name, worse.name, abs(value), low, high, 1)


def rests_on(group: Group, measured: np.ndarray) -> np.ndarray:
    """What the measured parts rest on: a rare class that is not measured says nothing."""
    return group.score.rests_on(group.bootstrap.labels, np.asarray(group.parts)[measured])


def measure(results: Results) -> list[Group]:
    """Every kind that tells groups apart, and every group of it."""
    described = described_of(results)
    groups: list[Group] = []
    for kind in KINDS:
        values, names = values_of(described, kind)
        for name in names if len(names) > 1 else []:
            seed = results.params.seed + 1 + len(groups)  # so that each is redrawn by itself
            groups.append(_group(results, kind, name, np.flatnonzero(values == name), seed))
    return groups


def _group(results: Results, kind: str, name: str, rows: np.ndarray, seed: int) -> Group:
    score, all_answers, settings = results.score, results.verdict_answers, results.params.adapt
    query = Query(*(of[rows] for of in vars(results.query).values()))
    probabilities = all_answers.probabilities[:, :, rows]
    answers = Answers(all_answers.method, all_answers.k, probabilities)
    patients, labels = query.patients, query.labels
    resamples = bootstrap(patients, labels, settings.bootstrap, settings.confidence, seed)
    parts = score.parts(len(results.classes))
    draws, resampled = zip(
        *(_part(score, answers, query, part, resamples) for part in parts), strict=True
    )
    by_draw = np.stack(draws, axis=1)
    return Group(
        kind,
        name,
        len(np.unique(patients)),
        len(labels),
        np.array([len(np.unique(patients[labels == part])) for part in parts]),
        np.array([len(np.unique(patients[labels != part])) for part in parts]),
        by_draw.mean(axis=0),
        by_draw,
        np.stack(resampled, axis=1),
        resamples,
        score,
        tuple(parts),
    )


def _part(
    score: Score, answers: Answers, query: Query, part: int, resamples: Bootstrap
) -> Measured:
    """One part of the score, missing where one of what it rests on has too few patients."""
    needed = score.rests_on(query.labels, [part])
    if min(len(np.unique(query.patients[group])) for group in needed) < FEWEST:
        draws = answers.probabilities.shape[1]
        return np.full(draws, np.nan), np.full(len(resamples.weights), np.nan)
    return score.part(answers, query, part, resamples.weights)


def described_of(results: Results) -> pd.DataFrame:
    """What is known of the query images, in their order."""
    return results.cohort.set_index("record").loc[results.query.records]


def values_of(described: pd.DataFrame, kind: str) -> tuple[pd.Series, list[str]]:
    """Each query image's group of a kind, and the groups in order; none where there are too many to
    be groups.
    """
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
