"""How good probabilities are: Brier score, calibration line, bins and error.

Shapes: `...` are draws or seeds; weights are (resample, record).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logit
from scipy.stats import rankdata

SURE = 1e-6  # how near to 0 or 1 a probability counts as such in log odds
NEWTON_STEPS, NEWTON_STRIDE, NEWTON_SETTLED = 30, 2.0, 1e-4
BINS = 10  # of the calibration error
# of the observed gaps, between which a calibration error is looked for
MULTIPLES = np.linspace(0, 3, 31)


def brier(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Brier score: (..., record, class), (record,), (resample, record) -> (..., resample).

    Two classes: mean of (p1 - y)^2, from 0 to 1. More: the sum over classes, from 0 to 2, as Brier
    (1950) has it.
    """
    missed = (probabilities - np.eye(probabilities.shape[-1])[labels]) ** 2
    losses = missed[..., 1] if probabilities.shape[-1] == 2 else missed.sum(axis=-1)
    return losses @ weights.T / weights.sum(axis=1, dtype=np.float64)


def log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    """log(p / (1 - p)) of one class: (..., record, class) -> (..., record); p is held to [1e-6, 1 -
    1e-6].
    """
    return logit(probabilities[..., label].astype(np.float64).clip(SURE, 1 - SURE))


