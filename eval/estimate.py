"""One number of a page with both of its uncertainties."""

from dataclasses import dataclass

import numpy as np

from eval.uncertainty import Bootstrap, percentile_interval


@dataclass(frozen=True)
class Estimate:
    """A statistic's mean over draws and seeds, its interval over patients and its spread over draws (None where there is one draw)."""

    value: float
    patient_low: float
    patient_high: float
    draws_low: float | None
    draws_high: float | None


def estimate(value: float, by_draw: np.ndarray, resampled: np.ndarray, bootstrap: Bootstrap, low: float = 0.0, high: float = 1.0) -> Estimate:
    """A statistic that lies between `low` and `high`, from its values in each draw and in each resample; those that are undefined are left out."""
    by_draw, resampled = by_draw[np.isfinite(by_draw)], resampled[np.isfinite(resampled)]
    draws = percentile_interval(by_draw, bootstrap.confidence) if len(by_draw) > 1 else (None, None)
    return Estimate(float(value), *bootstrap.interval(float(value), resampled, low, high), *draws)


def share(part: np.ndarray, whole: np.ndarray, bootstrap: Bootstrap, high: float = 1.0) -> Estimate | None:
    """The sum of `part` over that of `whole`, both (seed, draw, record) or of such a shape; None where `whole` holds nothing.

    The sums go over seeds and draws too, so that the share is defined wherever one draw has something, and agrees with the mean counts.
    """
    part, whole = np.broadcast_arrays(part, whole)
    if not whole.any():
        return None
    above, below = part.mean(axis=(0, 1), dtype=np.float64), whole.mean(axis=(0, 1), dtype=np.float64)
    with np.errstate(invalid="ignore"):  # a draw or a resample in which `whole` holds nothing
        by_draw = part.sum(axis=(0, 2), dtype=np.float64) / whole.sum(axis=(0, 2), dtype=np.float64)
        resampled = (bootstrap.weights @ above) / (bootstrap.weights @ below)
    return estimate(above.sum() / below.sum(), by_draw, resampled, bootstrap, high=high)
