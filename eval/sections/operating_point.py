"""The operating point: a threshold fixed on source patients, and what it does at this site."""

import pandas as pd

from eval.evidence import Evidence
from eval.measures.confusion import confusion_matrix
from eval.measures.operating_point import MEASURES, OperatingPoint, operating_points
from eval.page.section import Section

PLACE = 70


def section(evidence: Evidence) -> Section:
    """The threshold's shares, counts and origin; then what is taken for what at the most probable class."""
    points, (confusion, tables) = operating_points(evidence), confusion_matrix(evidence)
    shown = {
        "other_classes": evidence.other_classes,
        "points": points,
        "measures": MEASURES,
        "asked": evidence.params.report.operating_sensitivity,
        "confusion": confusion,
        "patients": len(set(evidence.query.patients)),
        "records": len(evidence.query.records),
        "sources": sorted(evidence.sources),
        "task": evidence.task["task"],
        "method": evidence.method,
        "k": evidence.shots,
        "confidence": evidence.params.adapt.confidence,
    }
    return Section(
        "operating_point.html.j2",
        "Operating point and errors",
        shown,
        tables | (_tables(points) if points else {}),
    )


def _tables(points: list[OperatingPoint]) -> dict[str, pd.DataFrame]:
    counts = (
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
    return {
        "operating_point.csv": pd.DataFrame(
            [
                {"class": point.name, "measure": name, **vars(getattr(point, name))}
                for point in points
                for name in MEASURES
                if getattr(point, name)
            ]
        ),
        "operating_counts.csv": pd.DataFrame(
            [
                {
                    "class": point.name,
                    **{name: getattr(point, name) for name in counts},
                    "called_positive": point.true_positives + point.false_positives,
                    "called_negative": point.true_negatives + point.false_negatives,
                }
                for point in points
            ]
        ),
        "operating_sources.csv": pd.DataFrame(
            [{"class": point.name, **vars(source)} for point in points for source in point.sources]
        ),
    }
