"""A page: sections put into one self-contained HTML file. Everything is escaped, nothing is fetched, one script of ours may run."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Section:
    """One part of a page: its template, what the template shows, and the tables behind it (file name -> table)."""

    template: str
    title: str
    shown: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        return self.template.removesuffix(".html.j2")


def render(template: str, **shown: Any) -> str:
    """The page as HTML. A value that a template names and nobody gave is an error, never a blank.

    The page's policy (W3C Content Security Policy Level 3) allows the script by its hash, so no other can run.
    """
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters.update(
        decimals=decimals,
        interval=interval,
        plain=plain,
        count=count,
        percent=percent,
        percents=percents,
        signed=signed,
        p_value=p_value,
    )
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return pages.get_template(template).render(
        script=Markup(script), script_hash=script_hash, **shown
    )


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write the numbers behind the figures as CSV files."""
    for name, table in sorted(tables.items()):
        (folder / name).write_bytes(table_bytes(table))


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV."""
    return table.to_csv(index=False, lineterminator="\n").encode()


def decimals(value: float) -> str:
    return f"{value:.3f}".replace("-", MINUS) if pd.notna(value) else "not measured"


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", MINUS) if pd.notna(value) else "not measured"


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def interval(low: float, high: float) -> str:
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


def plain(name: str) -> str:
    """A method's or setting's name as words."""
    return name.replace("_", " ")


def count(number: int, noun: str) -> str:
    """`1 patient`, `2,259 patients`."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,}\N{NO-BREAK SPACE}{noun if number == 1 else plural}"
