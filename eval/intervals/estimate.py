"""One number of a page with both of its uncertainties."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from eval.intervals.draws import percentile_interval
from eval.intervals.patients import Bootstrap

# of a value and its values in resamples
Interval = Callable[[float, np.ndarray], tuple[float, float]]


@dataclass(frozen=True)
class Estimate:
    """A statistic's mean over draws and seeds, its interval over patients and its spread over draws
    (NaN where there is one draw).

    `draws`: how many of `all_draws` have a value; it is the mean over these.
    """

    value: float
    patient_low: float
    patient_high: float
    draws_low: float
    draws_high: float
    draws: int
    all_draws: int


def estimate(
    values: np.ndarray, resampled: np.ndarray, confidence: float, interval: Interval
) -> Estimate | None:
    """A statistic from its values (seed, draw), and in resamples (seed, draw, resample) or their
    mean (resample,); `interval` is that over patients.

    NaN where it is not defined; None where it is so in every draw.
    """
    by_draw = mean(values, (0,))
    finite = by_draw[np.isfinite(by_draw)]
    if not len(finite):
        return None
    value = float(finite.mean())
    over_patients = interval(value, mean(resampled, tuple(range(resampled.ndim - 1))))
    return Estimate(
        value, *over_patients, *percentile_interval(finite, confidence), len(finite), len(by_draw)
    )


def known(found: Estimate | None) -> Estimate:
    """The estimate of a statistic that some draw has.

    Raises ValueError where none has.
    """
    if found is None:
        raise ValueError("a statistic that no draw has a value of")
    return found


def share(
    part: np.ndarray, whole: np.ndarray, bootstrap: Bootstrap, high: float = 1.0
) -> Estimate | None:
    """What `part` is of `whole`, both (seed, draw, record) or of such a shape, in each draw; None
    where `whole` is empty in every draw.
    """
    part, whole = np.broadcast_arrays(part, whole)
    drawn = bootstrap.weights.T.astype(np.float64)
    with np.errstate(invalid="ignore"):  # a draw or a resample in which `whole` holds nothing
        return estimate(
            part.sum(axis=-1) / whole.sum(axis=-1),
            (part @ drawn) / (whole @ drawn),
            bootstrap.confidence,
            partial(bootstrap.interval, high=high, of=np.asarray(whole.any(axis=(0, 1)))),
        )


def mean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mean over `axes` of what is finite; NaN where nothing is."""
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(finite, values, 0).sum(axis=axes) / finite.sum(axis=axes)
