"""Prediction sets that hold the true class as often as was asked (split conformal), and what is gained by leaving doubtful images to a person."""

from typing import Any

import numpy as np
import pandas as pd

from eval.answers import read_held_out
from eval.evidence import Evidence
from eval.measures.conformal import (
    ANSWERED,
    LEVELS,
    ROUNDING,
    Sets,
    abstaining,
    cases_needed,
    prediction_sets,
)
from eval.page.section import Section

PLACE = 90


def section(evidence: Evidence) -> Section:
    """The sets' coverage and sizes at each level, where cases were held out; then errors against the share answered."""
    held_out = read_held_out(evidence.held_out, evidence.classes, evidence.method, evidence.shots)
    sets = [
        prediction_sets(evidence, held_out, level)
        for level in LEVELS
        if held_out.per_class >= cases_needed(level)
    ]
    *risks, area = abstaining(evidence)
    records = len(evidence.query.records)
    curve = [
        {"answered": part, "images": int(np.ceil(part * records - ROUNDING)), "risk": risk}
        for part, risk in zip(ANSWERED, risks, strict=True)
    ]
    counts = [
        {
            "name": name,
            "patients": evidence.query.patients_of(label),
            "records": int((evidence.query.labels == label).sum()),
        }
        for label, name in enumerate(evidence.classes)
    ]
    shown = {
        "sets": sets,
        "too_few": [
            (level, cases_needed(level))
            for level in LEVELS
            if held_out.per_class < cases_needed(level)
        ],
        "per_class": held_out.per_class,
        "draws": len(held_out.labels),
        "curve": curve,
        "area": area,
        "classes": counts,
        "method": evidence.method,
        "k": evidence.shots,
        "confidence": evidence.params.adapt.confidence,
        "patients": len(set(evidence.query.patients)),
        "records": records,
    }
    tables = {
        "selective.csv": pd.DataFrame(
            [
                *(
                    {
                        "measure": "error_rate",
                        "answered": row["answered"],
                        "images": row["images"],
                        **vars(row["risk"]),
                    }
                    for row in curve
                ),
                {"measure": "area_under_risk_coverage", "images": records, **vars(area)},
            ]
        )
    }
    tables["conformal_cases.csv"] = pd.DataFrame(
        [
            {
                "level": level,
                "cases_a_class": held_out.per_class,
                "needed_a_class": cases_needed(level),
                "needed_k": evidence.shots + cases_needed(level),
            }
            for level in LEVELS
        ]
    )
    if sets:
        tables["conformal.csv"] = pd.DataFrame(
            [row for found in sets for row in _rows(found, counts, held_out.per_class)]
        )
    return Section("conformal.html.j2", "Prediction sets and abstaining", shown, tables)


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
