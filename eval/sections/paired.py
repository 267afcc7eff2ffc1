"""The verdict's method against each other one."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from eval.evidence import Evidence
from eval.measures.paired import differences
from eval.page.section import Section
from eval.results import SOURCE_ONLY
from eval.scores.score import Score
from eval.words import p_value, signed

PLACE = 60


def section(evidence: Evidence) -> Section:
    """Differences of the score at every k.

    p values are corrected over the values of k (Holm 1979), one family for each other method.
    """
    table = differences(evidence)
    others = [method for method in evidence.methods if method in set(table["other"])]
    shown = {
        "method": evidence.method,
        "others": others,
        "score": evidence.score,
        "lines": lines,
        "sides": "above or below" if evidence.score.higher_is_better else "below or above",
        "shots": sorted({int(k) for k in table["k"]}),
        "confidence": evidence.params.adapt.confidence,
        "cells": {(row["other"], row["k"]): row for row in table.to_dict("records")},
        "source_only": SOURCE_ONLY,
        "patients": len(set(evidence.query.patients)),
        "records": len(evidence.query.records),
    }
    return Section("paired.html.j2", "Against the other methods", shown, {"paired.csv": table})


def standing(low: float, high: float, score: Score) -> str:
    """Whether the verdict's method does better than the other."""
    if low <= 0 <= high:
        return "cannot tell"
    return "better" if (low > 0) == score.higher_is_better else "worse"


def lines(row: Mapping[str, Any], score: Score) -> list[str]:
    """Below a difference: what it says, both of its uncertainties and its p value."""
    low, high = row["patient_low"], row["patient_high"]
    spread = f"{signed(row['draws_low'])} to {signed(row['draws_high'])}"
    return [
        standing(low, high, score),
        f"P {signed(low)} to {signed(high)}",
        "D one draw only" if pd.isna(row["draws_low"]) else f"D {spread}",
        f"p {p_value(row['p_holm'])}",
    ]
