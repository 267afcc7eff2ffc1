"""Figures as inline SVG: the same bytes for the same numbers, readable without colour, no script and no outside request."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from eval.page import decimals, interval, percent, plain
from eval.results import SOURCE_ONLY

ACCENT = "#0b5c7a"  # the one accent colour, for what the verdict speaks of; the pages' style sheet has the same
INK, QUIET, FAINT = "#222222", "#767676", "#c9c9c9"
WIDTH = 7.1  # inches: an A4 page between its margins
PANELS_IN_ROW = 3
REACH = 11  # points: the size of the unseen disc around a mark that a pointer has to hit
MARK = "mark:"  # what begins the id of a group that has a title of its own
STYLE = {
    "svg.hashsalt": "fewsite",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.titlesize": 8,
}


def shots_figure(
    table: pd.DataFrame,
    methods: Sequence[str],
    chosen: str,
    metric: str,
    chance: float,
    alt: str,
    target: float | None = None,
) -> Markup:
    """One panel a method: bars are the interval over patients, the band is the spread over draws; `table` holds one metric."""
    shots = sorted(table["k"].unique())
    at = {k: place for place, k in enumerate(shots)}
    lowest = min(table["patient_low"].min(), table["draws_low"].min(), chance)
    rows = -(-len(methods) // PANELS_IN_ROW)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.55), layout="constrained")
        panels = figure.subplots(rows, PANELS_IN_ROW, sharex=True, sharey=True, squeeze=False).flat
        for number, (panel, method) in enumerate(zip(panels, methods, strict=False)):
            _shots_panel(panel, table, method, methods, at, ACCENT if method == chosen else INK)
            panel.axhline(chance, color=QUIET, linewidth=0.6, linestyle=(0, (1, 3)))
            if target is not None:
                panel.axhline(target, color=INK, linewidth=0.8, linestyle=(0, (5, 3)))
            panel.set_title(
                plain(method),
                loc="left",
                fontweight="bold" if method == chosen else "normal",
                color=ACCENT if method == chosen else INK,
            )
            panel.set(
                xticks=list(at.values()),
                xticklabels=[str(k) for k in shots],
                xlim=(-0.35, len(shots) - 0.65),
                ylim=(max(0.0, lowest - 0.03), 1.01),
            )
            if number + PANELS_IN_ROW >= len(methods):  # nothing below it
                panel.tick_params(labelbottom=True)
                panel.set_xlabel("labelled patients a class (k)")
            if number % PANELS_IN_ROW == 0:
                panel.set_ylabel(metric)
        for panel in panels[len(methods) :]:
            panel.set_axis_off()
        handles = _legend(target, SOURCE_ONLY in set(table["method"]))
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        return _inline(figure, alt)


def _shots_panel(
    panel: Axes,
    table: pd.DataFrame,
    method: str,
    methods: Sequence[str],
    at: dict[int, int],
    colour: str,
) -> None:
    for other in methods:
        if other != method:
            rows = table[table["method"] == other]
            panel.plot(rows["k"].map(at), rows["value"], color=FAINT, linewidth=0.7, zorder=1)
    source = table[table["method"] == SOURCE_ONLY]
    if len(source):
        panel.axhline(source["value"].iloc[0], color=QUIET, linewidth=0.8, linestyle=":", zorder=1)
        _patients(panel, source, at, QUIET, "D")
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
    _patients(panel, rows, at, colour, "o")


def _patients(
    panel: Axes, rows: pd.DataFrame, at: dict[int, int], colour: str, marker: str
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
            f"{plain(row['method'])}, k = {row['k']}: {decimals(row['value'])}; {_both(row)}",
        )


def _both(row: Mapping[str, Any]) -> str:
    draws = (
        f"; over draws {interval(row['draws_low'], row['draws_high'])}" if row["draws"] > 1 else ""
    )
    return f"over patients {interval(row['patient_low'], row['patient_high'])}{draws}"


def say_value(axes: Axes, x: float, y: float, words: str) -> None:
    """Show `words` where a pointer rests on the mark at (x, y)."""
    axes.plot(x, y, "o", color=INK, markersize=REACH, alpha=0, gid=MARK + words, zorder=9)


def _legend(target: float | None, source_only: bool) -> list[object]:
    mean, *bars = [
        Line2D([], [], color=INK, marker=marker, linewidth=width, markersize=size)
        for marker, width, size in (("o", 1.1, 3.6), ("|", 0, 9))
    ]
    mean.set_label("mean over draws")
    bars[0].set_label("interval over patients")
    handles = [
        mean,
        bars[0],
        Patch(color=INK, alpha=0.18, linewidth=0, label="spread over draws of labelled cases"),
        Line2D([], [], color=FAINT, linewidth=0.9, label="the other methods"),
        Line2D([], [], color=QUIET, linewidth=0.6, linestyle=(0, (1, 3)), label="chance"),
    ]
    if source_only:
        handles.insert(
            3,
            Line2D(
                [],
                [],
                color=QUIET,
                marker="D",
                markerfacecolor="white",
                markersize=3.6,
                linestyle=":",
                linewidth=0.8,
                label="source model as it stands (k = 0)",
            ),
        )
    if target is not None:
        handles.append(
            Line2D(
                [], [], color=INK, linewidth=0.8, linestyle=(0, (5, 3)), label=f"target {target:g}"
            )
        )
    return handles


def forest_figure(sites: pd.DataFrame, target: float, alt: str) -> Markup:
    """One line a site in the order given: site, role, word, value and both intervals. Circles are targets, squares sources."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.36 * len(sites) + 0.75), layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(sites.to_dict("records")):
            marker, fill = ("o", ACCENT) if row["role"] == "target" else ("s", "white")
            axes.hlines(place, row["patient_low"], row["patient_high"], color=ACCENT, linewidth=1.4)
            if pd.notna(row["draws_low"]):
                axes.hlines(
                    place + 0.22,
                    row["draws_low"],
                    row["draws_high"],
                    color=QUIET,
                    linewidth=3.0,
                    alpha=0.6,
                )
            axes.plot(row["value"], place, marker, color=ACCENT, markerfacecolor=fill, markersize=6)
            say_value(
                axes, row["value"], place, f"{row['site']}: {decimals(row['value'])}; {_both(row)}"
            )
            axes.annotate(
                f"{decimals(row['value'])} ({interval(row['patient_low'], row['patient_high'])})  "
                f"{row['word'] if row['role'] == 'target' else 'reference'}",
                (1.02, place),
                xycoords=("axes fraction", "data"),
                va="center",
                annotation_clip=False,
            )
        axes.axvline(target, color=INK, linewidth=0.8, linestyle=(0, (5, 3)))
        axes.annotate(
            f"target {target:g}",
            (target, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
        )
        lowest = min(sites["patient_low"].min(), sites["draws_low"].min(), target)
        axes.set(
            yticks=range(len(sites)),
            yticklabels=[f"{row['site']} ({row['role']})" for row in sites.to_dict("records")],
            ylim=(len(sites) - 0.5, -0.6),
            xlim=(max(0.0, lowest - 0.04), 1.005),
            xlabel="AUROC",
        )
        return _inline(figure, alt)


def reliability_figure(bins: pd.DataFrame, about: str | None, alt: str) -> Markup:
    """One panel a state: the probability given against the share that was so, with its interval over patients; below, images in each bin.

    `about`: the class whose probability it is; none: the most probable one.
    """
    states = list(bins["state"].unique())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(5, 1))
        for panel, below, state in zip(*panels, states, strict=False):
            rows = bins[bins["state"] == state]
            panel.plot([0, 1], [0, 1], color=QUIET, linewidth=0.6, linestyle=(0, (1, 3)))
            panel.vlines(
                rows["probability"],
                rows["patient_low"],
                rows["patient_high"],
                color=ACCENT,
                linewidth=1.0,
            )
            panel.plot(
                rows["probability"],
                rows["observed"],
                "-o",
                color=ACCENT,
                linewidth=0.8,
                markersize=3.6,
            )
            panel.set_title(state, loc="left")
            panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            below.vlines(rows["probability"], 0, rows["images"], color=ACCENT, linewidth=2.0)
            for row in rows.itertuples():
                say_value(
                    panel,
                    row.probability,
                    row.observed,
                    f"said {decimals(row.probability)}, so {decimals(row.observed)}; "
                    f"{interval(row.patient_low, row.patient_high)} over patients; {row.images:.0f} images",
                )
                below.annotate(
                    f"{row.images:.0f}",
                    (row.probability, row.images),
                    xytext=(0, 1.5),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=6,
                    rotation=90,
                )
            below.set(
                ylim=(0, 1.8 * bins["images"].max()),
                yticks=[],
                xlabel=f"probability of {about}" if about else "probability of the class named",
            )
        panels[0, 0].set_ylabel(f"share that is {about}" if about else "share that is right")
        panels[1, 0].set_ylabel("images")
        for panel in panels[:, len(states) :].flat:
            panel.set_axis_off()
        return _inline(figure, alt)


