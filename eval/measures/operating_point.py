"""The operating point: a threshold fixed on source patients, and what it does at this site."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

import numpy as np

from eval.answers import Answers, Query, read_answers
from eval.intervals.estimate import Estimate, estimate, known
from eval.results import Results
from eval.scores.decisions import rates
from eval.scores.label import class_scores, scored_classes

ROUNDING = 1e-9  # a share of exactly the sensitivity asked for counts as reaching it
DIGITS = 9  # of a Youden index: sums in another order make no other choice
MEASURES = ("sensitivity", "specificity", "ppv", "npv")


class Counts(TypedDict):
    """Patients and images with a class, and without it."""

    positive_patients: int
    positives: int
    negative_patients: int
    negatives: int


class Shares(TypedDict):
    """What each of MEASURES comes to."""

    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate | None
    npv: Estimate | None


@dataclass(frozen=True)
class SourcePoint:
    """What a source site had at the threshold: shares of images, mean over draws and seeds."""

    site: str
    sensitivity: float
    specificity: float
    positive_patients: int
    positives: int
    negative_patients: int
    negatives: int


@dataclass(frozen=True)
class OperatingPoint:
    """One class, called positive where its probability is at least `threshold`; counts of images
    are means over draws and seeds.

    `ppv` and `npv` are at the site's own prevalence, and None where no image is called positive, or
    none negative.
    """

    name: str
    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate | None
    npv: Estimate | None
    true_positives: float
    false_negatives: float
    true_negatives: float
    false_positives: float
    positive_patients: int
    positives: int
    negative_patients: int
    negatives: int
    sources: tuple[SourcePoint, ...]

    @property
    def prevalence(self) -> float:
        """Share of the query images that are of this class."""
        return self.positives / (self.positives + self.negatives)


def operating_points(results: Results) -> list[OperatingPoint]:
    """One a class, or the second class's alone where there are two; none where no other source site
    has answers of this method at this k.
    """
    sources = source_answers(results)
    if not sources:
        return []
    return [
        _point(results, sources, score, label)
        for score, label in enumerate(scored_classes(len(results.classes)))
    ]


def source_answers(results: Results) -> dict[str, tuple[Query, Answers]]:
    """What the verdict's method answered at its k at each other source site that has it."""
    found = {}
    for site, source in results.sources.items():
        rows = source.predictions[
            (source.predictions["method"] == results.method)
            & (source.predictions["k"] == results.shots)
        ]
        if len(rows):
            query, answers = read_answers(rows, results.classes, site)
            found[site] = query, answers[0]
    return found


def threshold(
    positives: Sequence[np.ndarray], negatives: Sequence[np.ndarray], sensitivity: float
) -> float:
    """Of the scores that find at least this share of the positives that with the highest Youden
    index (1950), of equals the lowest.

    Each array is a site's, and each site weighs the same. Where the sources' classes lie far apart
    many scores find enough; the highest of them would give sensitivity away for nothing.
    """
    candidates = np.unique(np.concatenate(positives))
    found, alarms = (
        np.mean(
            [1 - np.searchsorted(np.sort(of_site), candidates) / len(of_site) for of_site in sites],
            axis=0,
        )
        for sites in (positives, negatives)
    )
    enough = found >= sensitivity - ROUNDING
    return float(candidates[enough][np.argmax((found - alarms)[enough].round(DIGITS))])


def _point(
    results: Results, sources: dict[str, tuple[Query, Answers]], score: int, label: int
) -> OperatingPoint:
    asked = {
        site: (class_scores(answers.probabilities)[..., score], query.labels == label)
        for site, (query, answers) in sources.items()
    }
    least = threshold(
        [scores[..., positive].ravel() for scores, positive in asked.values()],
        [scores[..., ~positive].ravel() for scores, positive in asked.values()],
        results.params.report.operating_sensitivity,
    )
    # (seed, draw, record)
    called = class_scores(results.verdict_answers.probabilities)[..., score] >= least
    positive = results.query.labels == label
    right, wrong = (called & positive).sum(axis=-1).mean(), (called & ~positive).sum(axis=-1).mean()
    counts = _counts(positive, results.query.patients)
    return OperatingPoint(
        results.classes[label],
        (least + 1) / 2 if len(results.classes) == 2 else least,  # of two the score is p1 - p0
        **_measured(results, called, positive),
        true_positives=right,
        false_negatives=counts["positives"] - right,
        true_negatives=counts["negatives"] - wrong,
        false_positives=wrong,
        **counts,
        sources=tuple(
            _at_source(site, scores >= least, own, sources[site][0].patients)
            for site, (scores, own) in asked.items()
        ),
    )


def _measured(results: Results, called: np.ndarray, positive: np.ndarray) -> Shares:
    """Each of MEASURES with its interval, of the images that it is a share of."""
    bootstrap, once = results.bootstrap, np.ones((1, len(positive)))
    here, resampled = (rates(called, positive, weights) for weights in (once, bootstrap.weights))

    def of_images(name: str, among: np.ndarray) -> Estimate | None:
        values, in_resamples = getattr(here, name)[..., 0], getattr(resampled, name)
        interval = partial(bootstrap.interval, of=among)
        return estimate(values, in_resamples, bootstrap.confidence, interval)

    return {
        "sensitivity": known(of_images("sensitivity", positive)),
        "specificity": known(of_images("specificity", ~positive)),
        "ppv": of_images("ppv", np.asarray(called.any(axis=(0, 1)))),
        "npv": of_images("npv", np.asarray((~called).any(axis=(0, 1)))),
    }


def _at_source(
    site: str, called: np.ndarray, positive: np.ndarray, patients: np.ndarray
) -> SourcePoint:
    return SourcePoint(
        site,
        float(called[..., positive].mean()),
        float((~called[..., ~positive]).mean()),
        **_counts(positive, patients),
    )


def _counts(positive: np.ndarray, patients: np.ndarray) -> Counts:
    return {
        "positive_patients": len(set(patients[positive])),
        "positives": int(positive.sum()),
        "negative_patients": len(set(patients[~positive])),
        "negatives": int((~positive).sum()),
    }
