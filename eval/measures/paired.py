"""The verdict's method against each other one, on the same images and the same support draws.

What is hard for both cancels out.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from eval.answers import Answers
from eval.intervals.draws import percentile_interval
from eval.results import SOURCE_ONLY, Results

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
class Values:
    """The score of one method at one k: in each draw, and in each resample of the patients."""

    by_draw: np.ndarray
    resampled: np.ndarray


def differences(results: Results) -> pd.DataFrame:
    """One row another method and k: the score of the verdict's method minus the other's.

    The source model, which has k = 0 alone, is held against every k.
    """
    query, every = results.answers
    measured = {(found.method, found.k): _values(results, found) for found in every}
    counts = {"patients": len(np.unique(query.patients)), "records": len(query.records)}
    rows = []
    for other in results.methods:
        if other == results.method:
            continue
        family = []
        for k in [k for method, k in measured if method == results.method]:
            other_k = 0 if other == SOURCE_ONLY else k
            if (other, other_k) in measured:
                key = {"method": results.method, "other": other, "k": k, "other_k": other_k}
                pair = measured[results.method, k], measured[other, other_k]
                family.append({**key, **_difference(results, *pair)})
        adjusted = holm(np.array([row["p"] for row in family]))
        rows += [{**row, "p_holm": p, **counts} for row, p in zip(family, adjusted, strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def difference(results: Results, other: str) -> dict[str, float]:
    """The verdict's method at its k minus another one there; the source model at k = 0."""
    at = {(found.method, found.k): found for found in results.answers[1]}
    other_k = 0 if other == SOURCE_ONLY else results.shots
    pair = at[results.method, results.shots], at[other, other_k]
    return _difference(results, *(_values(results, found) for found in pair))


def _values(results: Results, answers: Answers) -> Values:
    weights = results.bootstrap.weights
    return Values(*results.score.measure(answers, results.query, weights))


def _difference(results: Results, one: Values, other: Values) -> dict[str, float]:
    value, resampled = (
        float(one.by_draw.mean() - other.by_draw.mean()),
        one.resampled - other.resampled,
    )
    bounds = results.score.differences
    low, high = results.bootstrap.interval(value, resampled, *bounds)
    gap = one.by_draw - other.by_draw
    draws_low, draws_high = percentile_interval(gap, results.params.adapt.confidence)
    return {
        "difference": value,
        "patient_low": low,
        "patient_high": high,
        "draws_low": draws_low,
        "draws_high": draws_high,
        "p": results.bootstrap.p_value(value, resampled, *bounds),
        "draws": len(one.by_draw),
    }


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's (1979) adjusted p values of one family: (test,) -> (test,)."""
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
