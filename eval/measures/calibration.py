"""Whether a probability means what it says here: as the method answers, and recalibrated.

Recalibration rests on labelled cases that the method has not adapted to.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from data_prep.tasks import SUPPORT_SPLIT
from eval.answers import HeldOut
from eval.intervals.draws import percentile_interval
from eval.intervals.estimate import Estimate, estimate, known, mean
from eval.results import Results
from eval.scores.label import scored_classes
from eval.scores.probabilities import (
    brier,
    calibration_bins,
    calibration_error,
    calibration_line,
    log_odds,
)

LEAST = 1e-12  # a probability counts as this much at least, so that its logarithm is finite
LOG_TEMPERATURES = (-5.0, 5.0)  # searched; the prior makes those beyond as good as impossible
AS_IS, RECALIBRATED = "as it answers", "recalibrated"


@dataclass(frozen=True)
class Line:
    """Calibration slope and intercept of one class against the rest; None where no draw has one."""

    name: str
    slope: Estimate | None
    intercept: Estimate | None


@dataclass(frozen=True)
class Calibration:
    """How good one set of probabilities is. `bins`: a row a bin of the reliability diagram."""

    state: str
    brier: Estimate
    error: Estimate
    lines: tuple[Line, ...]
    bins: pd.DataFrame


def temperatures(held_out: HeldOut) -> np.ndarray:
    """The temperature of each seed's and draw's probabilities (Guo 2017), fitted to its held-out
    cases: (seed, draw).

    Most probable under a standard normal prior of its logarithm: with few cases, or when all are
    right, likelihood alone knows no bound.
    """
    logs = _logs(held_out.probabilities)

    def fitted(of_draw: np.ndarray, labels: np.ndarray) -> float:
        def loss(log_t: float) -> float:
            return (
                log_t**2 / 2
                - log_softmax(of_draw / np.exp(log_t), axis=-1)[
                    np.arange(len(labels)), labels
                ].sum()
            )

        return float(np.exp(minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded").x))

    return np.array(
        [
            [
                fitted(of_draw, labels)
                for of_draw, labels in zip(of_seed, held_out.labels, strict=True)
            ]
            for of_seed in logs
        ]
    )


def recalibrated(
    probabilities: np.ndarray, found: np.ndarray, prevalence: np.ndarray
) -> np.ndarray:
    """Probabilities (seed, draw, record, class) after temperatures (seed, draw), moved from
    balanced classes to `prevalence` (Saerens 2002).
    """
    return softmax(_logs(probabilities) / found[:, :, None, None] + np.log(prevalence), axis=-1)


def labelled_patients(results: Results) -> pd.Series:
    """Patients of each class among those that labelled cases are drawn from; none of them is in the
    query set.
    """
    pool = results.cohort[results.cohort["split"] == SUPPORT_SPLIT[results.role]]
    return pool.groupby("label")["patient"].nunique().reindex(results.classes, fill_value=0)


def expected_error(results: Results, probabilities: np.ndarray) -> Estimate:
    """Expected calibration error of `probabilities` (seed, draw, record, class) for the query set,
    freed of what chance alone makes.
    """
    stated, so = _stated(results, probabilities)
    bootstrap = results.bootstrap
    found = calibration_error(stated, so, bootstrap.weights, bootstrap.confidence)
    by_draw = [
        calibration_error(
            stated[:, [draw]], so[:, [draw]], bootstrap.weights, bootstrap.confidence
        ).value
        for draw in range(stated.shape[1])
    ]
    return Estimate(
        found.value,
        found.low,
        found.high,
        *percentile_interval(np.array(by_draw), bootstrap.confidence),
        len(by_draw),
        len(by_draw),
    )


def _stated(results: Results, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the reliability diagram is about, and whether it was so: two classes: the second; more:
    the most probable one (Guo 2017).
    """
    labels = results.query.labels
    if probabilities.shape[-1] == 2:
        return probabilities[..., 1].astype(np.float64), np.broadcast_to(
            labels == 1, probabilities.shape[:-1]
        )
    return probabilities.max(axis=-1).astype(np.float64), probabilities.argmax(axis=-1) == labels


def calibration_of(results: Results, state: str, probabilities: np.ndarray) -> Calibration:
    labels, bootstrap = results.query.labels, results.bootstrap
    once = np.ones((1, len(labels)), np.float32)
    losses = (brier(probabilities, labels, weights) for weights in (once, bootstrap.weights))
    interval = partial(bootstrap.loss_interval, high=1 if len(results.classes) == 2 else 2)
    return Calibration(
        state,
        known(estimate(next(losses)[..., 0], next(losses), bootstrap.confidence, interval)),
        expected_error(results, probabilities),
        tuple(
            _line(results, probabilities, label, once)
            for label in scored_classes(len(results.classes))
        ),
        _bins(results, probabilities, once).assign(state=state),
    )


def _line(results: Results, probabilities: np.ndarray, label: int, once: np.ndarray) -> Line:
    odds, positive = log_odds(probabilities, label), results.query.labels == label
    here, resampled = (
        calibration_line(odds, positive, weights) for weights in (once, results.bootstrap.weights)
    )
    interval = partial(results.bootstrap.interval, low=-np.inf, high=np.inf)
    return Line(
        results.classes[label],
        *(
            estimate(value[..., 0], values, results.bootstrap.confidence, interval)
            for value, values in zip(here, resampled, strict=True)
        ),
    )


def _bins(results: Results, probabilities: np.ndarray, once: np.ndarray) -> pd.DataFrame:
    """The bins of the reliability diagram that hold an image: mean count, mean probability, and the
    share that was so.
    """
    here, resampled = (
        calibration_bins(*_stated(results, probabilities), weights)
        for weights in (once, results.bootstrap.weights)
    )
    bootstrap, rows = results.bootstrap, []
    for at in range(here.records.shape[-2]):
        held = np.asarray(here.members[..., at, :].any(axis=(0, 1)))
        interval = partial(bootstrap.interval, of=held)
        observed = estimate(
            here.share[..., at, 0], resampled.share[..., at, :], bootstrap.confidence, interval
        )
        if observed:
            rows.append(
                {
                    "bin": at + 1,
                    "images": here.records[..., at, 0].mean(),
                    "probability": float(mean(here.probability[..., at, 0], (0, 1))),
                    **vars(observed),
                }
            )
    return pd.DataFrame(rows).rename(columns={"value": "observed"})


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(probabilities.astype(np.float64).clip(LEAST))
