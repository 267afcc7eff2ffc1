"""AUROC and balanced accuracy against the number of labelled patients, every method, both uncertainties."""

from typing import Any

import pandas as pd

from eval.evidence import Evidence
from eval.figures import shots_figure
from eval.page import Section, plain
from eval.performance import AUROC, BALANCED_ACCURACY, episode_accuracy
from eval.results import SOURCE_ONLY


def curves_section(evidence: Evidence) -> Section:
    """Two figures and the table of their numbers."""
    table, methods = (
        evidence.performance,
        [method for method in evidence.methods if method != SOURCE_ONLY],
    )
    episodes = episode_accuracy(*evidence.answers, evidence.params.adapt.confidence)
    chance = 1 / len(evidence.classes)
    figures = [
        shots_figure(
            table[table["metric"] == AUROC],
            methods,
            evidence.method,
            "AUROC",
            0.5,
            _alt("AUROC", evidence),
            target=evidence.params.report.accept.auroc,
        ),
        shots_figure(
            table[table["metric"] == BALANCED_ACCURACY],
            methods,
            evidence.method,
            "balanced accuracy",
            chance,
            _alt("Balanced accuracy", evidence),
        ),
    ]
    shown = {
        "auroc_figure": figures[0],
        "accuracy_figure": figures[1],
        "confidence": evidence.params.adapt.confidence,
        "shots": sorted(int(k) for k in table["k"].unique()),
        "methods": evidence.methods,
        "chosen": evidence.method,
        "gaps": _gaps(evidence),
        "cells": {metric: _cells(table, metric) for metric in (AUROC, BALANCED_ACCURACY)},
        "episodes": {(row["method"], row["k"]): row for row in episodes.to_dict("records")},
        "classes": len(evidence.classes),
        "source_only": SOURCE_ONLY in evidence.methods,
        "draws": int(table["draws"].max()),
        "patients": int(table["patients"].iloc[0]),
        "records": int(table["records"].iloc[0]),
    }
    return Section(
        "curves.html.j2",
        "Performance against labelled patients",
        shown,
        {
            "performance.csv": table.assign(cases=table["k"] * len(evidence.classes)),
            "episode_accuracy.csv": episodes,
            "infeasible.csv": pd.DataFrame(
                evidence.task["infeasible"], columns=["k", "class", "patients"]
            ),
        },
    )


def _cells(table: pd.DataFrame, metric: str) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (row["method"], row["k"]): row
        for row in table[table["metric"] == metric].to_dict("records")
    }


def _gaps(evidence: Evidence) -> dict[int, list[dict[str, Any]]]:
    """The k that this hospital is too small for, each with the classes that lack patients."""
    infeasible = evidence.task["infeasible"]
    return {
        k: [gap for gap in infeasible if gap["k"] == k]
        for k in sorted({gap["k"] for gap in infeasible})
    }


def _alt(metric: str, evidence: Evidence) -> str:
    return (
        f"{metric} against labelled patients a class at {evidence.site}, one panel for each method: "
        f"{', '.join(plain(method) for method in evidence.methods)}. The table below holds the same numbers."
    )
