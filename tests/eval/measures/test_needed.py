"""Labelled cases needed: the first k that reaches the target for good."""

import pandas as pd
import pytest

from eval.measures.needed import needed
from eval.scores.label import AUROC


def curve(lows: dict[int, float], method: str = "prototypical") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "method": method,
                "k": k,
                "metric": "auroc",
                "value": low + 0.05,
                "patient_low": low,
                "patient_high": low + 0.1,
                "patients": 80,
            }
            for k, low in lows.items()
        ]
    )


def test_the_smallest_k_whose_lower_bound_reaches_the_target_counts_k_times_classes():
    row = needed(curve({1: 0.6, 2: 0.8, 5: 0.85, 10: 0.9}), AUROC, 0.85, classes=3).iloc[0]
    assert (row["reached"], row["k"], row["cases"]) == (True, 5, 15)
    assert (row["value"], row["patient_low"]) == pytest.approx((0.9, 0.85))


def test_a_k_that_a_larger_one_contradicts_does_not_count():
    assert (
        needed(curve({1: 0.9, 2: 0.8, 5: 0.9, 10: 0.9}), AUROC, 0.85, classes=2).iloc[0]["k"] == 5
    )
    assert not needed(curve({1: 0.9, 2: 0.9, 5: 0.8}), AUROC, 0.85, classes=2).iloc[0]["reached"]


def test_a_value_above_the_target_does_not_count_while_its_lower_bound_is_under_it():
    assert not needed(curve({5: 0.84}), AUROC, 0.85, classes=2).iloc[0]["reached"]


def test_a_target_that_is_not_reached_says_up_to_how_many_cases_and_the_best_k():
    row = needed(curve({1: 0.6, 5: 0.8, 10: 0.7}), AUROC, 0.85, classes=2).iloc[0]
    assert pd.isna(row["cases"]) and pd.isna(row["k"])
    assert (row["up_to"], row["shown_k"]) == (20, 5)


def test_a_source_model_that_reaches_it_as_it_stands_needs_no_case():
    table = pd.concat([curve({0: 0.9}, "source_only"), curve({1: 0.6})])
    assert (
        needed(table, AUROC, 0.85, classes=2).set_index("method").loc["source_only", "cases"] == 0
    )


def test_other_metrics_are_left_aside():
    table = pd.concat([curve({1: 0.5}), curve({1: 0.99}).assign(metric="balanced_accuracy")])
    assert not needed(table, AUROC, 0.85, classes=2).iloc[0]["reached"]
