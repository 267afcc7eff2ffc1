"""Two uncertainties, never merged: over patients (had others been tested), over draws (had other cases been labelled)."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Bootstrap:
    """Resamplings of one set of records. `weights`: how often each record is drawn, (resample, record) float32."""

    weights: np.ndarray
    confidence: float

    def interval(self, value: float, resampled: np.ndarray, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
        """The interval over patients of a statistic that lies between `low` and `high`, from its values in the resamples."""
        return percentile_interval(resampled, self.confidence)


def bootstrap(patients: np.ndarray, labels: np.ndarray, resamples: int, confidence: float, seed: int) -> Bootstrap:
    """Resample patients within strata, see `patient_weights`."""
    return Bootstrap(patient_weights(patients, labels, resamples, seed), confidence)


def patient_weights(patients: np.ndarray, labels: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Stratified patient bootstrap: how often each record is drawn, (resample, record) float32.

    Patients are redrawn with replacement (Efron 1979) within strata, and bring all of their images. A patient's stratum is the
    set of their labels, so every resample holds every class. All metrics share the resamples.
    """
    names, patient_of = np.unique(patients, return_inverse=True)
    labels_of: list[set[int]] = [set() for _ in names]
    for patient, label in zip(patient_of, labels, strict=True):
        labels_of[patient].add(int(label))
    strata: dict[tuple[int, ...], list[int]] = {}
    for patient, found in enumerate(labels_of):
        strata.setdefault(tuple(sorted(found)), []).append(patient)

    generator = np.random.default_rng(seed)
    drawn = np.zeros((resamples, len(names)), np.float32)
    for _, members in sorted(strata.items()):
        drawn[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), size=resamples)
    return drawn[:, patient_of]


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The central `confidence` share of `values`."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def mean_half_width(values: np.ndarray, confidence: float) -> float:
    """Half the width of Student's interval for the mean of independent `values` (standard deviation with ddof 1); needs two."""
    return float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values))
