"""Whether it works alike for everybody: the score by sex, age and scanner."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from eval.described import UNKNOWN, how_to_give
from eval.evidence import Evidence
from eval.intervals.draws import percentile_interval
from eval.measures.subgroups import (
    ALL,
    FEWEST,
    KINDS,
    MANY,
    VALUES,
    Gap,
    Group,
    described_of,
    largest,
    measure,
    rests_on,
    values_of,
)
from eval.page.section import Section
from eval.words import count, decimals, interval, percent

PLACE = 120
ENDS = ("patient_low", "patient_high", "draws_low", "draws_high")


def section(evidence: Evidence) -> Section:
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
    described = described_of(evidence)
    single = [
        f"{KINDS[kind].lower()}: {values.iloc[0]}"
        for kind in KINDS
        if (values := values_of(described, kind)[0]).nunique() == 1 and values.iloc[0] != UNKNOWN
    ]
    many = [KINDS[kind].lower() for kind in MANY if described[kind].nunique() > VALUES]
    several, by_kind = len(evidence.classes) > 2, dict(list(table.groupby("kind", sort=False)))
    shown = {
        "several": several,
        "columns": 7 if several else 6,
        "gap": largest_words(gaps.get(ALL), evidence, groups=len(by_kind) > 1),
        "gap_of_kind": {kind: kind_words(gaps.get(kind)) for kind in KINDS},
        "counted": counted,
        "measured": measured_classes,
        "over_draws": over_draws,
        "rows": {kind: rows.to_dict("records") for kind, rows in by_kind.items()},
        "kinds": KINDS,
        "all": ALL,
        "single": single,
        "many": many,
        "fewest": FEWEST,
        "classes": evidence.classes,
        "score": evidence.score,
        "method": evidence.method,
        "k": evidence.shots,
        "confidence": evidence.params.adapt.confidence,
        "unknown": how_to_give(evidence.cohort, evidence.site),
    }
    alike = pd.DataFrame({"the_same_for_all": single})
    tables = {"subgroups.csv": table, "subgroup_single.csv": alike}
    if groups:
        tables |= {"subgroup_classes.csv": _by_class(groups, evidence.classes)}
    if gaps:
        tables |= {
            "subgroup_gaps.csv": pd.DataFrame([{"of": of, **vars(gap)} for of, gap in gaps.items()])
        }
    return Section("subgroups.html.j2", "Subgroups", shown, tables)


def largest_words(gap: Gap | None, evidence: Evidence, groups: bool) -> Markup:
    """The largest gap of all kinds, or why none is known; `groups`: whether there are any."""
    score = evidence.score
    if gap is None and not groups:
        return Markup("Nothing that the files say tells groups of the query patients apart.")
    if gap is None:
        words = (
            f"No two groups of one kind have the {FEWEST} patients with a class and {FEWEST} "
            f"without it that {score.article} {score.title} takes, so no gap is known. Label more "
            "patients of the groups below."
        )
        return Markup(words)
    by_chance = (
        f"; {count(gap.pairs, 'pair')} compared). The largest of several differences overstates "
        "the true one, and some difference is to be expected by chance."
    )
    words = Markup(
        "The largest gap in {} between two groups of one kind is <b>{}</b> ({}: {} above {}; "
        "{} interval over patients {}{}"
    )
    return words.format(
        score.title,
        decimals(gap.value),
        KINDS[gap.kind].lower(),
        gap.better,
        gap.worse,
        percent(evidence.params.adapt.confidence),
        interval(gap.low, gap.high),
        by_chance if gap.pairs > 1 else ").",
    )


def kind_words(gap: Gap | None) -> str:
    """The largest gap of one kind."""
    if gap is None:
        return "no two groups with enough patients"
    ends, pairs = interval(gap.low, gap.high), count(gap.pairs, "pair")
    return f"largest gap {decimals(gap.value)} ({ends}), {gap.better} above {gap.worse}, of {pairs}"


def counted(row: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Of two classes a group's patients of each; of more how many classes are measured."""
    if len(classes) > 2:
        return f"{row['measured']} of {len(classes)}"
    negative, positive = classes
    return f"{row['fewest_positive']:,} {positive}, {row['fewest_negative']:,} {negative}"


def measured_classes(row: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """The names of the classes that a group is measured on, where they are some of many."""
    some = len(classes) > 2 and 0 < row["measured"] < len(classes)
    return [row["classes"]] if some else []


def over_draws(row: Mapping[str, Any]) -> str:
    """The spread over draws, or that there is one alone."""
    return interval(row["draws_low"], row["draws_high"]) if row["draws"] > 1 else "1 draw only"


def _everybody(evidence: Evidence) -> tuple[dict[str, Any], pd.Series]:
    """The row of the whole query set, as the verdict has it, and each part of the score."""
    query, score = evidence.query, evidence.score
    scored = score.parts(len(evidence.classes))
    table = (
        evidence.performance.set_index(["method", "k", "metric"])
        .sort_index()
        .loc[(evidence.method, evidence.shots)]
    )
    found = table.loc[score.name]
    names = [evidence.classes[label] for label in scored]
    by_class = pd.Series(
        {
            name: table.loc[score.of_class(name) if len(scored) > 1 else score.name, "value"]
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
        score.name: found["value"],
        **found[list(ENDS)],
        f"all_{score.name}": found["value"],
    }, by_class


def _row(group: Group, everybody: pd.Series, confidence: float) -> dict[str, Any]:
    """A group's mean over the classes it has enough patients of, with both uncertainties, and the
    mean of `everybody` over these classes.
    """
    enough, score = np.isfinite(group.value), group.score
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
            **dict.fromkeys((score.name, *ENDS, f"all_{score.name}"), np.nan),
        }
    value, by_draw = float(group.value[enough].mean()), group.by_draw[:, enough].mean(axis=1)
    low, high = group.bootstrap.interval(
        value,
        group.resampled[:, enough].mean(axis=1),
        score.low,
        score.high,
        rests_on(group, enough),
    )
    draws_low, draws_high = percentile_interval(by_draw, confidence)
    return {
        **row,
        score.name: value,
        "patient_low": low,
        "patient_high": high,
        "draws_low": draws_low,
        "draws_high": draws_high,
        f"all_{score.name}": everybody[enough].mean(),
    }


def _by_class(groups: list[Group], classes: list[str]) -> pd.DataFrame:
    score, parts = groups[0].score, groups[0].parts
    names = [classes[part] for part in parts]
    return pd.DataFrame(
        [
            {
                "kind": group.kind,
                "group": group.name,
                "class": name,
                "positive_patients": group.positives[at],
                "negative_patients": group.negatives[at],
                score.name: group.value[at],
            }
            for group in groups
            for at, name in enumerate(names)
        ]
    )
