"""The verdict's method against each other one: the same images, the same support draws, so that what is hard for both cancels out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from eval.evidence import Evidence
from eval.page import Section
from eval.performance import auroc_of
from eval.results import SOURCE_ONLY
from eval.uncertainty import holm, percentile_interval

COLUMNS = [
    "method",
    "other",
    "k",
    "other_k",
    "difference",
    "patient_low",
    "patient_high",
    "draws_low",
    "draws_high",
    "p",
    "p_holm",
    "draws",
    "patients",
    "records",
]


@dataclass(frozen=True)
class Areas:
    """AUROC of one method at one k: in each draw, and in each resample of the patients."""

    by_draw: np.ndarray
    resampled: np.ndarray


def paired_section(evidence: Evidence) -> Section:
    """Differences of AUROC at every k; p values corrected over the values of k (Holm 1979), one family for each other method."""
    table = differences(evidence)
    others = [method for method in evidence.methods if method in set(table["other"])]
    shown = {
        "method": evidence.method,
        "others": others,
        "shots": sorted({int(k) for k in table["k"]}),
        "confidence": evidence.params.adapt.confidence,
        "cells": {(row["other"], row["k"]): row for row in table.to_dict("records")},
        "source_only": SOURCE_ONLY,
        "patients": len(set(evidence.query.patients)),
        "records": len(evidence.query.records),
    }
    return Section("paired.html.j2", "Against the other methods", shown, {"paired.csv": table})


def differences(evidence: Evidence) -> pd.DataFrame:
    """One row another method and k: the verdict's method minus the other. The source model, which has k = 0 alone, is held against every k."""
    query, every = evidence.answers
    answers = {(found.method, found.k): found for found in every}
    measured = {
        key: Areas(*auroc_of(found, query, evidence.bootstrap.weights))
        for key, found in answers.items()
    }
    counts = {"patients": len(np.unique(query.patients)), "records": len(query.records)}
    rows = []
    for other in evidence.methods:
        family = (
            []
            if other == evidence.method
            else [
                {
                    "method": evidence.method,
                    "other": other,
                    "k": k,
                    "other_k": other_k,
                    **_difference(evidence, measured[evidence.method, k], measured[other, other_k]),
                }
                for method, k in answers
                if method == evidence.method
                for other_k in [0 if other == SOURCE_ONLY else k]
                if (other, other_k) in answers
            ]
        )
        adjusted = holm(np.array([row["p"] for row in family]))
        rows += [{**row, "p_holm": p, **counts} for row, p in zip(family, adjusted, strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def difference(evidence: Evidence, other: str) -> dict[str, float]:
    """The verdict's method at the verdict's k minus another one there; the source model is at k = 0."""
    query, every = evidence.answers
    asked = [
        (evidence.method, evidence.shots),
        (other, 0 if other == SOURCE_ONLY else evidence.shots),
    ]
    return _difference(
        evidence,
        *(
            Areas(*auroc_of(found, query, evidence.bootstrap.weights))
            for key in asked
            for found in every
            if (found.method, found.k) == key
        ),
    )


def _difference(evidence: Evidence, one: Areas, other: Areas) -> dict[str, float]:
    value, resampled = (
        float(one.by_draw.mean() - other.by_draw.mean()),
        one.resampled - other.resampled,
    )
    low, high = evidence.bootstrap.interval(value, resampled, -1.0, 1.0)
    draws_low, draws_high = percentile_interval(
        one.by_draw - other.by_draw, evidence.params.adapt.confidence
    )
    return {
        "difference": value,
        "patient_low": low,
        "patient_high": high,
        "draws_low": draws_low,
        "draws_high": draws_high,
        "p": evidence.bootstrap.p_value(value, resampled),
        "draws": len(one.by_draw),
    }
