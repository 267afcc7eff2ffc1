"""One file of an export, on disk or in an archive, as a stream that is read within limits."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from data_prep.exports.dicomdir import Named
from data_prep.exports.kinds import HEAD, Kind, sniff
from data_prep.rejects import Rejected

MAX_FILE_BYTES = (
    4 * 2**30
)  # a 1024 x 1024 x 1024 volume of float32; a file is read whole into memory
CHUNK = 2**20  # bytes that are asked for at once
OPEN_ARCHIVES = 8  # kept open in each process
COMPRESSED: dict[Kind, Callable[[Any], Any]] = {
    Kind.GZIP: gzip.open,
    Kind.BZIP2: bz2.open,
    Kind.XZ: lzma.open,
}


@dataclass(frozen=True, slots=True)
class Found:
    """One file.

    `name`: path under the root, with members after their archive; it may hold a patient's id, so it
    is never shown. `path`: as text where there may be millions, of which each Path would take four
    times the memory.

    `member`: its name in the zip at `path`, or where it starts in the tar at `path` (bytes).
    `item`: which of an array's images, in that member. `problem`: a reason code where it cannot be
    read at all. `named`: what a DICOMDIR says of one that is missing.
    """

    name: str
    path: Path | str
    size: int
    member: str | int | None = None
    problem: str | None = None
    item: int | None = None
    named: Named | None = None

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def paths(self) -> tuple[Path | str, ...]:
        """What has to be opened to read it."""
        return () if self.problem else (self.path,)


@contextmanager
def opened(found: Found) -> Iterator[BinaryIO]:
    """The content of a file as a seekable stream, with its compression undone. Raises Rejected."""
    if found.problem:
        raise Rejected(found.problem)
    if found.size > MAX_FILE_BYTES:
        raise Rejected("too_large")
    with streamed(found) as stream:
        # A zip's member is read whole: its checksum is checked at its end, and each step back would
        # inflate it anew.
        yield io.BytesIO(read_all(stream)) if isinstance(found.member, str) else stream


@contextmanager
def streamed(found: Found, unlimited: bool = False) -> Iterator[BinaryIO]:
    """As `opened`, without reading anything ahead.

    `unlimited`: the caller keeps count of what comes out. Raises Rejected.
    """
    try:
        with _raw(found) as raw:
            undo = COMPRESSED.get(kind_of(raw))
            if undo is None:
                yield raw
            else:
                with undo(raw) as stream:
                    yield stream if unlimited else _Stepwise(_Limited(stream))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise Rejected(
            "damaged_member" if isinstance(found.member, str) else "not_decodable",
            type(error).__name__,
        ) from None
    except (EOFError, zlib.error):
        raise Rejected("truncated", "compressed data that ends early or is damaged") from None
    except tarfile.TarError:
        raise Rejected("file_changed", "a tar that is shorter than when it was listed") from None
    except lzma.LZMAError:
        raise Rejected("damaged_member", "compressed data that fails its checksum") from None
    except OSError as error:
        if error.errno is None:  # gzip's and bz2's own; the system's have a number
            raise Rejected("damaged_member", "compressed data that fails its checksum") from None
        if isinstance(error, FileNotFoundError):  # it was there when it was listed
            raise Rejected("file_changed", "a file that went while the export was read") from None
        raise Rejected("unreadable", os.strerror(error.errno)) from None


def kind_of(stream: BinaryIO) -> Kind:
    """What a stream holds; it is back at its start afterwards."""
    head = stream.read(HEAD)
    stream.seek(0)
    return sniff(head)


def read_all(stream: BinaryIO) -> bytes:
    """The rest of a stream, with its checksums checked.

    Raises Rejected if it is larger than a file may be.
    """
    content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise Rejected("too_large")
    return content


def open_file(path: Path | str) -> BinaryIO:
    """A file of which no more is allocated than is there, whatever its own headers ask for."""
    return _Stepwise(io.FileIO(path))


@lru_cache(maxsize=OPEN_ARCHIVES)
def open_zip(path: Path | str) -> zipfile.ZipFile:
    return zipfile.ZipFile(open_file(path))


@lru_cache(maxsize=OPEN_ARCHIVES)
def _open_tar(path: Path | str) -> tarfile.TarFile:
    return tarfile.open(path, "r:")


def _raw(found: Found) -> BinaryIO:
    """The stored bytes, seekable."""
    if found.member is None:
        return open_file(found.path)
    if isinstance(found.member, str):
        return open_zip(found.path).open(found.member)  # type: ignore[return-value]
    info = tarfile.TarInfo()
    info.offset_data, info.size = found.member, found.size
    return _Stepwise(_open_tar(found.path).extractfile(info).detach())  # type: ignore[union-attr]


class _Stepwise(io.BufferedReader):
    """Reads in steps: Python would allocate all that is asked for at once, and a damaged header
    asks for gigabytes.
    """

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size <= CHUNK:
            return super().read(size)
        content = io.BytesIO()
        while chunk := super().read(min(CHUNK, size - content.tell())):
            content.write(chunk)
        return content.getvalue()


class _Limited(io.RawIOBase):
    """A decompressed stream that ends in Rejected at the size that a file may have: bzip2 and xz
    may unpack a millionfold.
    """

    name = ""  # pydicom asks every io.BufferedReader for it

    def __init__(self, stream: BinaryIO):
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._stream.readinto(buffer)  # type: ignore[attr-defined]
        if self._stream.tell() > MAX_FILE_BYTES:
            raise Rejected("too_large")
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            while self.read(2**20):  # in steps, so that the limit holds on the way
                pass
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
