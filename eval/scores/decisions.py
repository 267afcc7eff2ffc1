"""What decisions are worth: confusion, sensitivity, specificity and predictive values.

Shapes: `...` are draws or seeds; weights are (resample, record).
"""

from dataclasses import dataclass

import numpy as np


def confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean counts over the leading axes: (..., record, class), (record,) -> (true class, predicted
    class).
    """
    classes = probabilities.shape[-1]
    predicted = probabilities.argmax(axis=-1).reshape(-1, len(labels))
    cells = np.bincount((labels * classes + predicted).ravel(), minlength=classes**2)
    return cells.reshape(classes, classes) / len(predicted)


@dataclass(frozen=True)
class Rates:
    """What decisions are worth, each (..., resample); NaN where nobody is in the denominator.

    PPV and NPV hold at the records' prevalence.
    """

    sensitivity: np.ndarray
    specificity: np.ndarray
    ppv: np.ndarray
    npv: np.ndarray


def rates(decided: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> Rates:
    """Of yes-or-no decisions at a threshold: (..., record) bool, (record,) truth, (resample,
    record).
    """
    weights = weights.astype(np.float64)
    yes = decided.astype(np.float64)
    true_yes, false_yes = (
        yes[..., positive] @ weights[:, positive].T,
        yes[..., ~positive] @ weights[:, ~positive].T,
    )
    positives, negatives = weights[:, positive].sum(axis=1), weights[:, ~positive].sum(axis=1)
    true_no, false_no = negatives - false_yes, positives - true_yes
    with np.errstate(invalid="ignore"):
        return Rates(
            true_yes / positives,
            true_no / negatives,
            true_yes / (true_yes + false_yes),
            true_no / (true_no + false_no),
        )
