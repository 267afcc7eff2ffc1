"""Metrics agree with scikit-learn, ties and weights included, and are exact."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    roc_auc_score,
)

from eval.intervals.patients import bootstrap
from eval.scores import label
from eval.scores.decisions import confusion, rates
from eval.scores.label import auroc, balanced_accuracy, class_scores, weighted_auroc
from eval.scores.probabilities import (
    brier,
    calibration_bins,
    calibration_error,
    calibration_line,
    log_odds,
)


def tied_scores(columns: int, records: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a coarse grid, so that many are tied, and truth with both classes."""
    generator = np.random.default_rng(seed)
    positive = generator.random(records) < 0.3
    positive[:2] = True, False
    return np.round(generator.normal(size=(columns, records)) + positive, 1), positive


@pytest.mark.parametrize("seed", range(5))
def test_auroc_equals_scikit_learn_with_ties(seed):
    scores, positive = tied_scores(3, 80, seed)
    assert auroc(scores, positive) == pytest.approx(
        [roc_auc_score(positive, column) for column in scores]
    )


@pytest.mark.parametrize("seed", range(5))
def test_weighted_auroc_equals_scikit_learn_with_ties_and_weights_that_may_be_nought(seed):
    scores, positive = tied_scores(4, 60, seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(6, 60)).astype(float)
    expected = [
        np.mean([roc_auc_score(positive, column, sample_weight=row) for column in scores])
        for row in weights
    ]
    assert weighted_auroc(scores, positive, weights) == pytest.approx(expected, abs=1e-12)


def test_weighted_auroc_with_whole_weights_is_exact_in_single_precision():
    scores, positive = tied_scores(20, 500, 0)
    weights = np.random.default_rng(1).integers(0, 5, size=(10, 500))
    assert (
        weighted_auroc(scores, positive, weights.astype(np.float32))
        == weighted_auroc(scores, positive, weights.astype(np.float64))
    ).all()


def test_weighted_auroc_does_not_depend_on_how_many_positives_are_taken_at_once(monkeypatch):
    scores, positive = tied_scores(3, 70, 2)
    weights = np.ones((1, 70))
    whole = weighted_auroc(scores, positive, weights)
    monkeypatch.setattr(label, "POSITIVES_AT_ONCE", 4)
    assert (
        weighted_auroc(scores, positive, weights)
        == whole
        == pytest.approx(auroc(scores, positive).mean())
    )


def test_auroc_of_two_classes_is_the_same_whichever_is_called_positive():
    first = np.random.default_rng(0).random((50, 1)).astype(np.float32)
    probabilities, positive = np.hstack([1 - first, first]), np.arange(50) % 2 == 0
    swapped = auroc(class_scores(probabilities[:, ::-1])[:, 0], ~positive)
    assert auroc(class_scores(probabilities)[:, 0], positive) == swapped


def test_answers_that_single_precision_rounds_to_one_are_still_ranked():
    other = np.array([1e-9, 2e-9, 3e-9], np.float32)
    probabilities = np.stack([other, np.float32(1) - other], axis=1)
    assert len(set(probabilities[:, 1])) == 1
    assert list(np.argsort(class_scores(probabilities)[:, 0])) == [2, 1, 0]


def test_balanced_accuracy_equals_scikit_learn_with_weights():
    generator = np.random.default_rng(3)
    labels, predicted = generator.integers(0, 3, 90), generator.integers(0, 3, 90)
    weights = generator.integers(0, 3, size=(4, 90)).astype(np.float32)
    expected = [balanced_accuracy_score(labels, predicted, sample_weight=row) for row in weights]
    assert balanced_accuracy((predicted == labels).astype(float), labels, weights) == pytest.approx(
        expected
    )


def test_balanced_accuracy_is_the_expected_accuracy_of_balanced_episodes():
    generator = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], [200, 40, 10])
    correct = generator.random(250) < np.array([0.9, 0.5, 0.2])[labels]
    of_class = [np.flatnonzero(labels == label) for label in range(3)]
    episodes = [
        np.mean([correct[generator.choice(images, 5)] for images in of_class]) for _ in range(4000)
    ]
    assert balanced_accuracy(correct.astype(float), labels, np.ones((1, 250)))[0] == pytest.approx(
        np.mean(episodes), abs=0.006
    )


