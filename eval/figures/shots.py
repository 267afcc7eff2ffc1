"""A score against the number of labelled patients, one panel a method."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from eval.figures.svg import ACCENT, FAINT, INK, QUIET, STYLE, WIDTH, both, inline, say_value
from eval.results import SOURCE_ONLY
from eval.scores.score import Score
from eval.words import plain

PANELS_IN_ROW = 3
DOTTED, DASHED = (0, (1, 3)), (0, (5, 3))


def shots_figure(
    table: pd.DataFrame,
    score: Score,
    methods: Sequence[str],
    chosen: str,
    classes: int,
    alt: str,
    target: float | None = None,
) -> Markup:
    """One panel a method: bars are the interval over patients, the band is the spread over draws.

    table: the rows of performance.csv with this score.
    """
    shots = sorted(table["k"].unique())
    at = {k: place for place, k in enumerate(shots)}
    chance = score.chance(classes) if score.chance else None
    rows = -(-len(methods) // PANELS_IN_ROW)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.55), layout="constrained")
        panels = figure.subplots(rows, PANELS_IN_ROW, sharex=True, sharey=True, squeeze=False).flat
        for number, (panel, method) in enumerate(zip(panels, methods, strict=False)):
            _shots_panel(panel, table, score, method, methods, at, method == chosen)
            _lines(panel, chance, target)
            panel.set(
                xticks=list(at.values()),
                xticklabels=[str(k) for k in shots],
                xlim=(-0.35, len(shots) - 0.65),
                ylim=score.axis(_reach(table, chance), below=0.03, above=0.01),
            )
            if number + PANELS_IN_ROW >= len(methods):  # nothing below it
                panel.tick_params(labelbottom=True)
                panel.set_xlabel("labelled patients a class (k)")
            if number % PANELS_IN_ROW == 0:
                panel.set_ylabel(score.axis_title)
        for panel in panels[len(methods) :]:
            panel.set_axis_off()
        handles = _legend(score, chance, target, SOURCE_ONLY in set(table["method"]))
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        return inline(figure, alt)


def _reach(table: pd.DataFrame, chance: float | None) -> list[float]:
    """The values that the axis has to hold."""
    ends = ("patient_low", "patient_high", "draws_low", "draws_high")
    found = [table[ends_of].to_numpy(float) for ends_of in ends]
    return [*np.concatenate(found), *([] if chance is None else [chance])]


def _lines(panel: Axes, chance: float | None, target: float | None) -> None:
    if chance is not None:
        panel.axhline(chance, color=QUIET, linewidth=0.6, linestyle=DOTTED)
    if target is not None:
        panel.axhline(target, color=INK, linewidth=0.8, linestyle=DASHED)


def _shots_panel(
    panel: Axes,
    table: pd.DataFrame,
    score: Score,
    method: str,
    methods: Sequence[str],
    at: dict[int, int],
    chosen: bool,
) -> None:
    colour = ACCENT if chosen else INK
    for other in methods:
        if other != method:
            rows = table[table["method"] == other]
            panel.plot(rows["k"].map(at), rows["value"], color=FAINT, linewidth=0.7, zorder=1)
    source = table[table["method"] == SOURCE_ONLY]
    if len(source):
        panel.axhline(source["value"].iloc[0], color=QUIET, linewidth=0.8, linestyle=":", zorder=1)
        _patients(panel, source, score, at, QUIET, "D")
    rows = table[table["method"] == method].sort_values("k")
    panel.fill_between(
        rows["k"].map(at),
        rows["draws_low"],
        rows["draws_high"],
        color=colour,
        alpha=0.18,
        linewidth=0,
        zorder=2,
    )
    panel.plot(rows["k"].map(at), rows["value"], color=colour, linewidth=1.1, zorder=3)
    _patients(panel, rows, score, at, colour, "o")
    weight = "bold" if chosen else "normal"
    panel.set_title(plain(method), loc="left", fontweight=weight, color=colour)


def _patients(
    panel: Axes, rows: pd.DataFrame, score: Score, at: dict[int, int], colour: str, marker: str
) -> None:
    """Points with the interval over patients as bars; at a bound an interval ends at its point."""
    places = rows["k"].map(at)
    panel.vlines(
        places, rows["patient_low"], rows["patient_high"], color=colour, linewidth=1.0, zorder=3
    )
    for end in ("patient_low", "patient_high"):
        panel.plot(
            places, rows[end], "_", color=colour, markersize=5, markeredgewidth=1.0, zorder=3
        )
    fill = "white" if marker == "D" else colour
    panel.plot(
        places, rows["value"], marker, color=colour, markersize=3.6, markerfacecolor=fill, zorder=4
    )
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        say_value(
            panel,
            place,
            row["value"],
            f"{plain(row['method'])}, k = {row['k']}: {score.text(row['value'])}; {both(row)}",
        )


def _legend(
    score: Score, chance: float | None, target: float | None, source_only: bool
) -> list[Artist]:
    handles: list[Artist] = [
        Line2D(
            [], [], color=INK, marker="o", linewidth=1.1, markersize=3.6, label="mean over draws"
        ),
        Line2D(
            [], [], color=INK, marker="|", linewidth=0, markersize=9, label="interval over patients"
        ),
        Patch(color=INK, alpha=0.18, linewidth=0, label="spread over draws of labelled cases"),
    ]
    if source_only:
        handles.append(
            Line2D(
                [],
                [],
                color=QUIET,
                linewidth=0.8,
                linestyle=":",
                marker="D",
                markerfacecolor="white",
                markersize=3.6,
                label="source model as it stands (k = 0)",
            )
        )
    handles.append(Line2D([], [], color=FAINT, linewidth=0.9, label="the other methods"))
    if chance is not None:
        handles.append(Line2D([], [], color=QUIET, linewidth=0.6, linestyle=DOTTED, label="chance"))
    if target is not None:
        label = f"target {target:g}{score.unit and f' {score.unit}'}"
        handles.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=DASHED, label=label))
    return handles
