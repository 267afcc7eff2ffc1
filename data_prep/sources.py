"""The files of an export: a folder or a zip, walked in a fixed order and read within limits. Nothing is extracted to disk."""

import gzip
import io
import os
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from data_prep.rejects import Rejected
from workspace.errors import Problem, Refusal

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
GZIP_START = b"\x1f\x8b"
MAX_FILES = 5_000_000  # a hospital's yearly export has fewer; each costs memory here
MAX_FILE_BYTES = 4 * 2**30  # a 1024 x 1024 x 1024 volume of float32; a file is read whole into memory
MAX_RATIO = 1032  # deflate's own bound; only overlapping or forged entries beat it
OPEN_ARCHIVES = 8  # kept open in each process


@dataclass(frozen=True)
class Found:
    """One file. `name`: path under the root, with zip members after their zip; it may hold a patient's id, so it is never shown.

    `member`: where in the zip at `path`; `item`: which of an array's images, in that member.
    `problem`: a reason code where it cannot be read at all.
    """

    name: str
    path: Path
    size: int
    member: str | None = None
    problem: str | None = None
    item: int | None = None

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


def walk(root: Path) -> list[Found]:
    """Every file under `root`, sorted by name; links are followed and no real folder is entered twice. Raises Refusal."""
    root = root.resolve()
    if root.is_file():
        if not _starts_like_a_zip(root):
            raise Refusal(Problem("the export", "a file that is no zip", "a folder or a zip", "correct root"))
        files = list(_members(root, ""))
    else:
        files = [found for path, name in _paths(root) for found in _expand(path, name)]
    if len(files) > MAX_FILES:
        raise Refusal(Problem("the export", f"{len(files)} files", f"at most {MAX_FILES}", "split it into several sites"))
    return sorted(files, key=lambda found: found.name)


@contextmanager
def opened(found: Found) -> Iterator[BinaryIO]:
    """The content of a file as a seekable stream, gunzipped where it is gzip. Raises Rejected."""
    if found.problem:
        raise Rejected(found.problem)
    try:
        with _raw(found) as stream:
            if stream.read(2) == GZIP_START:
                stream.seek(0)
                yield gzip.GzipFile(fileobj=stream)  # type: ignore[misc]
            else:
                stream.seek(0)
                yield stream
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise Rejected("damaged_member" if found.member else "not_decodable", type(error).__name__) from None
    except (EOFError, zlib.error):
        raise Rejected("truncated", "compressed data that ends early or is damaged") from None
    except gzip.BadGzipFile:
        raise Rejected("damaged_member", "gzip data that fails its checksum") from None
    except OSError as error:
        raise Rejected("unreadable", os.strerror(error.errno) if error.errno else "") from None


def read_all(stream: BinaryIO) -> bytes:
    """The rest of a stream, with its checksums checked. Raises Rejected if it is larger than a file may be."""
    content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise Rejected("too_large")
    return content


@contextmanager
def _raw(found: Found) -> Iterator[BinaryIO]:
    if found.size > MAX_FILE_BYTES:
        raise Rejected("too_large")
    if found.member is None:
        with found.path.open("rb") as stream:
            yield stream
    else:
        with _archive(found.path).open(found.member) as stream:
            yield io.BytesIO(read_all(stream))  # type: ignore[arg-type]


@lru_cache(maxsize=OPEN_ARCHIVES)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _paths(root: Path) -> Iterator[tuple[Path, str]]:
    """Files under `root` with their names, depth first. Raises Refusal if a folder may not be read: what it holds is unknown."""
    visited: set[tuple[int, int]] = set()
    closed = 0
    stack = [(root, "")]
    while stack:
        folder, prefix = stack.pop()
        try:
            about = folder.stat()
            if (about.st_dev, about.st_ino) in visited:
                continue
            visited.add((about.st_dev, about.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except PermissionError:
            closed += 1
            continue
        for entry in entries:
            if entry.is_dir():
                stack.append((Path(entry.path), f"{prefix}{entry.name}/"))
            else:
                yield Path(entry.path), f"{prefix}{entry.name}"
    if closed:
        raise Refusal(Problem("the export", f"{closed} folders that may not be read", "read permission on every folder",
                              "mend permissions"))


def _expand(path: Path, name: str) -> Iterator[Found]:
    """The file itself, or its members if it is a zip."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            yield Found(name, path, 0, problem="unreadable")
        elif _starts_like_a_zip(path):
            yield from _members(path, f"{name}/")
        else:
            yield Found(name, path, about.st_size)
    except OSError:
        yield Found(name, path, 0, problem="unreadable")


def _members(path: Path, prefix: str) -> Iterator[Found]:
    """The files in a zip, each with the problem that keeps it from being read."""
    size = path.stat().st_size
    try:
        infos = [info for info in _archive(path).infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        yield Found(prefix.rstrip("/") or path.name, path, size, problem="damaged_archive")
        return
    if sum(info.file_size for info in infos) > MAX_RATIO * size or len(infos) > MAX_FILES:
        yield Found(prefix.rstrip("/") or path.name, path, size, problem="archive_bomb")
        return
    copies = Counter(info.filename for info in infos)
    for info in infos:
        problem = _member_problem(info)
        if copies[info.filename] > 1:
            problem = problem or "damaged_archive"  # two entries of one name: which is meant cannot be told
        yield Found(prefix + info.filename, path, info.file_size, info.filename, problem)


def _member_problem(info: zipfile.ZipInfo) -> str | None:
    parts = PurePosixPath(info.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        return "unsafe_member"
    if info.flag_bits & 0x1:  # PKWARE APPNOTE 4.4.4: bit 0, the file is encrypted
        return "encrypted_member"
    return None


def _starts_like_a_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in ZIP_STARTS
