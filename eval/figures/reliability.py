"""What was said against what was so, in bins."""

import matplotlib
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.figures.svg import ACCENT, QUIET, STYLE, WIDTH, inline, say_value
from eval.words import decimals, interval


def reliability_figure(bins: pd.DataFrame, about: str | None, alt: str) -> Markup:
    """One panel a state: the probability given against the share that was so; below, images a bin.

    `about`: the class whose probability it is; none: the most probable one.
    """
    states = list(bins["state"].unique())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(5, 1))
        for panel, below, state in zip(*panels, states, strict=False):
            _state(panel, below, bins[bins["state"] == state], state)
            below.set(
                ylim=(0, 1.8 * bins["images"].max()),
                yticks=[],
                xlabel=f"probability of {about}" if about else "probability of the class named",
            )
        panels[0, 0].set_ylabel(f"share that is {about}" if about else "share that is right")
        panels[1, 0].set_ylabel("images")
        for panel in panels[:, len(states) :].flat:
            panel.set_axis_off()
        return inline(figure, alt)


def _state(panel: Axes, below: Axes, rows: pd.DataFrame, state: str) -> None:
    """One state's bins, each with its interval over patients, and their images."""
    given = rows["probability"]
    panel.plot([0, 1], [0, 1], color=QUIET, linewidth=0.6, linestyle=(0, (1, 3)))
    panel.vlines(given, rows["patient_low"], rows["patient_high"], color=ACCENT, linewidth=1.0)
    panel.plot(given, rows["observed"], "-o", color=ACCENT, linewidth=0.8, markersize=3.6)
    panel.set_title(state, loc="left")
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    below.vlines(given, 0, rows["images"], color=ACCENT, linewidth=2.0)
    for row in rows.itertuples():
        words = (
            f"said {decimals(row.probability)}, so {decimals(row.observed)}; "
            f"{interval(row.patient_low, row.patient_high)} over patients; {row.images:.0f} images"
        )
        say_value(panel, row.probability, row.observed, words)
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
