"""What of an export DVC cannot hash: `dvc repro` would end in an error that shows a path, wait for
ever, or overlook it (DVC 3.67).
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.exports.walk import listed_places
from data_prep.privacy.deidentify import Keys
from workspace.errors import Problem
from workspace.recorded import files_at

EXAMPLES = 3  # of each kind whose hashes are shown


@dataclass(frozen=True)
class Kind:
    found: str
    do: str


NOWHERE = Kind("links that lead nowhere", "remove them, or mount what they lead to")
NOT_UTF_8 = Kind(
    "names that are not in UTF-8",
    "rename them (convmv does), or leave the export in its zip or tar",
)
DVCIGNORE = Kind("files .dvcignore, which DVC takes for its own", "remove them")
OF_DVC = Kind(
    "folders that are DVC repositories of their own, which DVC leaves out without a word",
    "remove the folder .dvc in them, or copy the files elsewhere",
)
NO_FILE = Kind("entries that are neither files nor folders", "remove them")
CLOSED = Kind("files or folders that may not be read", "mend permissions")


def unhashable(root: Path) -> list[tuple[str, Kind]]:
    """The name under `root` of each such file or folder, and what is wrong with it.

    Raises Refusal where a list cannot be read.
    """
    places = [(root, "")] if root.is_dir() else listed_places(root)
    return [item for path, name in places for item in _in(path, name)]


def hashing_problems(name: str, root: Path, keys: Keys | None) -> list[Problem]:
    """What has to be mended before `dvc repro`, files by their keyed hash.

    `keys`: none where nobody could resolve one yet.
    """
    by_kind: dict[Kind, list[str]] = defaultdict(list)
    for file, kind in unhashable(root):
        by_kind[kind].append(file)
    return [
        Problem(
            f"incoming/{name}",
            f"{len(files)} {kind.found} ({_shown(name, files, keys)})",
            "an export that DVC can hash",
            kind.do,
        )
        for kind, files in by_kind.items()
    ]


def _shown(name: str, files: list[str], keys: Keys | None) -> str:
    if keys is None:
        return f"fewsite check {name} names them"
    return (
        "such as "
        f"{' '.join(sorted(keys.file(file) for file in files)[:EXAMPLES])}; a path: fewsite "
        f"locate {name} HASH"
    )


def _in(place: Path, prefix: str) -> Iterator[tuple[str, Kind]]:
    """`prefix`: of the names in `place`."""
    folders: set[str] = set()
    for below, about in files_at(place):
        path, name = f"{place}{below}", f"{prefix}{below}".lstrip("/")
        if about is None:
            yield name, CLOSED if os.path.exists(path) else NOWHERE
        elif not name.isascii() and not _encodes(name):
            yield name, NOT_UTF_8
        elif name.rpartition("/")[2] == ".dvcignore":
            yield name, DVCIGNORE
        elif not stat.S_ISREG(about.st_mode):
            yield name, NO_FILE
        elif not os.access(path, os.R_OK):
            yield name, CLOSED
        above = below.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            if os.path.isdir(f"{place}{above}/.dvc"):
                yield f"{prefix}{above}".lstrip("/"), OF_DVC
            above = above.rpartition("/")[0]


def _encodes(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False
