"""The verdict: one method at one k against the acceptance criteria, all fixed in params.yaml before the run."""

from dataclasses import asdict, dataclass

import pandas as pd

from eval.acceptance import Criterion, Word, criteria, overall
from eval.evidence import Evidence
from eval.needed import needed
from eval.page import Section, count
from eval.paired import difference
from eval.performance import AUROC, class_metric
from eval.results import SOURCE_ONLY, Results

FEW_PATIENTS = 50  # query patients under which intervals are not known to hold: docs/statistics.md
FEW_IN_CLASS = 10  # the same, of one class
COMPARED = [
    "method",
    "other",
    "difference",
    "patient_low",
    "patient_high",
    "draws_low",
    "draws_high",
    "p",
    "draws",
]


@dataclass(frozen=True)
class Verdict:
    """What the criteria say together, and the AUROC of `method` with k labelled patients a class.

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

    @property
    def few(self) -> bool:
        return self.patients < FEW_PATIENTS


def judge(results: Results) -> Verdict:
    """Hold the site's results against every criterion."""
    found = criteria(results)
    row = results.performance.set_index(["method", "k", "metric"]).loc[
        (results.method, results.shots, AUROC)
    ]
    spread = [
        float(row[end]) if pd.notna(row[end]) else None for end in ("draws_low", "draws_high")
    ]
    return Verdict(
        overall(found),
        found,
        results.method,
        results.shots,
        results.params.report.accept.auroc,
        float(row["value"]),
        float(row["patient_low"]),
        float(row["patient_high"]),
        *spread,
        int(row["draws"]),
        int(row["patients"]),
        int(row["records"]),
    )


def verdict_section(evidence: Evidence) -> Section:
    """The verdict in plain words, what speaks against trusting it, and how it compares with the other methods."""
    verdict = judge(evidence)
    table = needed(evidence.performance, verdict.target, len(evidence.classes))
    cases = next(row for row in table.to_dict("records") if row["method"] == verdict.method)
    by_class = _by_class(evidence, verdict)
    rivals, source = _rivals(evidence, verdict), _source_model(evidence, verdict)
    beside = [row["method"] for row in (rivals[:1] + ([source] if source else []))]
    paired = {other: difference(evidence, other) for other in beside}
    numbers = {
        **vars(verdict),
        "seeds": evidence.verdict_answers.probabilities.shape[0],
        "classes": len(evidence.classes),
        "asked_k": evidence.params.report.shots,
        "labelled": verdict.k * len(evidence.classes),
        "needed_k": cases["k"],
        "needed_cases": cases["cases"],
        "needed_up_to": cases["up_to"],
    }
    compared = pd.DataFrame(
        [{"method": verdict.method, "other": other, **found} for other, found in paired.items()],
        columns=COMPARED,
    )
    return Section(
        "verdict.html.j2",
        "Verdict",
        {
            "verdict": verdict,
            "few": verdict.few,
            "classes": len(evidence.classes),
            "confidence": evidence.params.adapt.confidence,
            "needed": cases,
            "asked": evidence.params.report.shots,
            "gaps": [
                gap
                for gap in evidence.task["infeasible"]
                if gap["k"] == evidence.params.report.shots
            ],
            "cautions": cautions(evidence, verdict),
            "rivals": rivals,
            "paired": paired,
            "source": source,
            "by_class": by_class,
            "site": evidence.site,
        },
        {
            "criteria.csv": pd.DataFrame([asdict(criterion) for criterion in verdict.criteria]),
            "at_verdict.csv": at_verdict(evidence),
            **({"by_class.csv": pd.DataFrame(by_class)} if by_class else {}),
            "infeasible.csv": pd.DataFrame(
                evidence.task["infeasible"], columns=["k", "class", "patients"]
            ),
            "verdict.csv": pd.DataFrame([numbers]).drop(columns="criteria"),
            "beside_verdict.csv": compared,
        },
    )


def at_verdict(results: Results) -> pd.DataFrame:
    """Every method's metrics at the verdict's k, and the source model's: what the verdict is read beside."""
    table = results.performance
    return table[(table["k"] == results.shots) | (table["method"] == SOURCE_ONLY)]


def cautions(evidence: Evidence, verdict: Verdict) -> list[str]:
    """Why the numbers may say less than they seem to."""
    found = []
    if verdict.few:
        found.append(
            f"Only {count(verdict.patients, 'query patient')} (fewer than {FEW_PATIENTS}): the intervals may be too narrow. "
            "Label more patients before relying on this page."
        )
    for label, name in enumerate(evidence.classes):
        patients = evidence.query.patients_of(label)
        if patients < FEW_IN_CLASS:
            found.append(
                f"Class {name} has {count(patients, 'query patient')} (fewer than {FEW_IN_CLASS}): the intervals may be too narrow, "
                "for so few of a class say little of the others."
            )
    if verdict.draws_low is None and verdict.k:
        found.append(
            "One support draw only, so how much the result hangs on which cases were labelled is not known. "
            "Set tasks.draws in params.yaml to 10 or more and run again."
        )
    if evidence.role == "source":
        found.append(
            "This hospital's other patients trained the model: an internal reference, no evidence for a new hospital."
        )
    return found


def _rivals(evidence: Evidence, verdict: Verdict) -> list[dict[str, object]]:
    """Every other method at the verdict's k, best first."""
    table = evidence.performance
    rows = table[
        (table["metric"] == AUROC) & (table["method"] != verdict.method) & (table["k"] == verdict.k)
    ]
    return rows.sort_values(["value", "method"], ascending=[False, True]).to_dict("records")


def _source_model(evidence: Evidence, verdict: Verdict) -> dict[str, object] | None:
    """What the source model does without any labelled case; None where no source hospital has the task."""
    table = evidence.performance
    rows = table[(table["metric"] == AUROC) & (table["method"] == SOURCE_ONLY)]
    return rows.iloc[0].to_dict() if len(rows) and verdict.method != SOURCE_ONLY else None


def _by_class(evidence: Evidence, verdict: Verdict) -> list[dict[str, object]]:
    """AUROC of each class against the rest, for the verdict's method and k; empty for two classes."""
    at = evidence.performance[
        (evidence.performance["method"] == verdict.method)
        & (evidence.performance["k"] == verdict.k)
    ]
    rows = {row["metric"]: row for row in at.to_dict("records")}
    return [
        {
            **rows[class_metric(name)],
            "class": name,
            "class_patients": evidence.query.patients_of(label),
            "class_records": int((evidence.query.labels == label).sum()),
        }
        for label, name in enumerate(evidence.classes)
        if class_metric(name) in rows
    ]
