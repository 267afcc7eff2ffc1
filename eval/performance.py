"""performance.csv: every method's metrics at every k, with both uncertainties and the counts they rest on."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from eval.answers import Answers, Query, read_answers
from eval.metrics import auroc, balanced_accuracy, class_scores, scored_classes, weighted_auroc
from eval.uncertainty import against_rest, bootstrap, mean_half_width, percentile_interval

AUROC = "auroc"  # two classes: binary; more: mean over classes of one against the rest
BALANCED_ACCURACY = "balanced_accuracy"


def class_metric(name: str) -> str:
    """The metric's name for the AUROC of one class against the rest."""
    return f"{AUROC}:{name}"


def performance(
    predictions: pd.DataFrame,
    classes: list[str],
    resamples: int,
    confidence: float,
    seed: int,
    site: str = "the site",
) -> pd.DataFrame:
    """One row a method, k and metric: the mean over draws and seeds, and two intervals.

    patient_low, patient_high: interval of that mean over patients (`Bootstrap.interval`). draws_low, draws_high: the
    spread of the metric over support draws (mean over seeds in each), missing where there is one draw.
    Raises Refusal naming class and `site` if a class has no query patient.
    """
    query, every = read_answers(predictions, classes, site)
    drawn = bootstrap(query.patients, query.labels, resamples, confidence, seed)
    counts = {"patients": len(np.unique(query.patients)), "records": len(query.records)}
    rows = []
    for answers in every:
        for metric, of, by_draw, resampled in _measured(answers, query, classes, drawn.weights):
            patient_low, patient_high = drawn.interval(float(by_draw.mean()), resampled, of=of)
            draws_low, draws_high = percentile_interval(by_draw, confidence)
            rows.append(
                {
                    "method": answers.method,
                    "k": answers.k,
                    "metric": metric,
                    "value": float(by_draw.mean()),
                    "patient_low": patient_low,
                    "patient_high": patient_high,
                    "draws_low": draws_low,
                    "draws_high": draws_high,
                    "draws": len(by_draw),
                    **counts,
                }
            )
    return pd.DataFrame(rows)


def _measured(
    answers: Answers, query: Query, classes: list[str], weights: np.ndarray
) -> Iterator[tuple[str, np.ndarray | None, np.ndarray, np.ndarray]]:
    """Each metric's name, what it rests on, its value in each draw (mean over seeds), and in each resample (mean over draws and seeds)."""
    by_draw, resampled = _by_class(answers, query, weights)
    yield AUROC, None, np.mean(by_draw, axis=0), np.mean(resampled, axis=0)
    if len(classes) > 2:
        for label, name in enumerate(classes):
            yield (
                class_metric(name),
                against_rest(query.labels, [label]),
                by_draw[label],
                resampled[label],
            )

    accuracy = accuracy_by_draw(answers, query)
    correct = _correct(answers, query).mean(axis=(0, 1))
    yield BALANCED_ACCURACY, None, accuracy, balanced_accuracy(correct, query.labels, weights)


def auroc_of(answers: Answers, query: Query, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC in each draw (draw,) and in each resample (resample,); of more than two classes the mean of each against the rest."""
    by_draw, resampled = _by_class(answers, query, weights)
    return np.mean(by_draw, axis=0), np.mean(resampled, axis=0)


def _by_class(
    answers: Answers, query: Query, weights: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    scores = class_scores(answers.probabilities)  # (seed, draw, record, score)
    by_draw, resampled = [], []
    for score, label in enumerate(scored_classes(answers.probabilities.shape[-1])):
        column, positive = np.ascontiguousarray(scores[..., score]), query.labels == label
        by_draw.append(auroc(column, positive).mean(axis=0))
        resampled.append(weighted_auroc(column.reshape(-1, len(query.records)), positive, weights))
    return by_draw, resampled


def accuracy_by_draw(answers: Answers, query: Query) -> np.ndarray:
    """Balanced accuracy in each draw, mean over seeds: (draw,)."""
    once = np.ones((1, len(query.records)))
    return balanced_accuracy(_correct(answers, query), query.labels, once)[..., 0].mean(axis=0)


def _correct(answers: Answers, query: Query) -> np.ndarray:
    return (answers.probabilities.argmax(axis=-1) == query.labels).astype(np.float64)


def episode_accuracy(query: Query, every: list[Answers], confidence: float) -> pd.DataFrame:
    """N-way K-shot accuracy as few-shot papers print it: the mean over draws and half the width of its interval.

    It tells how well the mean over draws is known on these patients, so it is narrower than either uncertainty of `performance`.
    """
    rows = []
    for answers in every:
        by_draw = accuracy_by_draw(answers, query)
        half_width = mean_half_width(by_draw, confidence) if len(by_draw) > 1 else np.nan
        rows.append(
            {
                "method": answers.method,
                "k": answers.k,
                "way": answers.probabilities.shape[-1],
                "accuracy": float(by_draw.mean()),
                "half_width": half_width,
                "draws": len(by_draw),
            }
        )
    return pd.DataFrame(rows)
