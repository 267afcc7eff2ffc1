"""How often the 95 % intervals over patients hold the truth, in simulated query sets whose truth is known.

    python benchmarks/coverage.py [--patients 20 50 200] [--repetitions 500] [--resamples 500] [--draws 2] [--processes 2] [--seed 0]

Scores are normal, with a unit variance in each class: AUROC .7, .85 or .95, prevalence 10, 30 or 50 %, fixed in the sample as the resamples have
it. Each draw's model shares 60 % of the score's variance with the others. Patients have one image, or one to five that share half of their
variance. Probabilities are those of a model that is too sure (slope 0.8) and too low (log odds less 0.3). A rival shares 70 % of the scores'
variance; its AUROC is the same in every other repetition, for the p value, and 0.05 lower in the rest. The truth of a metric is its value in
an endless number of such patients. The last line is one JSON object; its Monte-Carlo error is that of a share of so many repetitions.
"""

import argparse
import itertools
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from eval.intervals.patients import bootstrap
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


def model_odds(scores: np.ndarray, prevalence: float, apart: float) -> np.ndarray:
    """The log odds that the model gives: the right ones, spread by 1 / SLOPE and moved."""
    return (logit(prevalence) + apart * scores - apart**2 / 2 - TOO_LOW) / SLOPE


def truth(prevalence: float, auroc: float, points: int = 20_000) -> dict[str, float]:
    """Every metric in an endless number of patients, by quantiles of the two normals."""
    apart, normal = distance(auroc), norm.ppf((np.arange(points) + 0.5) / points)
    scores, positive = np.concatenate([normal + apart, normal]), np.arange(2 * points) < points
    weights = np.where(positive, prevalence, 1 - prevalence) / points
    odds = model_odds(scores, prevalence, apart)
    order = np.argsort(odds)
    member = np.empty(2 * points, int)
    member[order] = np.minimum(np.cumsum(weights[order]) * BINS, BINS - 1)
    right = norm.cdf(apart / 2)  # sensitivity and specificity at the threshold midway
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


def repetition(
    generator: np.random.Generator,
    patients: int,
    prevalence: float,
    auroc: float,
    images: int,
    draws: int,
    resamples: int,
    equal: bool,
    true: dict[str, float],
) -> dict[str, tuple[bool, float]]:
    """For each metric whether its interval holds the truth, and its width; for `p_value` whether no difference is rejected where there is none."""
    positives = round(patients * prevalence)
    patient_of = np.repeat(np.arange(patients), generator.integers(1, images + 1, patients))
    positive = patient_of < positives
    several, apart = images > 1, distance(auroc)
    common, own = (
        noise(generator, patient_of, 1, several),
        noise(generator, patient_of, draws, several),
    )
    mixed = np.sqrt(SHARED_BY_DRAWS) * common + np.sqrt(1 - SHARED_BY_DRAWS) * own
    scores = mixed + apart * positive
    lower = 0 if equal else RIVAL_LOWER
    rival = (
        np.sqrt(SHARED_BY_RIVALS) * mixed
        + np.sqrt(1 - SHARED_BY_RIVALS) * noise(generator, patient_of, draws, several)
        + distance(auroc - lower) * positive
    )

    made = bootstrap(
        patient_of, positive.astype(int), resamples, CONFIDENCE, int(generator.integers(2**32))
    )
    once = np.ones((1, len(positive)), np.float32)
    odds, decided = model_odds(scores, positives / patients, apart), scores > apart / 2
    probability = expit(odds)

    def both(metric, *given: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean over draws, and in the resamples."""
        value, resampled = metric(*given, once), metric(*given, made.weights)
        return float(np.mean(value)), resampled.mean(axis=0) if resampled.ndim > 1 else resampled

    area, rivals = both(weighted_auroc, scores, positive), both(weighted_auroc, rival, positive)
    difference = area[0] - rivals[0], area[1] - rivals[1]
    error = calibration_error(probability, positive, made.weights, CONFIDENCE)
    found = {
        "auroc": made.interval(*area),
        "balanced_accuracy": made.interval(
            *both(balanced_accuracy, (decided == positive).mean(axis=0, keepdims=True), positive)
        ),
        "brier": made.loss_interval(
            *both(brier, np.stack([1 - probability, probability], axis=-1), positive.astype(int))
        ),
        "calibration_error": (error.low, error.high),
        "difference": made.interval(*difference, -1, 1),
    }
    for name, of in (
        ("sensitivity", positive),
        ("specificity", ~positive),
        ("ppv", decided.any(axis=0)),
        ("npv", (~decided).any(axis=0)),
    ):
        found[name] = made.interval(
            *both(lambda *given, name=name: getattr(rates(*given), name), decided, positive), of=of
        )
    for name, value, resampled in zip(
        ("slope", "in_the_large"),
        calibration_line(odds, positive, once),
        calibration_line(odds, positive, made.weights),
        strict=True,
    ):
        found[name] = made.interval(float(value.mean()), resampled.mean(axis=0), -np.inf, np.inf)
    held = {
        name: (low <= {**true, "difference": lower}[name] <= high, high - low)
        for name, (low, high) in found.items()
        if np.isfinite(low)
    }
    return held | ({"p_value": (made.p_value(*difference) <= LEVEL, 0.0)} if equal else {})


def condition(given: tuple[int, float, float, int, argparse.Namespace]) -> list[dict[str, object]]:
    patients, prevalence, auroc, images, settings = given
    generator = np.random.default_rng(
        [settings.seed, patients, int(100 * prevalence), int(100 * auroc), images]
    )
    true, held, widths = truth(prevalence, auroc), defaultdict(list), defaultdict(list)
    for number in range(settings.repetitions):
        for metric, (held_it, width) in repetition(
            generator,
            patients,
            prevalence,
            auroc,
            images,
            settings.draws,
            settings.resamples,
            number % 2 == 0,
            true,
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
