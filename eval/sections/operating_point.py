"""The operating point: a threshold fixed on source patients, and what it does at this site."""

import pandas as pd

from eval.evidence import Evidence
from eval.measures.confusion import confusion_matrix
from eval.measures.operating_point import MEASURES, OperatingPoint, operating_points
from eval.page.section import Section
from eval.words import decimals, plain

PLACE = 70
ALMOST_NONE, ALMOST_ONE = 0.0005, 0.9995  # what three decimals would round to 0 and 1
NO_VALUE = {
    "ppv": "no image is called positive, so it has no value",
    "npv": "no image is called negative, so it has no value",
}
COUNTS = (
    "threshold",
    "prevalence",
    "true_positives",
    "false_negatives",
    "true_negatives",
    "false_positives",
    "positive_patients",
    "positives",
    "negative_patients",
    "negatives",
)


def section(evidence: Evidence) -> Section:
    """The threshold's shares, counts and origin; then what is taken for what."""
    points, (confusion, tables) = operating_points(evidence), confusion_matrix(evidence)
    shown = {
        "other_classes": evidence.other_classes,
        "points": points,
        "missing": None if points else missing(evidence),
        "called_from": called_from,
        "measures": MEASURES,
        "no_value": NO_VALUE,
        "asked": evidence.params.report.operating_sensitivity,
        "confusion": confusion,
        "patients": len(set(evidence.query.patients)),
        "records": len(evidence.query.records),
        "method": evidence.method,
        "k": evidence.shots,
        "confidence": evidence.params.adapt.confidence,
    }
    if points:
        tables |= _tables(points)
    return Section("operating_point.html.j2", "Operating point and errors", shown, tables)


def called_from(threshold: float) -> str:
    """The probability from which an image is called positive; none is said to be 0 or 1."""
    if threshold >= ALMOST_ONE:
        return "a probability above 0.999"
    if threshold < ALMOST_NONE:
        return "a probability below 0.001"
    return f"a probability of {decimals(threshold)}"


def missing(evidence: Evidence) -> str:
    """Why there is no operating point, and what to do."""
    blind = "so nothing fixes a threshold without looking at this hospital"
    if not evidence.sources:
        return (
            "There is no operating point: no other source hospital has the task "
            f"{plain(evidence.task['task'])} with all of these classes, {blind}.\n"
            "Add one with fewsite add sites/NAME.yaml --source and run dvc repro to get "
            "sensitivity, specificity, PPV and NPV."
        )
    names = sorted(evidence.sources)
    have = "has" if len(names) == 1 else "have"
    return (
        f"There is no operating point: {', '.join(names)} {have} no "
        f"answers of {plain(evidence.method)} at k = {evidence.shots}, {blind}.\n"
        "Label more patients there, or choose a report.shots in params.yaml that the source "
        "hospitals reach too."
    )


def _tables(points: list[OperatingPoint]) -> dict[str, pd.DataFrame]:
    shares, counts, sources = [], [], []
    for point in points:
        key = {"class": point.name}
        measured = {name: getattr(point, name) for name in MEASURES}
        shares += [
            {**key, "measure": name, **vars(found)} for name, found in measured.items() if found
        ]
        positive = point.true_positives + point.false_positives
        negative = point.true_negatives + point.false_negatives
        called = {"called_positive": positive, "called_negative": negative}
        counts.append({**key, **{name: getattr(point, name) for name in COUNTS}, **called})
        sources += [{**key, **vars(source)} for source in point.sources]
    return {
        "operating_point.csv": pd.DataFrame(shares),
        "operating_counts.csv": pd.DataFrame(counts),
        "operating_sources.csv": pd.DataFrame(sources),
    }
