"""The uncertainty over draws: had other cases been labelled."""

import numpy as np
from scipy import stats


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The central `confidence` share of `values`; (nan, nan) of one, which has no spread."""
    if len(values) == 1:
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def mean_half_width(values: np.ndarray, confidence: float) -> float:
    """Half the width of Student's interval for the mean of independent `values` (standard deviation
    with ddof 1); needs two.
    """
    return float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values))
