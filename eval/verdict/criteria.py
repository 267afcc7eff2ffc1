"""Acceptance criteria, fixed in params.yaml before the run.

Each is met, not met, or not to be told from these patients.
"""

import math
from dataclasses import dataclass
from typing import Literal

from eval.measures.calibration import expected_error
from eval.measures.needed import needed_of
from eval.measures.operating_point import operating_points
from eval.measures.subgroups import largest_gap
from eval.results import Results
from eval.scores.score import Score
from eval.settings import Accept

Word = Literal["met", "not met", "cannot tell"]
# beside the score's own bound, which has the score's name
ASKS = {
    "shots": "at most {bound} labelled patients a class for it",
    "sensitivity": "sensitivity of at least {bound:g} at the operating point",
    "calibration_error": "calibration error of at most {bound:g}",
    "subgroup_gap": "{score} of subgroups at most {bound:g} apart",
}
MOST_TIMES = 100  # as many patients again, beyond which no study settles it


@dataclass(frozen=True)
class Measured:
    """What a criterion is held against: a value and its interval over patients, or why there is
    none and how to get it.

    `share`: what `patients` are of all query patients, for a study grows by all of them
    (sensitivity: by few positives).
    """

    value: float | None
    low: float | None
    high: float | None
    patients: int
    lacking: str = ""
    share: float = 1.0


@dataclass(frozen=True)
class Criterion:
    """One criterion with its answer.

    `further`: query patients beyond today's that would settle it; None where none do or it is
    settled.
    """

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


def judged(name: str, asks: str, bound: float, found: Measured, at_least: bool) -> Criterion:
    """Hold a whole interval against a bound.

    Met where it lies wholly on the right side, not met where wholly on the wrong one.
    """
    given = name, asks, bound, found.value, found.low, found.high, found.patients
    if found.value is None or found.low is None or found.high is None:
        return Criterion(*given, "cannot tell", found.lacking, None)
    good, bad = (found.low, found.high) if at_least else (found.high, found.low)
    side = 1 if at_least else -1
    if side * (good - bound) >= 0:
        why = "the whole interval over patients is on the right side"
        return Criterion(*given, "met", why, None)
    if side * (bad - bound) < 0:
        why = "the whole interval over patients is on the wrong side"
        return Criterion(*given, "not met", why, None)
    nearer = good if side * (found.value - bound) >= 0 else bad
    more = further_patients(found.value, nearer, bound, round(found.patients / found.share))
    near = "; the value is so near to it that no study of a reasonable size settles it"
    why = f"the interval over patients holds the bound{'' if more else near}"
    return Criterion(*given, "cannot tell", why, more)


def further_patients(value: float, end: float, bound: float, patients: int) -> int | None:
    """Patients beyond `patients` until the interval's `end` reaches `bound`, if the value stays as
    it is; None for more than MOST_TIMES as many.

    The distance from the value to the end of its interval falls with the square root of the
    patients.
    """
    if abs(value - bound) * math.sqrt(MOST_TIMES) < abs(value - end):
        return None
    return max(1, math.ceil(patients * ((value - end) / (value - bound)) ** 2) - patients)


def asks(name: str, bound: float, score: Score) -> str:
    """What a bound of params.yaml report.accept asks for."""
    if name == score.name:
        return score.asks(bound)
    return ASKS[name].format(bound=bound, score=score.title)


def asked(accept: Accept, score: Score) -> list[str]:
    """What params.yaml asks for, in words; bounds of other scores are left aside."""
    known = {score.name, *ASKS}
    return [
        asks(name, bound, score) for name, bound in accept if name in known and bound is not None
    ]


def criteria(results: Results) -> list[Criterion]:
    """Every criterion that params.yaml gives, for the verdict's method at the verdict's k."""
    accept, score = results.params.report.accept, results.score
    found = [_score(results, scored(results))]
    if accept.shots is not None:
        found.append(shots(results, accept.shots))
    for name, measure, at_least in (
        ("sensitivity", sensitivity, True),
        ("calibration_error", calibration, False),
        ("subgroup_gap", subgroups, False),
    ):
        bound = getattr(accept, name)
        if bound is not None:
            words = asks(name, bound, score)
            found.append(judged(name, words, bound, measure(results), at_least))
    return found


def scored(results: Results) -> Measured:
    """The score of the verdict's method at the verdict's k."""
    table = results.scored
    row = table[(table["method"] == results.method) & (table["k"] == results.shots)].iloc[0]
    return Measured(
        float(row["value"]),
        float(row["patient_low"]),
        float(row["patient_high"]),
        int(row["patients"]),
    )


def _score(results: Results, found: Measured) -> Criterion:
    score, bound = results.score, results.target
    return judged(score.name, score.asks(bound), bound, found, score.higher_is_better)


def shots(results: Results, most: int) -> Criterion:
    """Whether the target is reached for good with at most `most` labelled patients a class."""
    score, target = results.score, results.target
    row = needed_of(results).set_index("method").loc[results.method]
    patients, words = int(row["patients"]), asks("shots", most, score)

    def criterion(
        word: Word, reason: str, k: int | None = None, further: int | None = None
    ) -> Criterion:
        return Criterion("shots", words, most, k, None, None, patients, word, reason, further)

    tried = results.scored[results.scored["method"] == results.method]
    within = tried[tried["k"] <= most]
    if row["reached"] and row["k"] <= most:
        reason = f"the {score.title} is reached from k = {row['k']} on"
        return criterion("met", reason, int(row["k"]))
    if within.empty:
        return criterion("cannot tell", f"no k of at most {most} was tried: add one to tasks.shots")
    ends = zip(within["patient_low"], within["patient_high"], strict=True)
    beyond = "below" if score.higher_is_better else "above"
    if all(score.missed(low, high, target) for low, high in ends):
        whole = f"at every k up to {most} the whole interval is {beyond} the {score.title}"
        return criterion("not met", whole)
    best = within.loc[within["value"].map(score.rank).idxmax()]
    found = Measured(best["value"], best["patient_low"], best["patient_high"], patients)
    reason = (
        f"no k up to {most} reaches the {score.title} for good, "
        f"nor do all intervals there lie {beyond} it"
    )
    return criterion("cannot tell", reason, further=_score(results, found).further)


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
    patients = f"{found.patients:,} query patients"
    return f"{found.asks}: {found.word}; {value}, {patients}; {found.reason}{more}"
