"""performance.csv: means over draws and seeds, and two uncertainties that are never merged."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from eval.answers import read_answers
from eval.scores.performance import episode_accuracy, performance
from workspace.errors import Refusal

COLUMNS = [
    "method",
    "k",
    "metric",
    "value",
    "patient_low",
    "patient_high",
    "draws_low",
    "draws_high",
    "draws",
    "patients",
    "records",
]


def predict(
    classes: list[str],
    answer: Callable[[int, int, np.ndarray], np.ndarray],
    draws: int = 4,
    seeds: int = 1,
    records: int = 60,
) -> pd.DataFrame:
    """Predictions of one method at k = 5 for two images a patient.

    `answer`: seed, draw, labels -> (record, class).
    """
    labels = np.arange(records) // 2 % len(classes)
    tables = []
    for seed in range(seeds):
        for draw in range(draws):
            table = pd.DataFrame(
                {
                    "method": "prototypical",
                    "seed": seed,
                    "k": 5,
                    "draw": draw,
                    "record": [f"r{index:03d}" for index in range(records)],
                    "patient": [f"p{index // 2:03d}" for index in range(records)],
                    "label": [classes[label] for label in labels],
                }
            )
            scores = answer(seed, draw, labels)
            tables.append(
                table.assign(
                    **{
                        f"p_{name}": scores[:, at].astype(np.float32)
                        for at, name in enumerate(classes)
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def noisy(classes: int, same_draws: bool = False) -> Callable[[int, int, np.ndarray], np.ndarray]:
    def answer(seed: int, draw: int, labels: np.ndarray) -> np.ndarray:
        generator = np.random.default_rng((seed, 0 if same_draws else draw))
        logits = generator.normal(size=(len(labels), classes)) + np.eye(classes)[labels]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    return answer


def measured(predictions: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    return performance(predictions, classes, 200, 0.95, 0, "westside").set_index("metric")


def test_the_columns_and_counts_are_those_that_are_agreed():
    table = performance(predict(["AP", "PA"], noisy(2)), ["AP", "PA"], 100, 0.95, 0)
    assert list(table.columns) == COLUMNS
    assert table[["draws", "patients", "records"]].drop_duplicates().values.tolist() == [
        [4, 30, 60]
    ]
    assert list(table["metric"]) == ["auroc", "balanced_accuracy"]


def test_two_classes_give_the_mean_binary_auroc_over_draws_and_seeds():
    predictions = predict(["AP", "PA"], noisy(2), seeds=2)
    groups = [group for _, group in predictions.groupby(["seed", "draw"])]
    table = measured(predictions, ["AP", "PA"])
    assert table.loc["auroc", "value"] == pytest.approx(
        np.mean([roc_auc_score(g["label"] == "PA", g["p_PA"]) for g in groups])
    )
    accuracy = [
        balanced_accuracy_score(g["label"], np.where(g["p_PA"] > g["p_AP"], "PA", "AP"))
        for g in groups
    ]
    assert table.loc["balanced_accuracy", "value"] == pytest.approx(np.mean(accuracy))


def test_more_classes_give_the_mean_of_one_against_the_rest_and_a_row_a_class():
    classes = ["a", "b", "c"]
    predictions = predict(classes, noisy(3))
    groups = [group for _, group in predictions.groupby("draw")]
    table = measured(predictions, classes)
    expected = [
        roc_auc_score(g["label"], g[[f"p_{name}" for name in classes]], multi_class="ovr")
        for g in groups
    ]
    assert table.loc["auroc", "value"] == pytest.approx(np.mean(expected), abs=1e-6)
    for name in classes:
        each = [roc_auc_score(g["label"] == name, g[f"p_{name}"]) for g in groups]
        assert table.loc[f"auroc:{name}", "value"] == pytest.approx(np.mean(each), abs=1e-6)
        assert (
            table.loc[f"auroc:{name}", "patient_low"]
            < np.mean(each)
            < table.loc[f"auroc:{name}", "patient_high"]
        )


def test_draws_that_agree_leave_the_uncertainty_over_patients_alone():
    table = measured(predict(["AP", "PA"], noisy(2, same_draws=True)), ["AP", "PA"])
    assert (table["draws_low"] == table["draws_high"]).all()
    assert (table["patient_high"] - table["patient_low"] > 0.05).all()


def test_the_spread_over_draws_is_of_the_mean_over_seeds_in_each_draw():
    predictions = predict(["AP", "PA"], noisy(2), draws=3, seeds=2)
    by_draw = [
        np.mean([roc_auc_score(g["label"] == "PA", g["p_PA"]) for _, g in draw.groupby("seed")])
        for _, draw in predictions.groupby("draw")
    ]
    row = measured(predictions, ["AP", "PA"]).loc["auroc"]
    assert (row["draws_low"], row["draws_high"]) == pytest.approx(
        tuple(np.quantile(by_draw, [0.025, 0.975]))
    )


def test_one_draw_has_no_spread_over_draws():
    table = measured(predict(["AP", "PA"], noisy(2), draws=1), ["AP", "PA"])
    assert table[["draws_low", "draws_high"]].isna().all(axis=None)
    assert table[["patient_low", "patient_high"]].notna().all(axis=None)


def test_an_answer_that_never_changes_is_chance():
    constant = predict(
        ["a", "b", "c"], lambda seed, draw, labels: np.tile([0.2, 0.3, 0.5], (len(labels), 1))
    )
    table = measured(constant, ["a", "b", "c"])
    assert (
        table.loc["auroc", "value"]
        == 0.5
        == pytest.approx(table.loc["auroc", ["patient_low", "patient_high"]].mean())
    )
    assert table.loc["balanced_accuracy", "value"] == pytest.approx(1 / 3)


def test_the_order_of_the_rows_makes_no_difference():
    predictions = predict(["AP", "PA"], noisy(2), seeds=2)
    shuffled = predictions.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        measured(predictions, ["AP", "PA"]), measured(shuffled, ["AP", "PA"]), check_exact=True
    )


def test_a_class_without_query_patients_is_refused_by_name_with_its_site():
    with pytest.raises(
        Refusal, match="query set of westside, class lateral: found no patient; need query patients"
    ):
        measured(
            predict(["AP", "PA"], noisy(2)).assign(p_lateral=np.float32(0)), ["AP", "PA", "lateral"]
        )


def test_a_probability_that_is_no_number_is_refused():
    predictions = predict(["AP", "PA"], noisy(2))
    predictions.loc[7, "p_AP"] = np.nan
    with pytest.raises(Refusal, match="a probability that is no number"):
        measured(predictions, ["AP", "PA"])


def test_answers_for_a_part_of_the_query_set_are_refused():
    with pytest.raises(
        Refusal, match="prototypical at k = 5: found answers for a part of the query set"
    ):
        measured(predict(["AP", "PA"], noisy(2)).drop(index=3), ["AP", "PA"])


def test_the_accuracy_of_few_shot_papers_is_the_mean_over_draws_with_students_interval():
    predictions = predict(["AP", "PA"], noisy(2))
    accuracy = np.array(
        [
            balanced_accuracy_score(g["label"], np.where(g["p_PA"] > g["p_AP"], "PA", "AP"))
            for _, g in predictions.groupby("draw")
        ]
    )
    row = episode_accuracy(*read_answers(predictions, ["AP", "PA"]), 0.95).iloc[0]
    assert row["accuracy"] == pytest.approx(accuracy.mean()) and row["way"] == 2
    # Student's t, 3 degrees of freedom
    assert row["half_width"] == pytest.approx(3.182446 * accuracy.std(ddof=1) / 2, rel=1e-5)


def test_a_rare_class_does_not_widen_the_interval_of_another_one():
    """One against the rest rests on its own patients and the others, however these are called."""
    labels, generator = np.repeat(["a", "b", "c"], [60, 58, 2]), np.random.default_rng(0)
    p = generator.dirichlet(np.ones(3), 120) + 0.7 * (labels[:, None] == np.array(["a", "b", "c"]))
    rows = {
        "method": "m",
        "seed": 0,
        "k": 1,
        "draw": 0,
        "record": [f"{at:03}" for at in range(120)],
        "patient": [f"{at:03}" for at in range(120)],
    }
    answers = pd.DataFrame(
        {
            **rows,
            "label": labels,
            **dict(zip(("p_a", "p_b", "p_c"), (p / p.sum(axis=1, keepdims=True)).T, strict=True)),
        }
    )
    two = answers.assign(
        label=np.where(labels == "a", "a", "rest"), p_rest=answers["p_b"] + answers["p_c"]
    )
    of_three = (
        performance(answers, ["a", "b", "c"], 300, 0.95, 0).set_index("metric").loc["auroc:a"]
    )
    of_two = performance(two, ["a", "rest"], 300, 0.95, 0).set_index("metric").loc["auroc"]
    assert of_three["value"] == pytest.approx(of_two["value"])
    widths = [row["patient_high"] - row["patient_low"] for row in (of_three, of_two)]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)
