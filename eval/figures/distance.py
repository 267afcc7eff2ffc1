"""Figures as inline SVG: the same bytes for the same numbers, readable without colour, no script and no outside request."""

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from eval.figures.svg import ACCENT, INK, QUIET, STYLE, WIDTH, inline, say_value
from eval.words import decimals, percent


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
        return inline(figure, alt)
