"""What a case is: a function that writes an export and gives what is right of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WRITERS: dict[str, Callable[[Path], "Right"]] = {}


@dataclass(frozen=True)
class Right:
    """What `fewsite inspect` has to make of an export.

    `volumes`: the values of each volume or image that must come out, in any order, each (slices, rows, columns) in the order
    of its files' positions along +z, or (rows, columns). `rejects`: reason -> files. `flags`: what must be flagged on one of
    them. `units`: what the values are, where the files say it. `straightened`: asked of inspect.
    """

    volumes: tuple[np.ndarray, ...] = ()
    rejects: dict[str, int] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    units: str | None = None
    straightened: bool = False


def odd(writer: Callable[[Path], Right]) -> Callable[[Path], Right]:
    """Register a case under its module's and its own name. Its docstring says the situation, why that is right, and its source."""
    if not writer.__doc__:
        raise ValueError(f"{writer.__name__}: a case needs a docstring with its source")
    WRITERS[f"{writer.__module__.rpartition('.')[2]}:{writer.__name__}"] = writer
    return writer
