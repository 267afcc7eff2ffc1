"""The verdict, what speaks against trusting it, and how it compares with the other methods."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from eval.evidence import Evidence
from eval.measures.needed import needed_of
from eval.measures.paired import difference
from eval.page.section import Section
from eval.results import SOURCE_ONLY, Results
from eval.verdict import sentences as say
from eval.verdict.judge import Verdict, cautions, judge

PLACE = 10

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


def section(evidence: Evidence) -> Section:
    """The verdict in plain words, what speaks against trusting it, and the other methods."""
    verdict, asked = judge(evidence), evidence.params.report.shots
    cases = needed_of(evidence).set_index("method").loc[verdict.method].to_dict()
    rivals, source = _rivals(evidence, verdict), _source_model(evidence, verdict)
    beside = [row["method"] for row in (rivals[:1] + ([source] if source else []))]
    paired = {other: difference(evidence, other) for other in beside}
    gaps = [gap for gap in evidence.task["infeasible"] if gap["k"] == asked]
    shown = {
        "verdict": verdict,
        "says": _sentences(evidence, verdict, gaps)
        | {"numbers": say.numbers(verdict, cases, evidence.params.adapt.confidence)}
        | {"alone": say.alone(verdict, rivals)}
        | _beside(verdict, rivals[0] if rivals else None, source, paired),
        "confidence": evidence.params.adapt.confidence,
        "asked": asked,
        "cautions": cautions(evidence, verdict),
        "rivals": rivals,
        "source": source,
        "by_class": _by_class(evidence, verdict),
        "site": evidence.site,
    }
    tables = _tables(evidence, verdict, cases, paired)
    if shown["by_class"]:
        tables["by_class.csv"] = pd.DataFrame(shown["by_class"])
    return Section("verdict.html.j2", "Verdict", shown, tables)


def _sentences(evidence: Evidence, verdict: Verdict, gaps: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of the verdict's method alone."""
    score, criteria = verdict.score, {}
    for found in verdict.criteria:
        words = {"value": say.value(found, score), "ends": say.ends(found), "why": say.why(found)}
        criteria[found.name] = words
    return {
        "headline": say.headline(verdict),
        "given": say.given(verdict.k, len(evidence.classes)),
        "spread": say.spread(verdict),
        "beside_target": say.beside_target(verdict.criteria[0], score),
        "by_word": say.by_word(verdict.criteria),
        "criteria": criteria,
        "other_k": say.other_k(verdict, evidence.params.report.shots, gaps),
    }


def _beside(
    verdict: Verdict,
    best: dict[str, Any] | None,
    source: dict[str, Any] | None,
    paired: dict[str, dict[str, float]],
) -> dict[str, str]:
    """What is said beside the best of the others, and beside the source model."""
    lines: dict[str, str] = {}
    if best:
        lines["best"] = say.beside_best(verdict, best)
        lines["difference"] = say.difference(verdict, best["method"], paired[best["method"]])
    if source:
        lines["source"] = say.source_model(verdict, source)
        lines["gain"] = say.gain(verdict, paired[SOURCE_ONLY])
    return lines


def _tables(
    evidence: Evidence,
    verdict: Verdict,
    cases: dict[str, Any],
    paired: dict[str, dict[str, float]],
) -> dict[str, pd.DataFrame]:
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
    compared = [{"method": verdict.method, "other": other, **paired[other]} for other in paired]
    infeasible = pd.DataFrame(evidence.task["infeasible"], columns=["k", "class", "patients"])
    return {
        "criteria.csv": pd.DataFrame([asdict(criterion) for criterion in verdict.criteria]),
        "at_verdict.csv": at_verdict(evidence),
        "infeasible.csv": infeasible,
        "verdict.csv": pd.DataFrame([numbers]).drop(columns=["criteria", "score"]),
        "beside_verdict.csv": pd.DataFrame(compared, columns=COMPARED),
    }


def at_verdict(results: Results) -> pd.DataFrame:
    """Every method's metrics at the verdict's k, and the source model's: what the verdict is read
    beside.
    """
    table = results.performance
    return table[(table["k"] == results.shots) | (table["method"] == SOURCE_ONLY)]


def _rivals(evidence: Evidence, verdict: Verdict) -> list[dict[str, Any]]:
    """Every other method at the verdict's k, best first."""
    table, worst_first = evidence.scored, not verdict.score.higher_is_better
    rows = table[(table["method"] != verdict.method) & (table["k"] == verdict.k)]
    ordered = rows.sort_values(["value", "method"], ascending=[worst_first, True])
    return ordered.to_dict("records")


def _source_model(evidence: Evidence, verdict: Verdict) -> dict[str, Any] | None:
    """What the source model does without any labelled case.

    None where no source hospital has the task.
    """
    rows = evidence.scored[evidence.scored["method"] == SOURCE_ONLY]
    return rows.iloc[0].to_dict() if len(rows) and verdict.method != SOURCE_ONLY else None


def _by_class(evidence: Evidence, verdict: Verdict) -> list[dict[str, Any]]:
    """The score of each class, for the verdict's method and k; empty where it is no mean."""
    table, query = evidence.performance, evidence.query
    at = table[(table["method"] == verdict.method) & (table["k"] == verdict.k)]
    rows = {row["metric"]: row for row in at.to_dict("records")}
    return [
        {
            **rows[verdict.score.of_class(name)],
            "class": name,
            "class_patients": query.patients_of(label),
            "class_records": int((query.labels == label).sum()),
        }
        for label, name in enumerate(evidence.classes)
        if verdict.score.of_class(name) in rows
    ]
