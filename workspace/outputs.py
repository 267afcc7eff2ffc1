"""Outputs appear whole or not at all: written aside, then renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from workspace.errors import refuse_moved_inputs
from workspace.paths import Workspace


def private_folder(workspace: Workspace) -> Path:
    """The folder of what never leaves the machine, made on first use and open to its owner alone."""
    workspace.private.mkdir(parents=True, exist_ok=True)
    workspace.private.chmod(0o700)
    return workspace.private


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well, and vanishes when it does not.

    It grows beside its target, since data/ may be on another disk and a rename cannot leave its own. One stage writes one
    target, so what a killed run left behind is cleared by the next run of the same stage. Raises Refusal where the stage's inputs moved.
    """
    aside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        refuse_moved_inputs()
        shutil.rmtree(target, ignore_errors=True)
        os.replace(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(aside, path)


def to_json(value: Any) -> str:
    """JSON with sorted keys and a final newline: the same bytes for the same value. NaN is refused."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table whose bytes depend on its content alone (no index, no threads, no timestamps)."""
    table.to_parquet(path, index=False, engine="pyarrow", compression="zstd")


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
