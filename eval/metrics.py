"""How good answers are: AUROC, balanced accuracy, confusion counts. Shapes: `...` are draws, seeds or resamples."""

import numpy as np
from scipy.stats import rankdata

POSITIVES_AT_ONCE = 512  # bounds the memory of weighted_auroc: this times the negatives, twice


def class_scores(probabilities: np.ndarray) -> np.ndarray:
    """What AUROC ranks by: (..., record, class) -> (..., record, score).

    Two classes share one score, p1 - p0, so it makes no difference which of them is called positive. Taken in float64 it also
    keeps apart answers that float32 rounds to p1 = 1. More classes: one score each, against the rest.
    """
    if probabilities.shape[-1] == 2:
        return np.diff(probabilities.astype(np.float64), axis=-1)
    return probabilities


def scored_classes(classes: int) -> list[int]:
    """The positive class of each score that `class_scores` makes."""
    return [1] if classes == 2 else list(range(classes))


def auroc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, by mid-ranks (Mann-Whitney): (..., record) scores and (record,) truth -> (...)."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores, axis=-1)
    return (ranks[..., positive].sum(axis=-1) - positives * (positives + 1) / 2) / (positives * negatives)


def weighted_auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over columns of the weighted AUROC: (column, record), (record,), (resample, record) -> (resample,).

    AUROC is the weighted share of (positive, negative) pairs in the right order, a tie counting one half. It is bilinear in the
    weights, so the pairs are counted once over all columns and every resample is then a product with that count. With whole
    weights in float32 the products are whole numbers under 2**24, so nothing is rounded.
    """
    above, below = np.flatnonzero(positive), np.flatnonzero(~positive)
    weights_below = weights[:, below]
    total = np.zeros(len(weights))
    for start in range(0, len(above), POSITIVES_AT_ONCE):
        chunk = above[start:start + POSITIVES_AT_ONCE]
        won = _wins(scores[:, chunk], scores[:, below]).astype(weights.dtype)
        total += np.einsum("rn,rn->r", weights[:, chunk] @ won, weights_below, dtype=np.float64)
    pairs = weights[:, above].sum(axis=1, dtype=np.float64) * weights_below.sum(axis=1, dtype=np.float64)
    return total / pairs / (2 * len(scores))


def _wins(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """In how many columns each of `above` exceeds each of `below`, doubled, a tie counting one: (above, below)."""
    won = np.zeros((above.shape[1], below.shape[1]), np.uint16)
    for high, low in zip(above, below, strict=True):
        won += high[:, None] > low
        won += high[:, None] >= low
    return won


def balanced_accuracy(correct: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean recall over classes: (..., record) share of right answers, (record,), (resample, record) -> (..., resample).

    Equals the accuracy that is expected of balanced N-way K-shot episodes: their queries hold equally many images of each class.
    """
    recalls = []
    for label in np.unique(labels):
        of_class = weights[:, labels == label].astype(np.float64)
        recalls.append(correct[..., labels == label] @ of_class.T / of_class.sum(axis=1))
    return np.mean(recalls, axis=0)


def confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean counts over the leading axes: (..., record, class), (record,) -> (true class, predicted class)."""
    classes = probabilities.shape[-1]
    predicted = probabilities.argmax(axis=-1).reshape(-1, len(labels))
    cells = np.bincount((labels * classes + predicted).ravel(), minlength=classes**2)
    return cells.reshape(classes, classes) / len(predicted)
