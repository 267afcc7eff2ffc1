"""performance.csv: every method's scores at every k, with both uncertainties."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from eval.answers import Answers, Query, read_answers
from eval.intervals.draws import mean_half_width, percentile_interval
from eval.intervals.patients import bootstrap
from eval.scores.label import accuracy_by_draw
from eval.scores.score import LABEL, Score, scores_of


def performance(
    predictions: pd.DataFrame,
    classes: list[str],
    resamples: int,
    confidence: float,
    seed: int,
    site: str = "the site",
    kind: str = LABEL,
) -> pd.DataFrame:
    """One row a method, k and metric: the mean over draws and seeds, and two intervals.

    patient_low, patient_high: interval of that mean over patients (`Bootstrap.interval`).
    draws_low, draws_high: the spread of the metric over support draws (mean over seeds in each),
    missing where there is one draw. Raises Refusal naming class and `site` if a class has no query
    patient.
    """
    query, every = read_answers(predictions, classes, site)
    drawn = bootstrap(query.patients, query.labels, resamples, confidence, seed)
    counts = {"patients": len(np.unique(query.patients)), "records": len(query.records)}
    rows = []
    for answers in every:
        for score, metric, of, by_draw, resampled in _measured(
            scores_of(kind), answers, query, classes, drawn.weights
        ):
            value = float(by_draw.mean())
            patient_low, patient_high = drawn.interval(value, resampled, score.low, score.high, of)
            draws_low, draws_high = percentile_interval(by_draw, confidence)
            rows.append(
                {
                    "method": answers.method,
                    "k": answers.k,
                    "metric": metric,
                    "value": value,
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
    scores: Iterable[Score], answers: Answers, query: Query, classes: list[str], weights: np.ndarray
) -> Iterator[tuple[Score, str, np.ndarray | None, np.ndarray, np.ndarray]]:
    """Each score with its name, what it rests on (none: every class) and its values; its parts'."""
    for score in scores:
        parts = score.parts(len(classes))
        values = [score.part(answers, query, part, weights) for part in parts]
        by_draw, resampled = (np.mean(of_parts, axis=0) for of_parts in zip(*values, strict=True))
        yield score, score.name, None, by_draw, resampled
        if len(parts) > 1:
            for part, value in zip(parts, values, strict=True):
                rests_on = score.rests_on(query.labels, [part])
                yield score, score.of_class(classes[part]), rests_on, *value


def episode_accuracy(query: Query, every: list[Answers], confidence: float) -> pd.DataFrame:
    """N-way K-shot accuracy as few-shot papers print it: the mean over draws and half the width of
    its interval.

    It tells how well the mean over draws is known on these patients, so it is narrower than either
    uncertainty of `performance`.
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
