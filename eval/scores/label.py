"""The scores of answers that name one class: AUROC and balanced accuracy.

Shapes: `...` are draws or seeds; weights are (resample, record).
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from eval.answers import Answers, Query
from eval.scores.score import Measured, Score

POSITIVES_AT_ONCE = 512  # bounds the memory of weighted_auroc: this times the negatives, twice


def class_scores(probabilities: np.ndarray) -> np.ndarray:
    """What AUROC ranks by: (..., record, class) -> (..., record, score).

    Two classes share one score, p1 - p0, so it makes no difference which of them is called
    positive. Taken in float64 it also keeps apart answers that float32 rounds to p1 = 1. More
    classes: one score each, against the rest.
    """
    if probabilities.shape[-1] == 2:
        return np.diff(probabilities.astype(np.float64), axis=-1)
    return probabilities


def scored_classes(classes: int) -> list[int]:
    """The positive class of each score that `class_scores` makes."""
    return [1] if classes == 2 else list(range(classes))


def auroc(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, by mid-ranks (Mann-Whitney): (..., record) scores and (record,)
    truth -> (...).
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores, axis=-1)
    return (ranks[..., positive].sum(axis=-1) - positives * (positives + 1) / 2) / (
        positives * negatives
    )


def weighted_auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over columns of the weighted AUROC: (column, record), (record,), (resample, record) ->
    (resample,).

    AUROC is the weighted share of (positive, negative) pairs in the right order, a tie counting one
    half. It is bilinear in the weights, so the pairs are counted once over all columns and every
    resample is then a product with that count. With whole weights in float32 the products are whole
    numbers under 2**24, so nothing is rounded.
    """
    above, below = np.flatnonzero(positive), np.flatnonzero(~positive)
    weights_below = weights[:, below]
    total = np.zeros(len(weights))
    for start in range(0, len(above), POSITIVES_AT_ONCE):
        chunk = above[start : start + POSITIVES_AT_ONCE]
        won = _wins(scores[:, chunk], scores[:, below]).astype(weights.dtype)
        total += np.einsum("rn,rn->r", weights[:, chunk] @ won, weights_below, dtype=np.float64)
    positives, negatives = (
        part.sum(axis=1, dtype=np.float64) for part in (weights[:, above], weights_below)
    )
    return total / (positives * negatives) / (2 * len(scores))


def _wins(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """In how many columns each of `above` exceeds each of `below`, doubled, a tie counting one:
    (above, below).
    """
    won = np.zeros((above.shape[1], below.shape[1]), np.uint16)
    for high, low in zip(above, below, strict=True):
        won += high[:, None] > low
        won += high[:, None] >= low
    return won


def balanced_accuracy(correct: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean recall over classes: (..., record) share of right answers, (record,), (resample, record)
    -> (..., resample).

    Equals the accuracy that is expected of balanced N-way K-shot episodes: their queries hold
    equally many images of each class.
    """
    recalls = []
    for label in np.unique(labels):
        of_class = weights[:, labels == label].astype(np.float64)
        recalls.append(correct[..., labels == label] @ of_class.T / of_class.sum(axis=1))
    return np.mean(recalls, axis=0)


def against_rest(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """What a mean AUROC of each of `classes` against the rest rests on: (group, record).

    Their images, and the others.
    """
    own = labels == np.asarray(classes)[:, None]
    return np.concatenate([own, ~own])


def auroc_of_class(answers: Answers, query: Query, label: int, weights: np.ndarray) -> Measured:
    """AUROC of one class against the rest."""
    classes = answers.probabilities.shape[-1]
    scores = class_scores(answers.probabilities)  # (seed, draw, record, score)
    column = np.ascontiguousarray(scores[..., scored_classes(classes).index(label)])
    positive = query.labels == label
    resampled = weighted_auroc(column.reshape(-1, len(query.records)), positive, weights)
    return auroc(column, positive).mean(axis=0), resampled


def accuracy(answers: Answers, query: Query, part: int, weights: np.ndarray) -> Measured:
    """Balanced accuracy of the most probable class."""
    right = _right(answers, query).mean(axis=(0, 1))
    return accuracy_by_draw(answers, query), balanced_accuracy(right, query.labels, weights)


def accuracy_by_draw(answers: Answers, query: Query) -> np.ndarray:
    """Balanced accuracy in each draw, mean over seeds: (draw,)."""
    once = np.ones((1, len(query.records)))
    return balanced_accuracy(_right(answers, query), query.labels, once)[..., 0].mean(axis=0)


def _right(answers: Answers, query: Query) -> np.ndarray:
    return (answers.probabilities.argmax(axis=-1) == query.labels).astype(np.float64)


AUROC = Score(
    name="auroc",
    title="AUROC",
    part=auroc_of_class,
    parts=scored_classes,
    rests_on=against_rest,
    chance=lambda classes: 0.5,
    meaning="AUROC is the chance that an image of one class is ranked above one of another: "
    "0.5 is guessing, 1 is without error",
    several="the mean over classes, each against the rest",
)
BALANCED_ACCURACY = Score(
    name="balanced_accuracy",
    title="balanced accuracy",
    part=accuracy,
    chance=lambda classes: 1 / classes,
    several="the mean of the classes' recalls",
)
SCORES = (AUROC, BALANCED_ACCURACY)