def test_confusion_is_the_mean_of_scikit_learns_over_draws_with_the_truth_in_rows():
    generator = np.random.default_rng(5)
    labels, probabilities = generator.integers(0, 3, 40), generator.random((2, 4, 40, 3))
    expected = np.mean(
        [
            confusion_matrix(labels, p.argmax(1), labels=range(3))
            for p in probabilities.reshape(-1, 40, 3)
        ],
        axis=0,
    )
    assert confusion(probabilities, labels) == pytest.approx(expected)


def answers(records: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of two methods' columns, truth, and whole weights that may be nought."""
    generator = np.random.default_rng(seed)
    positive = np.arange(records) % 3 == 0
    odds = generator.normal(size=(2, records)) * 1.5 + 2 * positive - 1
    return (
        1 / (1 + np.exp(-odds)),
        positive,
        generator.integers(0, 4, size=(5, records)).astype(np.float32),
    )


def test_rates_are_those_of_scikit_learns_confusion_matrix_with_weights():
    probability, positive, weights = answers(80, 0)
    found = rates(probability > 0.4, positive, weights)
    for column in range(2):
        for resample, row in enumerate(weights):
            (tn, fp), (fn, tp) = confusion_matrix(
                positive, probability[column] > 0.4, sample_weight=row
            )
            expected = (tp / (tp + fn), tn / (tn + fp), tp / (tp + fp), tn / (tn + fn))
            assert tuple(rate[column, resample] for rate in vars(found).values()) == pytest.approx(
                expected
            )


def test_predictive_values_of_decisions_that_nobody_got_are_missing():
    positive, once = np.array([True, False, False]), np.ones((1, 3))
    found = rates(np.zeros((1, 3), bool), positive, once)
    assert np.isnan(found.ppv).all() and found.npv == pytest.approx(2 / 3)
    assert np.isnan(rates(np.ones((1, 3), bool), positive, once).npv).all()


def test_brier_score_of_two_classes_equals_scikit_learns_and_of_more_the_sum_over_classes():
    probability, positive, weights = answers(60, 1)
    both = np.stack([1 - probability, probability], axis=-1)
    expected = [
        [brier_score_loss(positive, column, sample_weight=row) for row in weights]
        for column in probability
    ]
    assert brier(both, positive.astype(int), weights) == pytest.approx(np.array(expected))

    generator = np.random.default_rng(2)
    three, labels = generator.dirichlet(np.ones(3), size=(2, 60)), generator.integers(0, 3, 60)
    expected = [
        [
            np.average(
                [
                    sum((p[c] - (label == c)) ** 2 for c in range(3))
                    for p, label in zip(column, labels, strict=True)
                ],
                weights=row,
            )
            for row in weights
        ]
        for column in three
    ]
    assert brier(three, labels, weights) == pytest.approx(np.array(expected))


def test_log_odds_are_finite_where_an_answer_is_certain():
    probabilities = np.array([[0, 1], [1, 0], [0.25, 0.75]], np.float32)
    assert log_odds(probabilities, 1) == pytest.approx([13.8155, -13.8155, np.log(3)], abs=1e-4)


def test_the_calibration_line_equals_unpenalised_logistic_regression_of_scikit_learn_with_weights():
    probability, positive, weights = answers(150, 3)
    odds = np.log(probability / (1 - probability))
    slope, intercept = calibration_line(odds, positive, weights)
    for column in range(2):
        for resample, row in enumerate(weights):
            fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(
                odds[column][:, None], positive, sample_weight=row
            )
            assert slope[column, resample] == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
            # in the large, answers moved by the intercept are right on average
            at = intercept[column, resample]
            assert row @ expit(odds[column] + at) == pytest.approx(row @ positive)


def test_answers_that_are_too_sure_by_half_have_half_the_slope():
    probability, positive, weights = answers(150, 3)
    odds = np.log(probability / (1 - probability))
    once, twice = (
        calibration_line(odds, positive, weights)[0],
        calibration_line(2 * odds, positive, weights)[0],
    )
    assert twice == pytest.approx(once / 2)


@pytest.mark.parametrize("odds", [[-2, -1, 1, 2], [2, 1, -1, -2], [0, 0, 0, 0], [-1, 0, 0, 1]])
def test_a_calibration_slope_is_missing_where_the_classes_are_parted_and_the_large_is_not(odds):
    slope, intercept = calibration_line(
        np.array([odds], float), np.array([False, False, True, True]), np.ones((1, 4), np.float32)
    )
    assert np.isnan(slope).all() and intercept == pytest.approx(0, abs=1e-6)


def test_the_large_is_found_where_answers_are_sure_and_wrong():
    odds, positive = np.full((1, 40), 13.8), np.arange(40) == 0
    expected = -13.8 - np.log(39)
    assert calibration_line(odds, positive, np.ones((1, 40), np.float32))[1] == pytest.approx(
        expected
    )


def test_calibration_bins_are_equally_full_and_hold_what_was_said_and_what_was_so():
    probability, positive, _ = answers(100, 4)
    once = np.ones((1, 100))
    assert (calibration_bins(probability, positive, once, bins=10).records == 10).all()
    bins = calibration_bins(probability, positive, once, bins=5)
    for column, answer in enumerate(probability):
        for number, held in enumerate(np.split(np.argsort(answer), 5)):
            assert bins.probability[column, number] == pytest.approx(answer[held].mean())
            assert bins.share[column, number] == pytest.approx(positive[held].mean())


def test_equal_answers_share_a_bin_and_an_empty_bin_says_so():
    bins = calibration_bins(
        np.array([0.1, 0.1, 0.1, 0.9]),
        np.array([False, True, False, True]),
        np.ones((1, 4)),
        bins=4,
    )
    assert list(bins.records[:, 0]) == [0, 3, 0, 1] and list(np.isnan(bins.share[:, 0])) == [
        True,
        False,
        True,
        False,
    ]


def test_a_resample_of_bins_counts_a_record_as_often_as_it_is_drawn():
    probability, positive, weights = answers(100, 4)
    bins = calibration_bins(probability, positive, weights, bins=5)
    held = np.argsort(probability[0])[20:40]
    assert bins.records[0, 1] == pytest.approx(weights[:, held].sum(axis=1))
    assert bins.share[0, 1] == pytest.approx(
        weights[:, held] @ positive[held] / weights[:, held].sum(axis=1)
    )


def test_the_observed_calibration_error_is_the_weighted_gap_of_the_bins():
    probability, positive, weights = answers(95, 5)
    bins = calibration_bins(probability, positive, np.ones((1, 95)))
    expected = (np.abs(bins.share - bins.probability) * bins.records / 95).sum(axis=-2).mean()
    assert calibration_error(probability, positive, weights, 0.95).observed == pytest.approx(
        expected
    )


def test_a_calibration_error_of_chance_alone_is_near_nought_and_one_that_is_real_is_kept():
    generator = np.random.default_rng(1)
    found = {0.0: [], 0.2: []}
    for repetition in range(40):
        probability = generator.uniform(0.3, 0.7, 200)
        weights = bootstrap(
            np.arange(200).astype(str), np.zeros(200, int), 200, 0.95, repetition
        ).weights
        for moved, errors in found.items():
            positive = generator.random(200) < probability + moved
            errors.append(calibration_error(probability, positive, weights, 0.95))
    by_chance, real = found.values()
    assert np.mean([error.observed for error in by_chance]) > 0.07
    assert (
        np.mean([error.value for error in by_chance])
        < np.mean([error.observed for error in by_chance]) / 2
    )
    assert np.mean([error.value for error in real]) == pytest.approx(0.2, abs=0.02)
    assert all(error.low <= error.value <= error.high for error in by_chance + real)
    assert np.mean([error.low == 0 for error in by_chance]) >= 0.9
    assert np.mean([error.low <= 0.2 <= error.high for error in real]) >= 0.9


def test_an_error_that_is_smaller_than_chance_gives_is_not_called_none():
    """Shares that agree with the answers bin by bin, better than right answers would by luck."""
    probability = np.repeat([0.25, 0.75], 40)
    positive = np.concatenate([np.tile([1, 0, 0, 0], 10), np.tile([1, 1, 1, 0], 10)]).astype(bool)
    drawn = bootstrap(np.arange(80), positive.astype(int), 400, 0.95, seed=0).weights
    found = calibration_error(probability[None], positive, drawn, 0.95)
    assert found.observed < 1e-9 and (found.value, found.low) == (0, 0) and 0.02 < found.high < 0.2
