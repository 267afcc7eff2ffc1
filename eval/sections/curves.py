"""Each score against the number of labelled patients: every method, both uncertainties."""

from collections.abc import Mapping, Sequence
from itertools import starmap
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
from eval.verdict.sentences import intervals
from eval.words import count, percent, plain

PLACE = 40


def section(evidence: Evidence) -> Section:
    """A figure a score, and the tables of their numbers."""
    table, accuracy = evidence.performance, BALANCED_ACCURACY in evidence.scores
    episodes = episode_accuracy(*evidence.answers, evidence.params.adapt.confidence)
    by_method = {(row["method"], row["k"]): row for row in episodes.to_dict("records")}
    draws, patients = int(table["draws"].max()), int(table["patients"].iloc[0])
    records, confidence = int(table["records"].iloc[0]), evidence.params.adapt.confidence
    first, *others = evidence.scores
    counts = percent(confidence), patients, records, draws
    captions = {first.name: caption(first, *counts)}
    captions |= {score.name: same_caption(score) for score in others}
    shown = {
        "figures": _figures(evidence),
        "captions": captions,
        "confidence": confidence,
        "shots": sorted(map(int, table["k"].unique())),
        "methods": evidence.methods,
        "chosen": evidence.method,
        "empty": empty,
        "gaps": list(starmap(not_possible, _gaps(evidence).items())),
        "intervals": intervals,
        "cells": {score.name: _cells(table, score.name) for score in evidence.scores},
        "episode": lambda method, k: episode(by_method.get((method, k))),
        "accuracy": accuracy,
        "classes": len(evidence.classes),
        "source_only": SOURCE_ONLY in evidence.methods,
        "draws": draws,
        "patients": patients,
        "records": records,
    }
    infeasible = pd.DataFrame(evidence.task["infeasible"], columns=["k", "class", "patients"])
    tables = {
        "performance.csv": table.assign(cases=table["k"] * len(evidence.classes)),
        "episode_accuracy.csv": episodes,
        "infeasible.csv": infeasible,
    }
    return Section("curves.html.j2", "Performance against labelled patients", shown, tables)


def _figures(evidence: Evidence) -> list[tuple[Score, Markup]]:
    return [(score, _figure(evidence, score)) for score in evidence.scores]


def _figure(evidence: Evidence, score: Score) -> Markup:
    """The target is drawn where the verdict speaks of this score."""
    table = evidence.performance[evidence.performance["metric"] == score.name]
    methods = [method for method in evidence.methods if method != SOURCE_ONLY]
    target = evidence.target if score == evidence.score else None
    alt, classes = _alt(score, evidence), len(evidence.classes)
    return shots_figure(table, score, methods, evidence.method, classes, alt, target)


def caption(score: Score, level: str, patients: int, records: int, draws: int) -> str:
    """What the first figure shows."""
    no_band = "; no band, since one draw has no spread" if draws == 1 else ""
    tested = f"{count(patients, 'query patient')} ({count(records, 'image')})"
    return (
        f"{score.heading}. Each panel shows one method in full and the others in grey. "
        f"Bars: {level} interval over {tested}. "
        f"Band: {level} spread over {count(draws, 'draw')} of labelled cases{no_band}."
    )


def same_caption(score: Score) -> Markup:
    """What a further figure shows."""
    several = f", {score.several}" if score.several else ""
    return Markup(f"{score.heading}{several}, drawn in the same way.")


def not_possible(k: int, gaps: Sequence[Mapping[str, Any]]) -> str:
    """The classes that lack patients for a k, and what to do."""
    lacking = [(gap["class"], count(gap["patients"], "patient")) for gap in gaps]
    classes = ", ".join(f"class {name} has {few} to draw from" for name, few in lacking)
    these = "these classes" if len(gaps) > 1 else "this class"
    return (
        f"k = {k} is not possible at this hospital: {classes}. "
        f"Label more patients of {these} to get it."
    )


def episode(row: Mapping[str, Any] | None) -> str:
    """An accuracy as few-shot papers print it."""
    if row is None:
        return "not run"
    accuracy = f"{100 * row['accuracy']:.1f}"
    if row["draws"] == 1:
        return f"{accuracy} % (1 draw, no interval)"
    return f"{accuracy} ± {100 * row['half_width']:.1f} %"


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
