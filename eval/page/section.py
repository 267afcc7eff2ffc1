"""A section of the page, and how sections are found: docs/architecture.md shows one complete."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pandas as pd

from eval import sections
from eval.evidence import Evidence


@dataclass(frozen=True)
class Section:
    """One part of a page: its template, what that shows, and the tables behind it by file name."""

    template: str
    title: str
    shown: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        return self.template.removesuffix(".html.j2")


def all_sections() -> dict[str, Callable[[Evidence], Section]]:
    """The `section` of every file in eval/sections by the file's name, sorted by their `PLACE`."""
    names = [module.name for module in iter_modules(sections.__path__)]
    found = {name: import_module(f"eval.sections.{name}") for name in names}
    return {name: found[name].section for name in sorted(names, key=lambda name: found[name].PLACE)}
