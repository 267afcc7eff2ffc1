"""How far this site's images lie from the sources', beside what chance gives."""

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.figures.svg import ACCENT, INK, QUIET, STYLE, WIDTH, inline, say_value
from eval.words import decimals, percent


def distance_figure(sites: pd.DataFrame, null: np.ndarray, far: float, alt: str) -> Markup:
    """One line a site, the page's first; below them, what chance gives, as a histogram.

    sites: site, left_out, distance, counts of patients.
    """
    rows, bottom, high = sites.to_dict("records"), len(sites), sites["null_high"].iloc[0]
    names = [row["site"] + (" (source) from the others" if row["left_out"] else "") for row in rows]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.3 * bottom + 1.3), layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour, marker, fill = (INK, "s", "white") if row["left_out"] else (ACCENT, "o", ACCENT)
            at = row["distance"]
            axes.plot(at, place, marker, color=colour, markerfacecolor=fill, markersize=6)
            patients = f"{row['patients']} and {row['other_patients']} patients"
            counted = f"{decimals(at)}, {patients}"
            say_value(axes, at, place, f"{row['site']}: {counted}")
            _beside(axes, place, counted)
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
        _beside(axes, bottom, f"{percent(far)} of them below {decimals(high)}")
        axes.set(
            yticks=range(bottom + 1),
            yticklabels=[*names, "random groups of source patients"],
            ylim=(bottom + 0.6, -0.6),
            xlabel="distance of images: 0 alike, 1 apart",
        )
        return inline(figure, alt)


def _beside(axes: Axes, place: int, words: str) -> None:
    at = ("axes fraction", "data")
    axes.annotate(words, (1.02, place), xycoords=at, va="center", annotation_clip=False)
