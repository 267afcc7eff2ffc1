"""Numbers and names as words, the same on every page and in every message."""

from collections.abc import Sequence

import pandas as pd

MINUS = "\N{MINUS SIGN}"


def decimals(value: float | None) -> str:
    return f"{value:.3f}".replace("-", MINUS) if pd.notna(value) else "not measured"


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", MINUS) if pd.notna(value) else "not measured"


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def interval(low: float | None, high: float | None) -> str:
    return (
        f"{decimals(low)} to {decimals(high)}"
        if pd.notna(low) and pd.notna(high)
        else "not measured"
    )


def percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def percents(low: float, high: float) -> str:
    return (
        f"{percent(low)} to {percent(high)}" if pd.notna(low) and pd.notna(high) else "not measured"
    )


def capital(text: str) -> str:
    """The same with a capital at its start."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def plain(name: str) -> str:
    """A method's or setting's name as words."""
    return name.replace("_", " ")


def count(number: int, noun: str) -> str:
    """`1 patient`, `2,259 patients`."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,}\N{NO-BREAK SPACE}{noun if number == 1 else plural}"
