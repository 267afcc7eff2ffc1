"""Each score against the number of labelled patients: every method, both uncertainties."""

from typing import Any

import pandas as pd
from markupsafe import Markup

from eval.evidence import Evidence
from eval.figures.shots import shots_figure
from eval.page.section import Section
from eval.results import SOURCE_ONLY
from eval.scores.label import BALANCED_ACCURACY
from eval.scores.performance import episode_accuracy
from eval.scores.score import Score
from eval.words import plain

PLACE = 40


def section(evidence: Evidence) -> Section:
    """A figure a score, and the tables of their numbers."""
    table, accuracy = evidence.performance, BALANCED_ACCURACY in evidence.scores
    episodes = episode_accuracy(*evidence.answers, evidence.params.adapt.confidence)
    figures = [(score, _figure(evidence, score)) for score in evidence.scores]
    by_method = {(row["method"], row["k"]): row for row in episodes.to_dict("records")}
    shown = {
        "figures": figures,
        "confidence": evidence.params.adapt.confidence,
        "shots": sorted(map(int, table["k"].unique())),
        "methods": evidence.methods,
        "chosen": evidence.method,
        "empty": empty,
        "gaps": _gaps(evidence),
        "cells": {score.name: _cells(table, score.name) for score in evidence.scores},
        "episodes": by_method,
        "accuracy": accuracy,
        "classes": len(evidence.classes),
        "source_only": SOURCE_ONLY in evidence.methods,
        "draws": int(table["draws"].max()),
        "patients": int(table["patients"].iloc[0]),
        "records": int(table["records"].iloc[0]),
    }
    infeasible = pd.DataFrame(evidence.task["infeasible"], columns=["k", "class", "patients"])
    tables = {
        "performance.csv": table.assign(cases=table["k"] * len(evidence.classes)),
        "episode_accuracy.csv": episodes,
        "infeasible.csv": infeasible,
    }
    return Section("curves.html.j2", "Performance against labelled patients", shown, tables)


def _figure(evidence: Evidence, score: Score) -> Markup:
    """The target is drawn where the verdict speaks of this score."""
    table = evidence.performance[evidence.performance["metric"] == score.name]
    methods = [method for method in evidence.methods if method != SOURCE_ONLY]
    target = evidence.target if score == evidence.score else None
    alt, classes = _alt(score, evidence), len(evidence.classes)
    return shots_figure(table, score, methods, evidence.method, classes, alt, target)


def empty(method: str, k: int) -> str:
    """Why a method has no value at a k."""
    if k == 0:
        return "needs labels"
    return "no labels used" if method == SOURCE_ONLY else "not run"


def _cells(table: pd.DataFrame, metric: str) -> dict[tuple[str, int], dict[str, Any]]:
    rows = table[table["metric"] == metric].to_dict("records")
    return {(row["method"], row["k"]): row for row in rows}


def _gaps(evidence: Evidence) -> dict[int, list[dict[str, Any]]]:
    """The k that this hospital is too small for, each with the classes that lack patients."""
    found: dict[int, list[dict[str, Any]]] = {}
    for gap in sorted(evidence.task["infeasible"], key=lambda gap: gap["k"]):
        found.setdefault(gap["k"], []).append(gap)
    return found


def _alt(score: Score, evidence: Evidence) -> str:
    return (
        f"{score.heading} against labelled patients a class at {evidence.site}, one panel for each "
        "method: "
        f"{', '.join(plain(method) for method in evidence.methods)}. The table below holds the "
        "same numbers."
    )
