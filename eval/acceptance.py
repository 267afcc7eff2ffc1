"""Acceptance criteria: each fixed in params.yaml before the run, each met, not met, or not to be told from these patients."""

import math
from dataclasses import dataclass
from typing import Literal

from eval.calibration import expected_error
from eval.needed import needed
from eval.operating_point import operating_points
from eval.performance import AUROC
from eval.results import Results
from eval.subgroups import largest_gap
from workspace.settings import Accept

Word = Literal["met", "not met", "cannot tell"]
ASKS = {
    "auroc": "AUROC of at least {:g}",
    "shots": "at most {} labelled patients a class for it",
    "sensitivity": "sensitivity of at least {:g} at the operating point",
    "calibration_error": "calibration error of at most {:g}",
    "subgroup_gap": "AUROC of subgroups at most {:g} apart",
}
MOST_TIMES = 100  # as many patients again, beyond which no study settles it


@dataclass(frozen=True)
class Measured:
    """What a criterion is held against: a value and its interval over patients, or why there is none and how to get it.

    `share`: what `patients` are of all query patients, for a study grows by all of them (sensitivity: by few positives).
    """

    value: float | None
    low: float | None
    high: float | None
    patients: int
    lacking: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class Criterion:
    """One criterion with its answer. `further`: query patients beyond today's that would settle it; None where none do or it is settled."""

    name: str
    asks: str
    bound: float
    value: float | None
    low: float | None
    high: float | None
    patients: int
    word: Word
    reason: str
    further: int | None


def overall(criteria: list[Criterion]) -> Word:
    """Not met if one is not met; met if all are met; else it cannot be told."""
    words = {criterion.word for criterion in criteria}
    return "not met" if "not met" in words else "cannot tell" if "cannot tell" in words else "met"


def judged(name: str, bound: float, found: Measured, at_least: bool) -> Criterion:
    """Hold a whole interval against a bound: met where it lies wholly on the right side, not met where wholly on the wrong one."""
    given = (
        name,
        ASKS[name].format(bound),
        bound,
        found.value,
        found.low,
        found.high,
        found.patients,
    )
    if found.value is None or found.low is None or found.high is None:
        return Criterion(*given, "cannot tell", found.lacking, None)
    good, bad = (found.low, found.high) if at_least else (found.high, found.low)
    side = 1 if at_least else -1
    if side * (good - bound) >= 0:
        return Criterion(
            *given, "met", "the whole interval over patients is on the right side", None
        )
    if side * (bad - bound) < 0:
        return Criterion(
            *given, "not met", "the whole interval over patients is on the wrong side", None
        )
    nearer = good if side * (found.value - bound) >= 0 else bad
    more = further_patients(found.value, nearer, bound, round(found.patients / found.share))
    near = (
        "" if more else "; the value is so near to it that no study of a reasonable size settles it"
    )
    return Criterion(
        *given, "cannot tell", f"the interval over patients holds the bound{near}", more
    )


def further_patients(value: float, end: float, bound: float, patients: int) -> int | None:
    """Patients beyond `patients` until the interval's `end` reaches `bound`, if the value stays as it is; None for more than MOST_TIMES as many.

    The distance from the value to the end of its interval falls with the square root of the patients.
    """
    if abs(value - bound) * math.sqrt(MOST_TIMES) < abs(value - end):
        return None
    return max(1, math.ceil(patients * ((value - end) / (value - bound)) ** 2) - patients)


def asked(accept: Accept) -> list[str]:
    """What params.yaml asks for, in words."""
    return [ASKS[name].format(bound) for name, bound in accept if bound is not None]


def criteria(results: Results) -> list[Criterion]:
    """Every criterion that params.yaml gives, for the verdict's method at the verdict's k."""
    accept = results.params.report.accept
    found = [judged("auroc", accept.auroc, auroc(results), at_least=True)]
    if accept.shots is not None:
        found.append(shots(results, accept.shots, accept.auroc))
    if accept.sensitivity is not None:
        found.append(judged("sensitivity", accept.sensitivity, sensitivity(results), at_least=True))
    if accept.calibration_error is not None:
        found.append(
            judged(
                "calibration_error", accept.calibration_error, calibration(results), at_least=False
            )
        )
    if accept.subgroup_gap is not None:
        found.append(
            judged("subgroup_gap", accept.subgroup_gap, subgroups(results), at_least=False)
        )
    return found