def calibration_line(
    odds: np.ndarray, positive: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Calibration slope and calibration-in-the-large: (..., record) log odds, (record,), (resample,
    record) -> twice (..., resample).

    Slope: logistic regression of the outcome on the log odds (Cox 1958); under 1 the answers are
    too sure. In the large: the intercept with the slope held at 1 (Van Calster 2019); under 0 the
    answers are too high. A slope is NaN where the log odds part positives from negatives, for then
    no finite one fits best (Albert and Anderson 1984).
    """
    once, slopes, intercepts = np.ones((1, len(positive)), np.float32), [], []
    for column in odds.reshape(-1, odds.shape[-1]).astype(np.float32):
        line, level, none = (
            np.stack([np.ones_like(column), column], axis=1),
            np.ones((len(column), 1), np.float32),
            np.zeros_like(column),
        )
        starts = (
            _logistic(line, none, positive, once, np.zeros(2)),
            _logistic(level, column, positive, once, np.zeros(1)),
        )
        slope = _logistic(line, none, positive, weights, np.nan_to_num(starts[0][0]))[:, 1]
        slopes.append(np.where(_overlap(column, positive, weights > 0), slope, np.nan))
        intercepts.append(
            _logistic(level, column, positive, weights, np.nan_to_num(starts[1][0]))[:, 0]
        )
    shape = (*odds.shape[:-1], len(weights))
    return np.reshape(slopes, shape), np.reshape(intercepts, shape)


def _overlap(odds: np.ndarray, positive: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Whether in a resample some negative lies above some positive and the other way round:
    (resample,), from `drawn` (resample, record).
    """

    def ends(of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.flatnonzero(of)[np.argsort(odds[of])]
        there, rising = drawn[:, order], odds[order]
        return rising[there.argmax(axis=1)], rising[::-1][there[:, ::-1].argmax(axis=1)]

    (low, high), (other_low, other_high) = ends(positive), ends(~positive)
    return (low < other_high) & (other_low < high)


def _logistic(
    design: np.ndarray,
    offset: np.ndarray,
    positive: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """Weighted logistic regression by Newton's method: (record, column), (record,), (record,),
    (resample, record) -> (resample, column).

    NaN where it has not settled after NEWTON_STEPS. In single precision, which is twice as fast and
    settles far below any standard error.
    """
    columns, sign = design.shape[1], 2 * positive.astype(np.float32) - 1
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    found, active, drawn = (
        np.tile(start, (len(weights), 1)),
        np.arange(len(weights)),
        weights.astype(np.float32),
    )
    # all start from one point, so that the first step is a product alone
    at = start[None].astype(np.float32)
    for _ in range(NEWTON_STEPS):
        # 2p - 1, so that p (1 - p) is a quarter of 1 - expected^2
        expected = np.tanh(at / 2 @ design.T + offset / 2)
        gradient = (drawn * (sign - expected)) @ design / 2
        curvature = (drawn * (1 - expected**2)) @ squares / 4
        # where all are sure there is none
        curved = curvature.reshape(-1, columns, columns).astype(np.float64) + 1e-9 * np.eye(columns)
        step = np.linalg.solve(curved, gradient[..., None])[..., 0].clip(
            -NEWTON_STRIDE, NEWTON_STRIDE
        )
        found[active] += step
        moving = np.abs(step).max(axis=1) > NEWTON_SETTLED
        active, drawn = active[moving], drawn[moving]
        if not len(active):
            break
        at = found[active].astype(np.float32)
    found[active] = np.nan
    return found


@dataclass(frozen=True)
class Bins:
    """Equally full bins of answers, each (..., bin, resample): records, mean probability, share
    that is positive (NaN in an empty bin).

    `members`: (..., bin, record), which records each bin holds.
    """

    records: np.ndarray
    probability: np.ndarray
    share: np.ndarray
    members: np.ndarray


def calibration_bins(
    probability: np.ndarray, positive: np.ndarray, weights: np.ndarray, bins: int = BINS
) -> Bins:
    """What was said and what was so, bin by bin: (..., record), (..., record) truth, (resample,
    record) -> (..., bin, resample).
    """
    member, drawn = _members(probability, bins), weights.T.astype(np.float64)
    records = member @ drawn
    with np.errstate(invalid="ignore"):
        return Bins(
            records,
            (member * probability[..., None, :]) @ drawn / records,
            (member * positive[..., None, :]) @ drawn / records,
            member,
        )


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error: as `observed`, which chance alone makes larger, and freed of
    chance, with its interval over patients.
    """

    observed: float
    value: float
    low: float
    high: float


def calibration_error(
    probability: np.ndarray,
    positive: np.ndarray,
    weights: np.ndarray,
    confidence: float,
    bins: int = BINS,
) -> CalibrationError:
    """The mean over records of |share - mean probability| of their bin, bins equally full: (...,
    record), (record,), (resample, record).

    Mean over the leading axes. The resamples say how chance moves the bins' gaps. As multiple of
    the gaps that were observed, `value` is the one with which chance would give the observed error
    as a median, `low` and `high` are those with which it would be just too large or too small: a
    bootstrap test inverted (Carpenter 1999). So `low` is 0 where chance alone may be behind all of
    it.
    """
    signed = _members(probability, bins) * (positive - probability)[..., None, :]
    # (..., bin, 1); of a bin with a tenth of the records a tenth of its gap
    gaps = signed.mean(axis=-1)[..., None]
    # (..., bin, resample)
    chance = signed @ weights.T.astype(np.float64) / weights.sum(axis=1, dtype=np.float64) - gaps
    tails = [(1 - confidence) / 2, 0.5, (1 + confidence) / 2]
    found = [np.quantile(_mean_error(times * gaps + chance), tails) for times in MULTIPLES]
    small, median, large = np.maximum.accumulate(found).T
    observed = float(_mean_error(gaps)[0])
    value, low, high = (
        observed * float(np.interp(observed, errors, MULTIPLES))
        for errors in (median, large, small)
    )
    # smaller than chance alone gives: no multiple fits, and an error as large as chance's could not
    # have been seen
    if observed < small[0]:
        high = float(median[0])
    return CalibrationError(observed, value, low, high)


def _mean_error(gaps: np.ndarray) -> np.ndarray:
    """(..., bin, resample) -> (resample,)."""
    errors = np.abs(gaps).sum(axis=-2)
    return errors.reshape(-1, errors.shape[-1]).mean(axis=0)


def _members(probability: np.ndarray, bins: int) -> np.ndarray:
    """Which bin holds which record, by rank, equal answers together: (..., record) -> (..., bin,
    record) float.
    """
    number = np.ceil(rankdata(probability, axis=-1) * bins / probability.shape[-1]).astype(int) - 1
    return (number[..., None, :] == np.arange(bins)[:, None]).astype(float)
