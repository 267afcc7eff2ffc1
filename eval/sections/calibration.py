"""Whether a probability means what it says here."""

from typing import Any

import numpy as np
import pandas as pd

from eval.answers import read_held_out
from eval.evidence import Evidence
from eval.figures.reliability import reliability_figure
from eval.measures.calibration import (
    AS_IS,
    RECALIBRATED,
    Calibration,
    calibration_of,
    labelled_patients,
    recalibrated,
    temperatures,
)
from eval.page.section import Section
from eval.words import count, percent, plain

PLACE = 80
ALL = "all"  # the classes


def section(evidence: Evidence) -> Section:
    """Both states' numbers and reliability diagrams; the first alone where no labelled case is left
    over.
    """
    held_out = read_held_out(evidence.held_out, evidence.classes, evidence.method, evidence.shots)
    answers, patients = evidence.verdict_answers.probabilities, labelled_patients(evidence)
    states, fitted = [calibration_of(evidence, AS_IS, answers)], pd.DataFrame()
    if held_out.per_class:
        found = temperatures(held_out)
        states.append(
            calibration_of(
                evidence,
                RECALIBRATED,
                recalibrated(answers, found, (patients / patients.sum()).to_numpy()),
            )
        )
        fitted = _fitted(found, patients)
    about = evidence.classes[1] if len(evidence.classes) == 2 else None
    bins = pd.concat([found.bins for found in states])
    shown = {
        "states": [found.state for found in states],
        "rows": _side_by_side(states, about),
        "fitted": fitted.to_dict("records"),
        "shares": _shares(patients),
        "about": about,
        "figure": reliability_figure(bins, about, _alt(evidence, about)),
        "per_class": held_out.per_class,
        "method": evidence.method,
        "k": evidence.shots,
        "draws": answers.shape[1],
        "patients": len(set(evidence.query.patients)),
        "records": len(evidence.query.records),
        "confidence": evidence.params.adapt.confidence,
    }
    rows = [
        {"state": found.state, "measure": row["measure"], "class": row["class"], **vars(value)}
        for row in shown["rows"]
        for found, value in zip(states, row["values"], strict=True)
        if value
    ]
    tables = {"calibration.csv": pd.DataFrame(rows), "reliability.csv": bins}
    return Section(
        "calibration.html.j2",
        "Calibration",
        shown,
        tables | ({} if fitted.empty else {"recalibration.csv": fitted}),
    )


def _side_by_side(states: list[Calibration], about: str | None) -> list[dict[str, Any]]:
    """Each measure with its value in every state."""
    rows: list[dict[str, Any]] = [
        {"measure": "brier", "class": ALL, "values": [found.brier for found in states]},
        {
            "measure": "calibration_error",
            "class": ALL,
            "values": [found.error for found in states],
        },
    ]
    for lines in zip(*(found.lines for found in states), strict=True):
        rows += [
            {
                "measure": name,
                "class": lines[0].name,
                "values": [getattr(line, name) for line in lines],
            }
            for name in ("slope", "intercept")
        ]
    return [{**row, "of": of_class(row["class"], about)} for row in rows]


def of_class(name: str, about: str | None) -> str:
    """Of which class a measure is; nothing where it is of all."""
    if name == ALL:
        return ""
    return name if about else f"{name} against the rest"


def _shares(patients: pd.Series) -> list[str]:
    """Each class's share of the labelled patients."""
    shares = patients / patients.sum()
    return [
        f"{name} {percent(shares[name])} ({count(patients[name], 'patient')})"
        for name in patients.index
    ]


def _fitted(found: np.ndarray, patients: pd.Series) -> pd.DataFrame:
    """What the recalibration took from labelled cases: the temperatures over seeds and draws, and
    each class's share of patients.
    """
    ends = {"median": np.median(found), "lowest": found.min(), "highest": found.max()}
    shares = patients / patients.sum()
    return pd.DataFrame(
        [
            *(
                {"what": f"{name} temperature", "class": "", "value": float(value), "patients": ""}
                for name, value in ends.items()
            ),
            *(
                {"what": "share", "class": name, "value": shares[name], "patients": patients[name]}
                for name in patients.index
            ),
        ]
    )


def _alt(evidence: Evidence, about: str | None) -> str:
    axis = f"probability of {about}" if about else "probability of the most probable class"
    return (
        f"Reliability diagram of {plain(evidence.method)} at {evidence.site}: {axis} against the "
        "share of images for which it was so, "
        "in ten bins, with the images in each. The numbers are in reliability.csv."
    )
