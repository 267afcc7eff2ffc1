"""The verdict: one method at one k against the acceptance criteria."""

from dataclasses import dataclass

import pandas as pd

from eval.results import Results
from eval.scores.score import Score
from eval.verdict.criteria import Criterion, Word, criteria, overall
from eval.words import count

FEW_PATIENTS = 50  # query patients under which intervals are not known to hold: docs/statistics.md
FEW_IN_CLASS = 10  # the same, of one class


@dataclass(frozen=True)
class Verdict:
    """What the criteria say together, and the score of `method` with k labelled patients a class.

    The draws' interval is None where there was one draw.
    """

    word: Word
    criteria: list[Criterion]
    method: str
    k: int
    target: float
    value: float
    patient_low: float
    patient_high: float
    draws_low: float | None
    draws_high: float | None
    draws: int
    patients: int
    records: int
    score: Score

    @property
    def few(self) -> bool:
        return self.patients < FEW_PATIENTS


def judge(results: Results) -> Verdict:
    """Hold the site's results against every criterion."""
    found = criteria(results)
    row = results.scored.set_index(["method", "k"]).loc[(results.method, results.shots)]
    draws_low, draws_high = (
        float(row[end]) if pd.notna(row[end]) else None for end in ("draws_low", "draws_high")
    )
    return Verdict(
        overall(found),
        found,
        results.method,
        results.shots,
        results.target,
        float(row["value"]),
        float(row["patient_low"]),
        float(row["patient_high"]),
        draws_low,
        draws_high,
        int(row["draws"]),
        int(row["patients"]),
        int(row["records"]),
        results.score,
    )


def cautions(results: Results, verdict: Verdict) -> list[str]:
    """Why the numbers may say less than they seem to."""
    found = []
    if verdict.few:
        found.append(
            f"Only {count(verdict.patients, 'query patient')} (fewer than {FEW_PATIENTS}): the "
            "intervals may be too narrow. "
            "Label more patients before relying on this page."
        )
    for label, name in enumerate(results.classes):
        patients = results.query.patients_of(label)
        if patients < FEW_IN_CLASS:
            found.append(
                f"Class {name} has {count(patients, 'query patient')} (fewer than {FEW_IN_CLASS}): "
                "the intervals may be too narrow, "
                "for so few of a class say little of the others."
            )
    if verdict.draws_low is None and verdict.k:
        found.append(
            "One support draw only, so how much the result hangs on which cases were labelled is "
            "not known. "
            "Set tasks.draws in params.yaml to 10 or more and run again."
        )
    if results.role == "source":
        found.append(
            "This hospital's other patients trained the model: an internal reference, no evidence "
            "for a new hospital."
        )
    return found
