"""How the interval of an AUROC stands beside DeLong's (1988), in simulated query sets.

    python benchmarks/delong.py [--patients 20 50 200] [--repetitions 400] [--resamples 300]

One image a patient and one model, for which DeLong's interval is made. Scores are normal with a
unit variance in each class: AUROC .7, .85 or .95, 10, 30 or 50 % of the patients positive. DeLong's
variance is that of the placements of the positives among the negatives and the other way round; the
interval is normal, and cut to [0, 1]; the logit one is normal for log(AUROC / (1 - AUROC)) and has
no width where the classes are parted. Prints the table of docs/measurements/statistics.md; its last
line is one JSON object.
"""

import argparse
import itertools
import json

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from eval.intervals.patients import bootstrap
from eval.scores.label import auroc, weighted_auroc

CONFIDENCE = 0.95
PREVALENCES, AUROCS = (0.1, 0.3, 0.5), (0.7, 0.85, 0.95)
NAMES = ("fewsite", "delong", "delong_logit")
HEADINGS = (
    "held, %: fewsite",
    "DeLong",
    "DeLong, logit",
    "mean width: fewsite",
    "DeLong",
    "DeLong, logit",
)


def delong_variance(scores: np.ndarray, positive: np.ndarray) -> float:
    """The variance of the AUROC of (record,) scores, by mid-ranks (Sun and Xu 2014)."""
    everyone, own, other = rankdata(scores), rankdata(scores[positive]), rankdata(scores[~positive])
    n, m = len(own), len(other)
    found = (everyone[positive] - own) / m  # the share of negatives below each positive
    left = 1 - (everyone[~positive] - other) / n  # the share of positives above each negative
    return float(np.var(found, ddof=1) / n + np.var(left, ddof=1) / m)


def intervals(
    scores: np.ndarray, positive: np.ndarray, resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Each method's interval for one query set."""
    value = float(auroc(scores, positive))
    patients = np.arange(len(positive))
    made = bootstrap(patients, positive.astype(int), resamples, CONFIDENCE, seed)
    own = made.interval(value, weighted_auroc(scores[None], positive, made.weights))
    deviation = np.sqrt(delong_variance(scores, positive))
    half = norm.ppf((1 + CONFIDENCE) / 2) * deviation
    plain = max(value - half, 0.0), min(value + half, 1.0)
    if not 0 < value < 1:
        return {"fewsite": own, "delong": plain, "delong_logit": (value, value)}
    low, high = expit(logit(value) + np.array([-half, half]) / (value * (1 - value)))
    return {"fewsite": own, "delong": plain, "delong_logit": (float(low), float(high))}


def condition(
    patients: int, prevalence: float, true: float, settings: argparse.Namespace
) -> dict[str, object]:
    """How often each interval holds the true AUROC, in percent, and its mean width."""
    seeds = settings.seed, patients, int(100 * prevalence), int(100 * true)
    generator = np.random.default_rng(seeds)
    positive = np.arange(patients) < round(patients * prevalence)
    shift = norm.ppf(true) * np.sqrt(2)
    held, width = np.zeros(len(NAMES)), np.zeros(len(NAMES))
    for _ in range(settings.repetitions):
        scores = generator.normal(size=patients) + shift * positive
        seed = int(generator.integers(2**32))
        found = intervals(scores, positive, settings.resamples, seed)
        ends = np.array([found[name] for name in NAMES])
        held += (ends[:, 0] <= true) & (true <= ends[:, 1])
        width += ends[:, 1] - ends[:, 0]
    held, width = 100 * held / settings.repetitions, width / settings.repetitions
    return {
        "patients": patients,
        "prevalence": prevalence,
        "auroc": true,
        "held": dict(zip(NAMES, held.round(1).tolist(), strict=True)),
        "width": dict(zip(NAMES, width.round(3).tolist(), strict=True)),
    }


def table(rows: list[dict[str, object]]) -> str:
    """The lowest and highest over the AUROCs, one line a number of patients and prevalence."""
    lines = [f"| patients, positive | {' | '.join(HEADINGS)} |", "|---" * (1 + len(HEADINGS)) + "|"]
    given = {(row["patients"], row["prevalence"]): [] for row in rows}
    for row in rows:
        given[row["patients"], row["prevalence"]].append(row)
    for (patients, prevalence), of_given in given.items():
        cells = []
        for what, digits in (("held", 0), ("width", 2)):
            for name in NAMES:
                values = [row[what][name] for row in of_given]
                cells.append(f"{min(values):.{digits}f}-{max(values):.{digits}f}")
        lines.append(f"| {patients}, {prevalence:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, nargs="+", default=[20, 50, 200])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    conditions = itertools.product(settings.patients, PREVALENCES, AUROCS)
    rows = [condition(*given, settings) for given in conditions]
    print(table(rows))
    about = {"benchmark": "delong", "confidence": CONFIDENCE, **vars(settings)}
    print(json.dumps({**about, "rows": rows}))


if __name__ == "__main__":
    main()
