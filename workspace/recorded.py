"""What DVC records of the stage that this process runs, looked at before it reads anything and
again before its outputs appear.

DVC hashes a stage's dependencies and notes its settings when the stage has ended. What moved
meanwhile would be recorded as what the outputs were made of, and they would never be made again.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

UNREAD = (".git", ".hg", ".dvc")  # of an export, as data_prep/exports/walk.py does
_begun: "Recorded | None" = None  # a process runs one stage


@dataclass(frozen=True)
class Recorded:
    """One stage's entry in dvc.yaml with its names filled in, and what was there of it.

    `settings`, `files`: by what they are called there.
    """

    params: list[str | dict[str, None]]
    deps: list[str]
    settings: dict[str, Any]
    files: dict[str, str]


def begin(module: str, given: list[str]) -> None:
    """Look at what DVC will record of the stage that runs `module`; nothing where no dvc.yaml names
    it. `given`: its arguments.
    """
    global _begun
    _begun = None
    for stage in ((_read("dvc.yaml") or {}).get("stages") or {}).values():
        definition = stage.get("do", stage)
        words = str(definition.get("cmd")).split()  # python -m MODULE ${key} ${item}
        if words[2:3] == [module] and len(words) == len(given) + 3:
            names = dict(zip(words[3:], given, strict=True))
            params = [_param(entry, names) for entry in definition.get("params", [])]
            deps = [_filled(name, names) for name in definition.get("deps", [])]
            _begun = Recorded(params, deps, _settings(params), _files(deps))


def moved() -> tuple[list[str], list[str]]:
    """The settings, and the files or folders, that are not as they were when the stage began."""
    if _begun is None:
        return [], []
    settings, files = _settings(_begun.params), _files(_begun.deps)
    return (
        [name for name, value in settings.items() if value != _begun.settings[name]],
        [name for name, found in files.items() if found != _begun.files[name]],
    )


def listing(root: Path) -> str:
    """SHA-256 of what lies at or under `root`, links followed: each file's name, size and times of
    change. Nothing is opened.

    No inode: some network file systems give a file another one every time.
    """
    digest = hashlib.sha256()
    for name, about in files_at(root):
        known = (about.st_size, about.st_mtime_ns, about.st_ctime_ns) if about else None
        digest.update(repr((name, known)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def files_at(root: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    """The path below `root` of each file and what the system says of it, links followed, each
    folder once; None for what cannot be looked at.

    Also a folder that may not be listed, with None.
    """
    folders, visited = [(str(root), "")], set()
    while folders:
        folder, name = folders.pop()
        try:
            about = os.stat(folder)
            if (about.st_dev, about.st_ino) in visited:
                continue
            visited.add((about.st_dev, about.st_ino))
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except NotADirectoryError:
            yield name, about
            continue
        except OSError:
            yield name, None
            continue
        for entry in entries:
            if entry.name in UNREAD:
                continue
            below = f"{name}/{entry.name}"
            try:
                about = entry.stat()
            except OSError:  # a link that leads nowhere
                yield below, None
                continue
            if stat.S_ISDIR(about.st_mode):
                folders.append((entry.path, below))
            else:
                yield below, about


def _files(deps: list[str]) -> dict[str, str]:
    return {name: listing(Path(name)) for name in deps}


def _settings(params: list[str | dict[str, None]]) -> dict[str, Any]:
    """The value of each entry of `params`: a path in params.yaml, or a whole file."""
    content = _read("params.yaml")
    found: dict[str, Any] = {}
    for entry in params:
        if isinstance(entry, dict):
            found |= {file: _read(file) for file in entry}
        else:
            value = content
            for key in entry.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            found[f"params.yaml {entry}"] = value
    return found


def _param(entry: str | dict[str, None], names: dict[str, str]) -> str | dict[str, None]:
    """A setting, or a file of settings (the one key of a mapping), with its names filled in."""
    if isinstance(entry, dict):
        return {_filled(file, names): None for file in entry}
    return _filled(entry, names)


def _filled(text: str, names: dict[str, str]) -> str:
    """A name in dvc.yaml with what ${...} stands for."""
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def _read(file: str) -> Any:
    """None where there is no such file, or it is no YAML: the stage says so itself."""
    try:
        return YAML(typ="safe").load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError):
        return None
