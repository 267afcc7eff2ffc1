"""How often the 95 % intervals over patients hold the truth, in simulated query sets whose truth is
known.

    python benchmarks/coverage.py [--patients 20 50 200] [--repetitions 500] [--resamples 500]
        [--draws 2] [--processes 2] [--seed 0]

Scores are normal, with a unit variance in each class: AUROC .7, .85 or .95, prevalence 10, 30 or 50
%, fixed in the sample as the resamples have it. Each draw's model shares 60 % of the score's
variance with the others. Patients have one image, or one to five that share half of their variance.
Probabilities are those of a model that is too sure (slope 0.8) and too low (log odds less 0.3). A
rival shares 70 % of the scores' variance; its AUROC is the same in every other repetition, for the
p value, and 0.05 lower in the rest. The truth of a metric is its value in an endless number of such
patients. The last line is one JSON object; its Monte-Carlo error is that of a share of so many
repetitions.
"""

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from eval.intervals.patients import Bootstrap, bootstrap
from eval.scores.decisions import rates
from eval.scores.label import balanced_accuracy, weighted_auroc
from eval.scores.probabilities import BINS, brier, calibration_error, calibration_line

CONFIDENCE, LEVEL = 0.95, 0.05
PREVALENCES, AUROCS, IMAGES = (
    (0.1, 0.3, 0.5),
    (0.7, 0.85, 0.95),
    (1, 5),
)  # IMAGES: at most so many a patient
SLOPE, TOO_LOW, RIVAL_LOWER = 0.8, 0.3, 0.05
SHARED_BY_DRAWS, SHARED_BY_IMAGES, SHARED_BY_RIVALS = 0.6, 0.5, 0.7  # of the variance of a score


def distance(auroc: float) -> float:
    """Between the means of two normals of variance 1 with this AUROC."""
    return norm.ppf(auroc) * np.sqrt(2)


def model_odds(scores: np.ndarray, prevalence: float, shift: float) -> np.ndarray:
    """The log odds that the model gives: the right ones, spread by 1 / SLOPE and moved."""
    return (logit(prevalence) + shift * scores - shift**2 / 2 - TOO_LOW) / SLOPE


def truth(prevalence: float, auroc: float, points: int = 20_000) -> dict[str, float]:
    """Every metric in an endless number of patients, by quantiles of the two normals."""
    shift, normal = distance(auroc), norm.ppf((np.arange(points) + 0.5) / points)
    scores, positive = np.concatenate([normal + shift, normal]), np.arange(2 * points) < points
    weights = np.where(positive, prevalence, 1 - prevalence) / points
    odds = model_odds(scores, prevalence, shift)
    order = np.argsort(odds)
    member = np.empty(2 * points, int)
    member[order] = np.minimum(np.cumsum(weights[order]) * BINS, BINS - 1)
    right = norm.cdf(shift / 2)  # sensitivity and specificity at the threshold midway
    return {
        "auroc": auroc,
        "balanced_accuracy": right,
        "sensitivity": right,
        "specificity": right,
        "ppv": right * prevalence / (right * prevalence + (1 - right) * (1 - prevalence)),
        "npv": right * (1 - prevalence) / (right * (1 - prevalence) + (1 - right) * prevalence),
        "brier": weights @ (expit(odds) - positive) ** 2,
        "slope": SLOPE,
        "in_the_large": brentq(lambda moved: weights @ (positive - expit(odds + moved)), -9, 9),
        "calibration_error": np.abs(np.bincount(member, weights * (positive - expit(odds)))).sum(),
    }


def noise(
    generator: np.random.Generator, patient_of: np.ndarray, columns: int, several: bool
) -> np.ndarray:
    """Of variance 1, in part the patient's: (column, record)."""
    shared = SHARED_BY_IMAGES if several else 1
    of_patient = generator.normal(size=(columns, patient_of.max() + 1))[:, patient_of]
    return np.sqrt(shared) * of_patient + np.sqrt(1 - shared) * generator.normal(
        size=(columns, len(patient_of))
    )


@dataclass(frozen=True)
class Sample:
    """One simulated query set: `scores` of a model and of its `rival` (draw, record)."""

    patient_of: np.ndarray
    positive: np.ndarray
    scores: np.ndarray
    rival: np.ndarray
    odds: np.ndarray  # the model's log odds
    decided: np.ndarray
    lower: float  # AUROC, by which the rival's is below the model's


def sample(
    generator: np.random.Generator,
    patients: int,
    prevalence: float,
    auroc: float,
    images: int,
    draws: int,
    lower: float,
) -> Sample:
    """`images`: at most so many a patient."""
    positives = round(patients * prevalence)
    patient_of = np.repeat(np.arange(patients), generator.integers(1, images + 1, patients))
    positive = patient_of < positives
    several, shift = images > 1, distance(auroc)
    common = noise(generator, patient_of, 1, several)
    own = noise(generator, patient_of, draws, several)
    mixed = np.sqrt(SHARED_BY_DRAWS) * common + np.sqrt(1 - SHARED_BY_DRAWS) * own
    scores = mixed + shift * positive
    rival = (
        np.sqrt(SHARED_BY_RIVALS) * mixed
        + np.sqrt(1 - SHARED_BY_RIVALS) * noise(generator, patient_of, draws, several)
        + distance(auroc - lower) * positive
    )
    odds = model_odds(scores, positives / patients, shift)
    return Sample(patient_of, positive, scores, rival, odds, scores > shift / 2, lower)


