"""Sections put into one self-contained HTML file.

Everything is escaped, nothing is fetched, one script of ours may run.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval import sections
from eval.page.estimates import draws_number, draws_share, patients_number, patients_share
from eval.words import count, decimals, interval, p_value, percent, percents, plain, signed

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **shown: Any) -> str:
    """The page as HTML.

    A value that a template names and nobody gave is an error, never a blank.

    The page's policy (W3C Content Security Policy Level 3) allows the script by its hash, so no
    other can run.
    """
    own = [Path(folder) / "templates" for folder in sections.__path__]
    pages = Environment(
        loader=FileSystemLoader([TEMPLATES, *own]),
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
        patients_share=patients_share,
        patients_number=patients_number,
        draws_share=draws_share,
        draws_number=draws_number,
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
