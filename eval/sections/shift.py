"""How far this site's images lie from those of the source sites, and which fields differ."""

from typing import Any

import numpy as np
import pandas as pd

from eval.described import MEASURED, NAMED
from eval.evidence import Evidence
from eval.figures.distance import distance_figure
from eval.measures.energy import patient_features
from eval.measures.shift import FAR, FEWEST, SPLITS, Distances, field_differences, measure
from eval.page.section import Section
from eval.words import count, p_value, percent, plain

PLACE = 100
NOT_MEASURED = "The distance of the images is not measured"


def section(evidence: Evidence) -> Section:
    """The distance where there are features, and the fields wherever there are sources."""
    missing = _missing(evidence)
    distances = None if missing else _distances(evidence)
    fields = _fields(evidence)
    tables = {} if fields is None else {"shift_fields.csv": fields}
    shown: dict[str, Any] = {
        "other_classes": evidence.other_classes,
        "site": evidence.site,
        "missing": missing,
        "distances": distances,
        "fields": None if fields is None else [_in_words(row) for row in fields.to_dict("records")],
        "splits": SPLITS,
        "far": FAR,
        "fewest": FEWEST,
    }
    if distances is not None:
        measured = set(distances.by_class["label"])
        shown |= {
            "figure": distance_figure(distances.sites, distances.null, FAR, _alt(distances)),
            "reading": reading(distances),
            "left_out": [name for name in evidence.classes if name not in measured],
        }
        tables |= {
            "shift.csv": distances.sites,
            "shift_by_class.csv": distances.by_class,
            "shift_null.csv": pd.DataFrame({"distance": distances.null}),
        }
    elif missing is None:
        shown["missing"] = (
            f"No class has {FEWEST} query patients here and {2 * FEWEST} at the source sites, so "
            "the distance of the images is not measured: label more patients."
        )
    return Section("shift.html.j2", "Shift from the source sites", shown, tables)


def _distances(evidence: Evidence) -> Distances | None:
    sources = {
        site: patient_features(source.cohort, source.embeddings)
        for site, source in evidence.sources.items()
    }
    here = patient_features(evidence.cohort, evidence.embeddings)
    return measure(evidence.site, here, sources, evidence.classes, evidence.params.seed)


def _fields(evidence: Evidence) -> pd.DataFrame | None:
    if not evidence.sources:
        return None
    there = pd.concat([source.cohort for source in evidence.sources.values()])
    return field_differences(evidence.cohort, there)


def _missing(evidence: Evidence) -> str | None:
    """Why no distance can be measured, and what to do; None if nothing is missing."""
    if not evidence.sources:
        return (
            f"No other source site has the task {plain(evidence.task['task'])} with all of these "
            "classes, so there is nothing to compare with. "
            "Add one with fewsite add sites/NAME.yaml --source."
        )
    theirs = [source.embeddings for source in evidence.sources.values()]
    if not all(map(len, [evidence.embeddings, *theirs])):
        return (
            f"{NOT_MEASURED}, since it needs the features of the supervised source model: "
            "add supervised to train.learners in params.yaml, then dvc repro."
        )
    if any(features.shape[1:] != evidence.embeddings.shape[1:] for features in theirs):
        return (
            f"{NOT_MEASURED}, since the features here and at the source sites come from "
            "different source models: run dvc repro."
        )
    if not np.ptp(np.concatenate(theirs), axis=0).any():
        return (
            f"{NOT_MEASURED}, since the supervised source model gives all images of the source "
            "sites the same features: look at its training in runs/supervised, then dvc repro."
        )
    return None


def reading(distances: Distances) -> str:
    """The distance in words."""
    own, others = distances.sites["distance"].iloc[0], distances.sites["distance"].iloc[1:]
    if own <= distances.sites["null_high"].iloc[0]:
        return (
            "no farther from those of the source sites than random groups of source patients "
            "are from each other"
        )
    if not len(others):
        return (
            "farther from those of the source site than random groups of its patients are from "
            "each other; with one source site there is no scale to say how much that is"
        )
    if own > others.max():
        return "farther from those of the source sites than any source site's are from the others'"
    return (
        "farther from those of the source sites than chance gives, but no farther than the source "
        "sites' are from each other"
    )


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    """A field's row as the page shows it."""
    words = {"name": {**NAMED, **MEASURED}[row["field"]], **row, "differs": False}
    if not row["known_here"] or not row["known_sources"]:
        sides = [
            side
            for side, known in (
                ("here", row["known_here"]),
                ("at the source sites", row["known_sources"]),
            )
            if not known
        ]
        return {**words, "says": f"not comparable: unknown {' and '.join(sides)}"}
    if row["field"] in NAMED:
        new = row["new_patients"]
        return {
            **words,
            "differs": bool(new),
            "says": f"{count(new, 'patient')} of {row['known_here']:,} "
            f"({percent(row['new_share'])}) with a value that no source patient has",
        }
    if pd.isna(row["difference"]) and not row["ks"]:
        return {**words, "says": "the same for everybody"}
    clause = (
        f"{row['difference']:+.2f} standard deviations"
        if pd.notna(row["difference"])
        else "no spread to measure the difference in"
    )
    return {
        **words,
        "says": f"{clause}; Kolmogorov-Smirnov {row['ks']:.2f} (p {p_value(row['ks_p'])})",
    }


def _alt(distances: Distances) -> str:
    marks = [f"{row['site']} {row['distance']:.3f}" for row in distances.sites.to_dict("records")]
    return (
        f"Distance of this site's images from the source sites': {marks[0]}. "
        + (f"Each source site from the others: {', '.join(marks[1:])}. " if marks[1:] else "")
        + f"Random groups of source patients: {100 * FAR:.0f} % lie below "
        f"{distances.sites['null_high'].iloc[0]:.3f}."
    )