def auroc(results: Results) -> Measured:
    table = results.performance
    row = table[
        (table["method"] == results.method)
        & (table["k"] == results.shots)
        & (table["metric"] == AUROC)
    ].iloc[0]
    return Measured(
        float(row["value"]),
        float(row["patient_low"]),
        float(row["patient_high"]),
        int(row["patients"]),
    )


def shots(results: Results, most: int, target: float) -> Criterion:
    """Whether the AUROC is reached for good with at most `most` labelled patients a class."""
    table = (
        needed(results.performance, target, len(results.classes))
        .set_index("method")
        .loc[results.method]
    )
    tried = results.performance[
        (results.performance["method"] == results.method) & (results.performance["metric"] == AUROC)
    ]
    asks, patients = ASKS["shots"].format(most), int(table["patients"])
    within = tried[tried["k"] <= most]
    if table["reached"] and table["k"] <= most:
        return Criterion(
            "shots",
            asks,
            most,
            int(table["k"]),
            None,
            None,
            patients,
            "met",
            f"the AUROC is reached from k = {table['k']} on",
            None,
        )
    if within.empty:
        return Criterion(
            "shots",
            asks,
            most,
            None,
            None,
            None,
            patients,
            "cannot tell",
            f"no k of at most {most} was tried: add one to tasks.shots",
            None,
        )
    if (within["patient_high"] < target).all():
        return Criterion(
            "shots",
            asks,
            most,
            None,
            None,
            None,
            patients,
            "not met",
            f"at every k up to {most} the whole interval is below the AUROC",
            None,
        )
    best = within.loc[within["value"].idxmax()]
    settled = judged(
        "auroc",
        target,
        Measured(best["value"], best["patient_low"], best["patient_high"], patients),
        at_least=True,
    )
    return Criterion(
        "shots",
        asks,
        most,
        None,
        None,
        None,
        patients,
        "cannot tell",
        f"no k up to {most} reaches the AUROC for good, nor do all intervals there lie below it",
        settled.further,
    )


def sensitivity(results: Results) -> Measured:
    """At the operating point; of several classes the worst, since each is held to the bound."""
    points = operating_points(results)
    if not points:
        return Measured(
            None,
            None,
            None,
            _patients(results),
            f"no other source site has answers of {results.method} at k = {results.shots} "
            "to fix an operating point on: add a source site with this task",
        )
    worst = min(points, key=lambda point: point.sensitivity.value)
    low, high = (
        min(getattr(point.sensitivity, end) for point in points)
        for end in ("patient_low", "patient_high")
    )
    return Measured(
        worst.sensitivity.value,
        low,
        high,
        worst.positive_patients,
        share=worst.positive_patients / _patients(results),
    )


def calibration(results: Results) -> Measured:
    """Of the answers as they are, before any recalibration."""
    error = expected_error(results, results.verdict_answers.probabilities)
    return Measured(error.value, error.patient_low, error.patient_high, _patients(results))


def subgroups(results: Results) -> Measured:
    gap = largest_gap(results)
    if gap is None:
        return Measured(
            None,
            None,
            None,
            _patients(results),
            "no two subgroups of one kind have patients enough: measure more patients, "
            "or give their age and sex (labels.age, labels.sex)",
        )
    return Measured(gap.value, gap.low, gap.high, _patients(results))


def _patients(results: Results) -> int:
    return len(set(results.query.patients))


def in_words(found: Criterion) -> str:
    """One criterion for a terminal."""
    if found.value is None:
        value = "not measured"
    else:
        value = (
            f"{found.value:.3g}"
            if found.low is None
            else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
        )
    more = (
        f"; about {found.further:,} further query patients would settle it" if found.further else ""
    )
    return f"{found.asks}: {found.word}; {value}, {found.patients:,} query patients; {found.reason}{more}"
