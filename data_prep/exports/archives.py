"""The files in zip and tar archives, told by content: nothing is extracted under its own name, and
nothing leads out.

Any file of a zip or of a plain tar is read in place. A compressed tar cannot be: each file would
unpack all before it, in every process. So it is unpacked once a run, as one file, and so is an
archive inside an archive. The copy lies in a folder of TMPDIR that only its owner can enter, and
goes when the process ends; one killed outright leaves it there.
"""

import io
import os
import stat
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from data_prep.exports.kinds import Kind
from data_prep.exports.sources import Found, kind_of, open_zip, streamed
from data_prep.rejects import Rejected
from workspace.errors import Problem, Refusal

ARCHIVES = (Kind.ZIP, Kind.TAR)
NESTED = 1  # levels of archives inside an archive
MAX_FILES = 5_000_000  # of an export; a hospital's yearly one has fewer, and each costs memory here
MAX_DEPTH = 100  # folders in one path
# unpacked to packed: deflate's own bound; only overlapping or forged entries, or nothing but zeros,
# beat it
MAX_RATIO = 1032
MAX_UNPACKED_BYTES = 8 * 2**40  # of all archives of an export
MAX_HEADER_BYTES = 2**20  # of one tar member: a long name or pax records
BLOCK = tarfile.BLOCKSIZE
CHUNK = 2**20


def is_archive(found: Found) -> bool:
    """By content, with compression undone. What cannot be read is none: reading it says why."""
    try:
        with streamed(found) as stream:
            return kind_of(stream) in ARCHIVES
    except Rejected:
        return False


def expand(found: Found, prefix: str, level: int = 0) -> Iterator[Found]:
    """The file itself, or its members if it is an archive, each with the problem that keeps it from
    being read.

    `prefix`: of the members' names. Archives deeper than NESTED are left as they are: reading one
    says that it is nested.
    """
    if found.problem or level > NESTED or not is_archive(found):
        yield found
        return
    try:
        members = _members(found, prefix)
    except Rejected as rejected:
        yield replace(found, problem=rejected.reason)
        return
    for member in members:
        yield from expand(member, f"{member.name}/", level + 1)


def _members(archive: Found, prefix: str) -> list[Found]:
    path = Path(archive.path)
    path = path if _readable_in_place(archive) else _unpacked(archive, path.stat().st_mtime_ns)
    with path.open("rb") as file:
        kind = kind_of(file)
    members = list(_zip_members(path, prefix) if kind is Kind.ZIP else _tar_members(path, prefix))
    if not members:
        raise Rejected("empty_file")
    copies = Counter(member.name for member in members)
    # Two entries of one name: which is meant cannot be told.
    return [
        replace(member, problem=member.problem or "damaged_archive")
        if copies[member.name] > 1
        else member
        for member in members
    ]


def _zip_members(path: Path, prefix: str) -> Iterator[Found]:
    try:
        infos = [info for info in open_zip(path).infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise Rejected("damaged_archive") from None
    if (
        sum(info.file_size for info in infos) > _limit(path.stat().st_size)
        or len(infos) > MAX_FILES
    ):
        raise Rejected("archive_bomb")
    for info in infos:
        problem = None
        if _leads_out(info.filename) or stat.S_ISLNK(
            info.external_attr >> 16
        ):  # its upper half: the mode, where Unix wrote it
            problem = "unsafe_member"
        elif info.flag_bits & 0x1:  # PKWARE APPNOTE 4.4.4: bit 0, the file is encrypted
            problem = "encrypted_member"
        yield Found(prefix + info.filename, path, info.file_size, info.filename, problem)


def _tar_members(path: Path, prefix: str) -> Iterator[Found]:
    """Raises Rejected unless the whole archive is there, down to the mark at its end."""
    try:
        with _Headers(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            count = 0
            while info := archive.next():
                vars(archive)["members"].clear()  # tarfile would keep every header
                count += 1
                if info.size < 0:  # tarfile would step back, and read for ever
                    raise Rejected("damaged_archive")
                if count > MAX_FILES:
                    raise Rejected("archive_bomb")
                if not info.isdir():
                    problem = "unsafe_member" if _leads_out(info.name) or not info.isreg() else None
                    problem = problem or ("sparse_member" if info.issparse() else None)
                    yield Found(
                        prefix + str(PurePosixPath(info.name)),
                        path,
                        info.size,
                        info.offset_data,
                        problem,
                    )
            # tarfile stops without a word at a damaged header, or at an end in mid-archive.
            file.seek(archive.offset)
            if file.read(BLOCK) != bytes(BLOCK) or any(
                chunk.strip(b"\0") for chunk in iter(lambda: file.read(CHUNK), b"")
            ):
                raise Rejected("damaged_archive")
    except (tarfile.TarError, ValueError, RecursionError):
        raise Rejected("damaged_archive") from None


class _Headers(io.FileIO):
    """A tar from which only headers are read. One that claims to be huge would fill the memory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError
        return super().read(size)


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or len(path.parts) > MAX_DEPTH


def _readable_in_place(archive: Found) -> bool:
    with open(archive.path, "rb") as file:
        return archive.member is None and kind_of(file) in ARCHIVES


@cache
def _unpacked(archive: Found, modified: int) -> Path:
    """A copy without compression.

    `modified`: when the export's file was, so that another one is not taken for it.
    """
    limit = _limit(archive.size)
    handle, name = tempfile.mkstemp(dir=_copies().name)
    try:
        with os.fdopen(handle, "wb") as copy, streamed(archive, unlimited=True) as stream:
            while chunk := stream.read(CHUNK):
                if copy.tell() + len(chunk) > limit:
                    raise Rejected("archive_bomb")
                _write(copy, chunk)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def _write(copy: BinaryIO, chunk: bytes) -> None:
    try:
        copy.write(chunk)
    except OSError as error:
        raise Refusal(
            Problem(
                "the folder for temporary files",
                f"the system's answer '{os.strerror(error.errno or 0)}'",
                "room for every compressed or inner archive, unpacked",
                "set TMPDIR to a private folder on a larger disk, or unpack the export",
            )
        ) from None


@cache
def _copies() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="fewsite-")


def _limit(packed: int) -> int:
    return min(MAX_RATIO * packed, MAX_UNPACKED_BYTES)
