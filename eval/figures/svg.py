"""Figures as inline SVG: the same bytes for the same numbers, readable without colour.

No script and no outside request.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from eval.words import interval

# the one accent colour, for what the verdict speaks of; the pages' style sheet has the same
ACCENT = "#0b5c7a"
INK, QUIET, FAINT = "#222222", "#767676", "#c9c9c9"
WIDTH = 7.1  # inches: an A4 page between its margins
REACH = 11  # points: the size of the unseen disc around a mark that a pointer has to hit
MARK = "mark:"  # what begins the id of a group that has a title of its own
STYLE: dict[RcKeyType, Any] = {
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


def both(row: Mapping[str, Any]) -> str:
    draws = (
        f"; over draws {interval(row['draws_low'], row['draws_high'])}" if row["draws"] > 1 else ""
    )
    return f"over patients {interval(row['patient_low'], row['patient_high'])}{draws}"


def say_value(axes: Axes, x: float, y: float, words: str) -> None:
    """Show `words` where a pointer rests on the mark at (x, y)."""
    axes.plot(x, y, "o", color=INK, markersize=REACH, alpha=0, gid=MARK + words, zorder=9)


def inline(figure: Figure, alt: str) -> Markup:
    """The figure's SVG element alone, named by `alt`; no title of its own, which would hide its
    marks' from the pointer.
    """
    stream = io.StringIO()
    figure.savefig(
        stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    drawn = stream.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(rf"""<g id=(["']){MARK}(.*?)\1>""", r"<g><title>\2</title>", drawn)
    # several figures on a page would repeat these ids
    drawn = re.sub(r'<g id="[^"]*"(/?)>', r"<g\1>", drawn)
    opening, rest = drawn.split(">", 1)
    # HTML knows the names; CSS sets the size
    opening = re.sub(r' (width|height|xmlns|xmlns:xlink)="[^"]*"', "", opening)
    return Markup(f'{opening} role="img" aria-label="{escape(alt)}">{rest}')
