"""The uncertainty over patients: had others been tested."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

# of a patient a class that went the other way: what none of these showed (docs/statistics.md)
PSEUDO, LOSS_PSEUDO = (
    0.125,
    0.0001,
)


@dataclass(frozen=True)
class Bootstrap:
    """What every statistic over a query set's patients is resampled with, so that all share the
    same resamples.

    `weights`: (resample, record) float32, how often each record is drawn. `patients`, `labels`:
    (record,) int, whose it is and of which class.
    """

    weights: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    confidence: float

    def interval(
        self,
        value: float,
        resampled: np.ndarray,
        low: float = 0.0,
        high: float = 1.0,
        of: np.ndarray | None = None,
    ) -> tuple[float, float]:
        """The interval over patients of a statistic that lies in [low, high], from its `value` and
        (resample,) `resampled`.

        Bounded ([0, 1] a share or AUROC, [-1, 1] a difference of two): Wilson's (1927) score
        interval with as many patients as the bootstrap's variance amounts to, so it has a width at
        a bound too. `of`: (record,) bool, the records that the statistic is a share of
        (sensitivity: the positives; PPV: those called positive), or (group, record), those that it
        is a mean over shares of (AUROC of one class: its images, and the others); else it rests on
        every class. Unbounded ([-inf, inf], a slope): normal, with the spread of the resamples'
        central 68 %, which a few nearly separated ones cannot stretch. Resamples without a value
        (NaN) are left out; no value, or none in half of the resamples, gives (nan, nan).
        """
        z = stats.norm.ppf((1 + self.confidence) / 2)
        if not np.isinf([low, high]).any():
            return self._score(value, resampled, low, high, z, PSEUDO, self._tested(of))
        resampled = self._found(value, resampled)
        if not len(resampled):
            return np.nan, np.nan
        half = z * np.diff(np.quantile(resampled, stats.norm.cdf([-1, 1])))[0] / 2
        return float(value - half), float(value + half)

    def loss_interval(
        self, value: float, resampled: np.ndarray, high: float = 1.0
    ) -> tuple[float, float]:
        """The same for a mean loss in [0, `high`] (Brier), which varies less than a share: with
        Student's t of the smallest class's patients.
        """
        patients = self._tested(None)
        critical = stats.t.ppf((1 + self.confidence) / 2, max(patients.min() - 1, 1))
        return self._score(value, resampled, 0.0, high, critical, LOSS_PSEUDO, patients)

    def p_value(
        self, difference: float, resampled: np.ndarray, low: float = -1.0, high: float = 1.0
    ) -> float:
        """Two-sided, of no difference of two shares: how many resamples stray from `difference` as
        far as it strays from nought.

        With one added to both counts (Davison and Hinkley 1997, 4.4), so it is never nought, and
        with the variance of `interval`. NaN where that has no interval.
        """
        resampled = self._found(difference, resampled)
        if not len(resampled):
            return np.nan
        variance = np.var(resampled, ddof=1)
        far = abs(difference) * np.sqrt(
            variance / (variance + _added(PSEUDO / (high - low) ** 2, self._tested(None)))
        )
        return float((1 + np.sum(np.abs(resampled - difference) >= far)) / (1 + len(resampled)))

    def _found(self, value: float, resampled: np.ndarray) -> np.ndarray:
        """The resamples' values; none where there are too few, or there is no `value`."""
        found = resampled[np.isfinite(resampled)]
        return found if np.isfinite(value) and 2 * len(found) >= len(self.weights) else found[:0]

    def _score(
        self,
        value: float,
        resampled: np.ndarray,
        low: float,
        high: float,
        critical: float,
        pseudo: float,
        patients: np.ndarray,
    ) -> tuple[float, float]:
        """Wilson's interval.

        With no variance the patients that are tested are `equal`, those of a mean over classes of
        shares.
        """
        resampled = self._found(value, resampled)
        if not len(resampled):
            return np.nan, np.nan
        added = _added(pseudo / (high - low) ** 2, patients)
        equal = len(patients) ** 2 / np.sum(1 / patients)
        tested = ((value - low) * (high - value) + added * equal) / (
            np.var(resampled, ddof=1) + added
        )
        return _wilson(value, tested, critical, low, high)

    def _tested(self, of: np.ndarray | None) -> np.ndarray:
        """How many patients a statistic rests on: of each class, or of each group where it is a
        share `of` some records.
        """
        if of is not None:
            return np.array(
                [float(len(np.unique(self.patients[group]))) for group in np.atleast_2d(of)]
            )
        pairs = np.unique(self.labels.astype(np.int64) * len(self.patients) + self.patients)
        return np.unique(pairs // len(self.patients), return_counts=True)[1].astype(float)


def bootstrap(
    patients: np.ndarray, labels: np.ndarray, resamples: int, confidence: float, seed: int
) -> Bootstrap:
    """Stratified patient bootstrap of (record,) patients and labels.

    Patients are redrawn within strata, and bring all of their images. A patient's stratum is the
    set of their labels, so every resample holds every class. Of a stratum's n patients one is left
    out at random, then n are drawn with replacement from the others: the bootknife (Hesterberg
    2004), whose variance is not too small by (n - 1) / n. A stratum's only patient is always drawn
    once.
    """
    names, patient_of = np.unique(patients, return_inverse=True)
    labels_of: list[set[int]] = [set() for _ in names]
    for patient, label in zip(patient_of, labels, strict=True):
        labels_of[patient].add(int(label))
    strata: dict[tuple[int, ...], list[int]] = {}
    for patient, found in enumerate(labels_of):
        strata.setdefault(tuple(sorted(found)), []).append(patient)

    generator = np.random.default_rng(seed)
    drawn = np.ones((resamples, len(names)), np.float32)
    for _, members in sorted(strata.items()):
        if len(members) > 1:
            drawn[:, members] = _bootknife(len(members), resamples, generator)
    return Bootstrap(drawn[:, patient_of], patient_of, labels, confidence)


def _bootknife(patients: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each patient of one stratum is drawn: (resample, patient)."""
    others = np.full(patients - 1, 1 / (patients - 1))
    kept = generator.integers(patients, size=(resamples, 1)) != np.arange(patients)
    drawn = np.zeros((resamples, patients), np.float32)
    drawn[kept] = generator.multinomial(patients, others, size=resamples).ravel()
    return drawn


def _added(pseudo: float, patients: np.ndarray) -> float:
    """The variance that `pseudo` of a patient a class gives a mean over classes of shares."""
    return float(pseudo * np.sum(1 / patients**2) / len(patients) ** 2)


def _wilson(
    value: float, tested: float, critical: float, low: float, high: float
) -> tuple[float, float]:
    """Wilson's score interval of a share of `tested` patients, for a statistic in [low, high]."""
    share, extra = (value - low) / (high - low), critical**2 / tested
    half = np.sqrt(extra * (share * (1 - share) + extra / 4))
    ends = (
        np.clip((share + extra / 2 + np.array([-half, half])) / (1 + extra), 0, 1) * (high - low)
        + low
    )
    # rounding may leave a bound on the wrong side of its value
    return min(float(ends[0]), value), max(float(ends[1]), value)
