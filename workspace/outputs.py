"""Outputs appear whole or not at all, also when the power goes: written aside, synced, renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from workspace.durable import make_folders, swap, sync, sync_all
from workspace.errors import refuse_moved_inputs
from workspace.paths import Workspace


def private_folder(workspace: Workspace) -> Path:
    """The folder of what never leaves the machine, made on first use, open to its owner alone."""
    workspace.private.mkdir(parents=True, exist_ok=True)
    workspace.private.chmod(0o700)
    return workspace.private


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well, and vanishes when it
    does not.

    It grows beside its target, since data/ may be on another disk and a rename cannot leave its
    own. One stage writes one target, so what a killed run left behind is cleared by the next run of
    the same stage. Raises Refusal where the stage's inputs moved.
    """
    aside, kept = _beside(target, "partial"), _beside(target, "kept")
    make_folders(target.parent)
    _put_back(target, kept)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        sync_all(aside)
        refuse_moved_inputs()
        _take_place(aside, target, kept)
    finally:
        _put_back(target, kept)
        shutil.rmtree(aside, ignore_errors=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees all of it or none."""
    make_folders(path.parent)
    aside = _beside(path, "partial")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    replace_whole(aside, path)


def replace_whole(aside: Path, path: Path) -> None:
    """Give a finished file the place of another one beside it, or a free one."""
    sync(aside)
    os.replace(aside, path)
    sync(path.parent)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.{what}")


def _take_place(aside: Path, target: Path, kept: Path) -> None:
    """Give a folder, which is on the disk, the place of `target`.

    An older one there is swapped with it in one step, and removed when the swap is on the disk.
    Where the system cannot swap, the older one is `kept` under another name for the time between
    two renames, and `_put_back` mends what stops there.
    """
    if not target.is_dir() or target.is_symlink():
        os.replace(aside, target)
    elif not swap(aside, target):
        os.rename(target, kept)
        sync(target.parent)
        os.rename(aside, target)
    sync(target.parent)


def _put_back(target: Path, kept: Path) -> None:
    """Leave one of the two: `kept` where a run stopped before `target` had its place again."""
    if kept.is_dir() and not target.exists():
        os.rename(kept, target)
        sync(target.parent)
    shutil.rmtree(kept, ignore_errors=True)


def to_json(value: Any) -> str:
    """JSON with sorted keys and a final newline: the same bytes for a value. NaN is refused."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table whose bytes depend on its content alone: no index, threads or timestamps."""
    table.to_parquet(path, index=False, engine="pyarrow", compression="zstd")


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