def repetition(
    generator: np.random.Generator, drawn: Sample, resamples: int, true: dict[str, float]
) -> dict[str, tuple[bool, float]]:
    """For each metric whether its interval holds the truth, and its width; for `p_value` whether no
    difference is rejected where there is none.
    """
    seed = int(generator.integers(2**32))
    made = bootstrap(drawn.patient_of, drawn.positive.astype(int), resamples, CONFIDENCE, seed)
    area = both(made, weighted_auroc, drawn.scores, drawn.positive)
    rivals = both(made, weighted_auroc, drawn.rival, drawn.positive)
    difference = area[0] - rivals[0], area[1] - rivals[1]
    found = {
        "auroc": made.interval(*area),
        "difference": made.interval(*difference, -1, 1),
        **of_decisions(made, drawn),
        **of_probabilities(made, drawn),
    }
    true = {**true, "difference": drawn.lower}
    held = {
        name: (low <= true[name] <= high, high - low)
        for name, (low, high) in found.items()
        if np.isfinite(low)
    }
    if not drawn.lower:
        held["p_value"] = (made.p_value(*difference) <= LEVEL, 0.0)
    return held


def once(drawn: Sample) -> np.ndarray:
    """Each record counted once."""
    return np.ones((1, len(drawn.positive)), np.float32)


def both(
    made: Bootstrap, metric: Callable[..., np.ndarray], *given: np.ndarray
) -> tuple[float, np.ndarray]:
    """The mean of a metric over draws, and in the resamples."""
    value = metric(*given, np.ones((1, made.weights.shape[1]), np.float32))
    resampled = metric(*given, made.weights)
    return float(np.mean(value)), resampled.mean(axis=0) if resampled.ndim > 1 else resampled


def of_decisions(made: Bootstrap, drawn: Sample) -> dict[str, tuple[float, float]]:
    """The intervals of what decisions are worth."""
    positive, decided = drawn.positive, drawn.decided
    right = (decided == positive).mean(axis=0, keepdims=True)
    found = {"balanced_accuracy": made.interval(*both(made, balanced_accuracy, right, positive))}
    for name, of in (
        ("sensitivity", positive),
        ("specificity", ~positive),
        ("ppv", decided.any(axis=0)),
        ("npv", (~decided).any(axis=0)),
    ):
        rate = partial(one_rate, name)
        found[name] = made.interval(*both(made, rate, decided, positive), of=of)
    return found


def one_rate(name: str, *given: np.ndarray) -> np.ndarray:
    return getattr(rates(*given), name)


def of_probabilities(made: Bootstrap, drawn: Sample) -> dict[str, tuple[float, float]]:
    """The intervals of how well calibrated the model is."""
    positive, probability = drawn.positive, expit(drawn.odds)
    of_classes = np.stack([1 - probability, probability], axis=-1)
    error = calibration_error(probability, positive, made.weights, CONFIDENCE)
    found = {
        "brier": made.loss_interval(*both(made, brier, of_classes, positive.astype(int))),
        "calibration_error": (error.low, error.high),
    }
    for name, value, resampled in zip(
        ("slope", "in_the_large"),
        calibration_line(drawn.odds, positive, once(drawn)),
        calibration_line(drawn.odds, positive, made.weights),
        strict=True,
    ):
        found[name] = made.interval(float(value.mean()), resampled.mean(axis=0), -np.inf, np.inf)
    return found


def condition(given: tuple[int, float, float, int, argparse.Namespace]) -> list[dict[str, object]]:
    patients, prevalence, auroc, images, settings = given
    generator = np.random.default_rng(
        [settings.seed, patients, int(100 * prevalence), int(100 * auroc), images]
    )
    true, held, widths = truth(prevalence, auroc), defaultdict(list), defaultdict(list)
    for number in range(settings.repetitions):
        lower = 0 if number % 2 == 0 else RIVAL_LOWER
        drawn = sample(generator, patients, prevalence, auroc, images, settings.draws, lower)
        for metric, (held_it, width) in repetition(
            generator, drawn, settings.resamples, true
        ).items():
            held[metric].append(held_it)
            widths[metric].append(width)
    return [
        {
            "patients": patients,
            "prevalence": prevalence,
            "auroc": auroc,
            "images": images,
            "metric": metric,
            "of": len(held[metric]),
            "percent": round(100 * float(np.mean(held[metric])), 1),
            "width": round(float(np.mean(widths[metric])), 3),
        }
        for metric in sorted(held)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, nargs="+", default=[20, 50, 200])
    for name, default in (
        ("repetitions", 500),
        ("resamples", 500),
        ("draws", 2),
        ("processes", 2),
        ("seed", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    settings, rows = parser.parse_args(), []
    conditions = [
        (*given, settings)
        for given in itertools.product(settings.patients, PREVALENCES, AUROCS, IMAGES)
    ]
    with ProcessPoolExecutor(settings.processes) as pool:
        for found in pool.map(condition, conditions):
            rows += found
            print(
                *(found[0][key] for key in ("patients", "prevalence", "auroc", "images")),
                *(f"{row['metric']} {row['percent']}" for row in found),
                flush=True,
            )
    print(
        json.dumps(
            {"benchmark": "coverage", "confidence": CONFIDENCE, "rows": rows, **vars(settings)},
            sort_keys=True,
        )
    )


if __name__ == "__main__":
    main()
