"""What Git keeps of the repository that a workspace lies in: every object, whether or not a commit
still leads to it.
"""

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from workspace.errors import Problem, Refusal

BLOB, TREE = "blob", "tree"
HASH_BYTES = {"sha1": 20, "sha256": 32}


@dataclass(frozen=True)
class GitObject:
    """`kind`: blob, tree, commit or tag. `content`: as Git stores it."""

    name: str  # its hash
    kind: str
    content: bytes


@dataclass(frozen=True)
class Repository:
    """The Git repository that a folder lies in. `top`: its work tree."""

    folder: Path
    top: Path

    @cached_property
    def hash_name(self) -> str:
        return self._said("rev-parse", "--show-object-format").strip()

    def objects(self) -> Iterator[GitObject]:
        """All objects, one in memory at a time, in the order in which Git finds them fastest."""
        with self._running("cat-file", "--batch-all-objects", "--unordered", "--batch") as output:
            while line := output.readline():
                name, kind, size = line.decode().split()
                yield GitObject(name, kind, output.read(int(size)))
                output.read(1)  # the line's end after each object

    def sizes(self) -> dict[int, set[str]]:
        """Size in bytes -> the names of the blobs of this size."""
        found: dict[int, set[str]] = defaultdict(set)
        with self._running(
            "cat-file", "--batch-all-objects", "--unordered", "--batch-check"
        ) as output:
            for line in output:
                name, kind, size = line.decode().split()
                if kind == BLOB:
                    found[int(size)].add(name)
        return found

    def places(self) -> dict[str, str]:
        """Object -> a path, from `top`, at which a commit, the stash, the reflog or the index holds
        it; one that nothing leads to has none.
        """
        with self._running(
            "rev-list", "--objects", "--all", "--reflog", "--indexed-objects"
        ) as output:
            return dict(
                line.decode("utf-8", "surrogateescape").rstrip("\n").split(" ", 1)
                for line in output
                if b" " in line
            )

    def staged(self) -> bytes:
        """The paths in the index, a line each: the next commit will hold them."""
        with self._running("ls-files", "-z", ":/") as output:
            return output.read().replace(b"\0", b"\n")

    def names_in(self, tree: GitObject) -> Iterator[bytes]:
        """The names of the files and folders in a tree: mode, space, name, zero byte, hash."""
        start = 0
        while start < len(tree.content):
            end = tree.content.index(b"\0", start)
            yield tree.content[start:end].split(b" ", 1)[1]
            start = end + 1 + HASH_BYTES[self.hash_name]

    def _running(self, *command: str) -> "_Output":
        return _Output(["git", "-C", str(self.folder), *command])

    def _said(self, *command: str) -> str:
        return subprocess.run(
            ["git", "-C", str(self.folder), *command], capture_output=True, check=True, text=True
        ).stdout


class _Output:
    """The output of a command while it runs. Raises CalledProcessError where it fails."""

    def __init__(self, command: list[str]):
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None  # a pipe was asked for
        self._stdout = self._process.stdout

    def __enter__(self) -> IO[bytes]:
        return self._stdout

    def __exit__(self, *error: object) -> None:
        self._stdout.close()
        if self._process.wait() and not any(error):
            raise subprocess.CalledProcessError(self._process.returncode, self._process.args)


def repository_of(folder: Path) -> Repository | None:
    """The repository that a folder lies in; None where there is none.

    Raises Refusal where git is missing or does not open it.
    """
    folder = folder.resolve()
    try:
        asked = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--show-toplevel"],
            capture_output=True,
            text=True,
        )
        if asked.returncode == 0:
            return Repository(folder, Path(asked.stdout.removesuffix("\n")))
        found = "a Git repository that git does not open"
    except FileNotFoundError:
        found = "a Git repository, and no git"
    if any((place / ".git").exists() for place in (folder, *folder.parents)):
        raise Refusal(
            Problem(
                "the workspace",
                found,
                "git, to look into what it keeps",
                "install git; git status says what else is wrong",
            )
        )
    return None
