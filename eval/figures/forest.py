"""One line a hospital: its score with both uncertainties, and the target."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.figures.svg import ACCENT, INK, QUIET, STYLE, WIDTH, both, inline, say_value
from eval.scores.score import Score
from eval.words import interval


def forest_figure(sites: pd.DataFrame, score: Score, target: float, alt: str) -> Markup:
    """One line a site in the order given: site, role, word, value and both intervals.

    Circles are targets, squares sources.
    """
    rows = sites.to_dict("records")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.36 * len(sites) + 0.75), layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(rows):
            _site(axes, place, row, score)
        axes.axvline(target, color=INK, linewidth=0.8, linestyle=(0, (5, 3)))
        axes.annotate(
            f"target {target:g}{score.unit and f' {score.unit}'}",
            (target, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
        )
        ends = ["patient_low", "patient_high", "draws_low", "draws_high"]
        reach = [*sites[ends].to_numpy(float).ravel(), target]
        axes.set(
            yticks=range(len(sites)),
            yticklabels=[f"{row['site']} ({row['role']})" for row in rows],
            ylim=(len(sites) - 0.5, -0.6),
            xlim=score.axis(reach, below=0.04, above=0.005),
            xlabel=score.axis_title,
        )
        return inline(figure, alt)


def _site(axes: Axes, place: int, row: Mapping[str, Any], score: Score) -> None:
    marker, fill = ("o", ACCENT) if row["role"] == "target" else ("s", "white")
    axes.hlines(place, row["patient_low"], row["patient_high"], color=ACCENT, linewidth=1.4)
    if pd.notna(row["draws_low"]):
        ends = row["draws_low"], row["draws_high"]
        axes.hlines(place + 0.22, *ends, color=QUIET, linewidth=3.0, alpha=0.6)
    axes.plot(row["value"], place, marker, color=ACCENT, markerfacecolor=fill, markersize=6)
    value = score.text(row["value"])
    say_value(axes, row["value"], place, f"{row['site']}: {value}; {both(row)}")
    axes.annotate(
        f"{value} ({interval(row['patient_low'], row['patient_high'])})  "
        f"{row['word'] if row['role'] == 'target' else 'reference'}",
        (1.02, place),
        xycoords=("axes fraction", "data"),
        va="center",
        annotation_clip=False,
    )
