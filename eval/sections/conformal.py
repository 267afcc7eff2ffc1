"""Prediction sets and abstaining."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from eval.answers import read_held_out
from eval.evidence import Evidence
from eval.intervals.estimate import Estimate
from eval.measures.conformal import (
    ANSWERED,
    LEVELS,
    ROUNDING,
    Sets,
    abstaining,
    cases_needed,
    prediction_sets,
)
from eval.page.estimates import draws_number, patients_number
from eval.page.section import Section
from eval.words import count, decimals, listed, percent

PLACE = 90


def section(evidence: Evidence) -> Section:
    """The sets at each level, where cases were held out; then errors against the share answered."""
    held_out = read_held_out(evidence.held_out, evidence.classes, evidence.method, evidence.shots)
    needed = {level: cases_needed(level) for level in LEVELS}
    enough = [level for level in LEVELS if held_out.per_class >= needed[level]]
    sets = [prediction_sets(evidence, held_out, level) for level in enough]
    *risks, area = abstaining(evidence)
    records, k = len(evidence.query.records), evidence.shots
    curve = [
        {"answered": part, "images": int(np.ceil(part * records - ROUNDING)), "risk": risk}
        for part, risk in zip(ANSWERED, risks, strict=True)
    ]
    counts = _counts(evidence)
    lacking = {level: needed[level] for level in LEVELS if level not in enough}
    shown = {
        "sets": sets,
        "too_few": too_few(lacking, held_out.per_class, k),
        "per_class": held_out.per_class,
        "draws": len(held_out.labels),
        "curve": curve,
        "area": area_words(area, k),
        "classes": counts,
        "method": evidence.method,
        "k": k,
        "confidence": evidence.params.adapt.confidence,
        "patients": len(set(evidence.query.patients)),
        "records": records,
    }
    rows: list[dict[str, Any]] = [
        {"measure": "error_rate", **{**row, **vars(row["risk"])}} for row in curve
    ]
    rows.append({"measure": "area_under_risk_coverage", "images": records, **vars(area)})
    cases = {
        "level": LEVELS,
        "cases_a_class": held_out.per_class,
        "needed_a_class": needed.values(),
    }
    tables = {
        "selective.csv": pd.DataFrame(rows).drop(columns="risk"),
        "conformal_cases.csv": pd.DataFrame(cases).assign(
            needed_k=[k + of_class for of_class in needed.values()]
        ),
    }
    if sets:
        of_sets = [row for found in sets for row in _rows(found, counts, held_out.per_class)]
        tables["conformal.csv"] = pd.DataFrame(of_sets)
    return Section("conformal.html.j2", "Prediction sets and abstaining", shown, tables)


def area_words(area: Estimate, k: int) -> str:
    """The area under the risk-coverage curve with both uncertainties."""
    over_draws = f"{draws_number(area, k)}{' over draws' if area.draws > 1 else ''}"
    return f"{decimals(area.value)} ({patients_number(area)} over patients; {over_draws})"


def too_few(lacking: Mapping[float, int], per_class: int, k: int) -> str:
    """At which levels there are no sets that leave a class out, and what it takes."""
    if not per_class:
        levels = [
            f"{k + needed} or more for sets at {percent(at)}" for at, needed in lacking.items()
        ]
        return (
            f"There are no prediction sets: k = {k} is the largest k with results here, so the "
            "model has adapted to every labelled case and none is left to calibrate on.\n"
            f"Add a larger k to tasks.shots in params.yaml and run dvc repro: {', '.join(levels)}, "
            "as far as each class has so many patients to draw from."
        )
    if not lacking:
        return ""
    takes = [
        f"{needed} for {percent(at)} (a k of {k + needed} in tasks.shots)"
        for at, needed in lacking.items()
    ]
    return (
        f"At {listed([percent(at) for at in lacking])} every set holds every class, since "
        f"{count(per_class, 'further case')} a class cannot promise so much:\n"
        f"it takes {listed(takes)}."
    )


def _counts(evidence: Evidence) -> list[dict[str, Any]]:
    query = evidence.query
    return [
        {
            "name": name,
            "patients": query.patients_of(label),
            "records": int((query.labels == label).sum()),
        }
        for label, name in enumerate(evidence.classes)
    ]


def _rows(sets: Sets, counts: list[dict[str, Any]], per_class: int) -> list[dict[str, Any]]:
    whole = {
        name: getattr(sets, name) for name in ("coverage", "size", "one_class", "wrong", "empty")
    }
    records = sum(of["records"] for of in counts)
    key = {"level": sets.level, "cases_a_class": per_class}
    among = {name: records * (sets.one_class.value if name == "wrong" else 1) for name in whole}
    return [
        *(
            {**key, "measure": name, "class": "all", "images": among[name], **vars(found)}
            for name, found in whole.items()
            if found
        ),
        *(
            {
                **key,
                "measure": "coverage",
                "class": of["name"],
                "images": of["records"],
                "patients": of["patients"],
                **vars(found),
            }
            for of, found in zip(counts, sets.by_class, strict=True)
        ),
    ]
