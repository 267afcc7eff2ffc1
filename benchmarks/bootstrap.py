"""Bootstrap AUROCs over patients: what the report computes, against scikit-learn's AUROC of one
resample after the other.

    python benchmarks/bootstrap.py [--patients 1000] [--resamples 2000] [--repeats 3]

Medians; the resampling of patients counts. scikit-learn is timed on a twentieth of the resamples,
for which both must agree. The last line is one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from eval.intervals.patients import Bootstrap, bootstrap
from eval.scores.label import weighted_auroc

CASES = {
    "one image a patient, one draw": (1, 1),
    "three images a patient, one draw": (3, 1),
    "three images a patient, 20 draws": (3, 20),
}
TIMED_SHARE = 20


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(images: int, draws: int, given: argparse.Namespace) -> tuple[float, float]:
    """Seconds of fewsite and of scikit-learn for all resamples."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(given.patients), images)
    positive = patients % 3 == 0
    scores = generator.normal(size=(draws, len(patients))) + positive

    def made() -> Bootstrap:
        return bootstrap(patients, positive.astype(int), given.resamples, 0.95, 0)

    def ours() -> np.ndarray:
        return weighted_auroc(scores, positive, made().weights)

    weights = made().weights[: given.resamples // TIMED_SHARE]

    def theirs() -> list[float]:
        return [mean_auroc(positive, scores, row) for row in weights]

    assert np.allclose(ours()[: len(weights)], theirs(), atol=1e-6)
    loop = median_seconds(theirs, 1) * given.resamples / len(weights)
    return median_seconds(ours, given.repeats), loop


def mean_auroc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """scikit-learn's AUROC of a resample, over the draws."""
    return float(np.mean([roc_auc_score(positive, draw, sample_weight=weights) for draw in scores]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("patients", 1000), ("resamples", 2000), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given, rows = parser.parse_args(), []
    for case, (images, draws) in CASES.items():
        seconds, loop = measure(images, draws, given)
        rows.append(
            {
                "case": case,
                "seconds": round(seconds, 3),
                "scikit_learn_seconds": round(loop, 1),
                "ratio": round(loop / seconds, 1),
            }
        )
        print(
            f"{case}: {seconds:.2f} s; scikit-learn in a loop {loop:.1f} s; "
            f"{loop / seconds:.0f} times as long",
            flush=True,
        )
    result = {
        "benchmark": "bootstrap",
        "cases": rows,
        **vars(given),
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
        "numpy": np.__version__,
    }
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
