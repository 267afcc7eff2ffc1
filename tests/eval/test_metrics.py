"""Metrics agree with scikit-learn, ties and weights included, and are exact."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from eval import metrics
from eval.metrics import auroc, balanced_accuracy, class_scores, confusion, weighted_auroc


def tied_scores(columns: int, records: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a coarse grid, so that many are tied, and truth with both classes."""
    generator = np.random.default_rng(seed)
    positive = generator.random(records) < 0.3
    positive[:2] = True, False
    return np.round(generator.normal(size=(columns, records)) + positive, 1), positive


@pytest.mark.parametrize("seed", range(5))
def test_auroc_equals_scikit_learn_with_ties(seed):
    scores, positive = tied_scores(3, 80, seed)
    assert auroc(scores, positive) == pytest.approx([roc_auc_score(positive, column) for column in scores])


@pytest.mark.parametrize("seed", range(5))
def test_weighted_auroc_equals_scikit_learn_with_ties_and_weights_that_may_be_nought(seed):
    scores, positive = tied_scores(4, 60, seed)
    weights = np.random.default_rng(seed).integers(0, 4, size=(6, 60)).astype(float)
    expected = [np.mean([roc_auc_score(positive, column, sample_weight=row) for column in scores]) for row in weights]
    assert weighted_auroc(scores, positive, weights) == pytest.approx(expected, abs=1e-12)


def test_weighted_auroc_with_whole_weights_is_exact_in_single_precision():
    scores, positive = tied_scores(20, 500, 0)
    weights = np.random.default_rng(1).integers(0, 5, size=(10, 500))
    assert (weighted_auroc(scores, positive, weights.astype(np.float32))
            == weighted_auroc(scores, positive, weights.astype(np.float64))).all()


def test_weighted_auroc_does_not_depend_on_how_many_positives_are_taken_at_once(monkeypatch):
    scores, positive = tied_scores(3, 70, 2)
    weights = np.ones((1, 70))
    whole = weighted_auroc(scores, positive, weights)
    monkeypatch.setattr(metrics, "POSITIVES_AT_ONCE", 4)
    assert weighted_auroc(scores, positive, weights) == whole == pytest.approx(auroc(scores, positive).mean())


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
    assert balanced_accuracy((predicted == labels).astype(float), labels, weights) == pytest.approx(expected)


def test_balanced_accuracy_is_the_expected_accuracy_of_balanced_episodes():
    generator = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], [200, 40, 10])
    correct = generator.random(250) < np.array([0.9, 0.5, 0.2])[labels]
    of_class = [np.flatnonzero(labels == label) for label in range(3)]
    episodes = [np.mean([correct[generator.choice(images, 5)] for images in of_class]) for _ in range(4000)]
    assert balanced_accuracy(correct.astype(float), labels, np.ones((1, 250)))[0] == pytest.approx(np.mean(episodes), abs=0.006)


def test_confusion_is_the_mean_of_scikit_learns_over_draws_with_the_truth_in_rows():
    generator = np.random.default_rng(5)
    labels, probabilities = generator.integers(0, 3, 40), generator.random((2, 4, 40, 3))
    expected = np.mean([confusion_matrix(labels, p.argmax(1), labels=range(3)) for p in probabilities.reshape(-1, 40, 3)], axis=0)
    assert confusion(probabilities, labels) == pytest.approx(expected)