def distance_figure(sites: pd.DataFrame, null: np.ndarray, far: float, alt: str) -> Markup:
    """One line a site (site, left_out, distance, counts of patients), the page's first; below them, what chance gives, as a histogram."""
    rows, bottom, high = sites.to_dict("records"), len(sites), sites["null_high"].iloc[0]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.3 * bottom + 1.3), layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour, marker, fill = (INK, "s", "white") if row["left_out"] else (ACCENT, "o", ACCENT)
            axes.plot(
                row["distance"], place, marker, color=colour, markerfacecolor=fill, markersize=6
            )
            counted = f"{decimals(row['distance'])}, {row['patients']} and {row['other_patients']} patients"
            say_value(axes, row["distance"], place, f"{row['site']}: {counted}")
            axes.annotate(
                counted,
                (1.02, place),
                xycoords=("axes fraction", "data"),
                va="center",
                annotation_clip=False,
            )
        heights, edges = np.histogram(null, bins=30)
        axes.bar(
            edges[:-1],
            -heights / heights.max(),
            width=np.diff(edges),
            bottom=bottom + 0.5,
            align="edge",
            color=QUIET,
            linewidth=0,
        )
        axes.axvline(high, color=INK, linewidth=0.8, linestyle=(0, (5, 3)))
        axes.annotate(
            f"{percent(far)} of them below {decimals(high)}",
            (1.02, bottom),
            xycoords=("axes fraction", "data"),
            va="center",
            annotation_clip=False,
        )
        axes.set(
            yticks=range(bottom + 1),
            yticklabels=[
                *(
                    f"{row['site']}{' (source) from the others' if row['left_out'] else ''}"
                    for row in rows
                ),
                "random groups of source patients",
            ],
            ylim=(bottom + 0.6, -0.6),
            xlabel="distance of images: 0 alike, 1 apart",
        )
        return _inline(figure, alt)


def _inline(figure: Figure, alt: str) -> Markup:
    """The figure's SVG element alone, named by `alt`; no title of its own, which would hide its marks' from the pointer."""
    stream = io.StringIO()
    figure.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    drawn = stream.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(rf"""<g id=(["']){MARK}(.*?)\1>""", r"<g><title>\2</title>", drawn)
    drawn = re.sub(
        r'<g id="[^"]*"(/?)>', r"<g\1>", drawn
    )  # several figures on a page would repeat these ids
    opening, rest = drawn.split(">", 1)
    opening = re.sub(
        r' (width|height|xmlns|xmlns:xlink)="[^"]*"', "", opening
    )  # HTML knows the names; CSS sets the size
    return Markup(f'{opening} role="img" aria-label="{escape(alt)}">{rest}')
