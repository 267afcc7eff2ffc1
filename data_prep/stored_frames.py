"""Grey frames of a file of many, each read from where the header scan saw it (PS3.5 8.2 and A.4), as long as the header is the same.

A header that describes thousands of frames takes seconds to parse. It is parsed once, by the scan; who decodes a volume reads its
frames alone. The decoder is pydicom's all the same: it gets bytes instead of a data set.
"""

import hashlib
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
ITEM_HEADER = 8  # bytes, PS3.5 7.5: tag and length
NO_OFFSETS = struct.pack("<HHI", 0xFFFE, 0xE000, 0)  # PS3.5 A.4: an empty basic offset table
SETTLED = 2.0  # seconds, as coarse as file times get (FAT's): a file that changed since may change again and bear the same time
CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class PixelData:
    """The pixel data element of a file. `items`: where each item of compressed data begins and ends, the offset table's first."""

    start: int
    length: int | None  # bytes; None where compressed
    integer: bool
    fills_file: bool  # nothing follows
    items: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the frames of a file have in common. `padding`: the ends of its range; `stated`: the least and greatest value."""

    header: bytes  # SHA-256 of all before the pixels
    start: int  # of the pixels
    size: int  # of the file
    version: tuple[int, ...] | None  # of the file, where it was settled when it was scanned
    syntax: str
    description: dict[str, object]  # rows, bits and so on, in the words of pydicom's decoder
    padding: tuple[int, int] | None
    stated: tuple[int, int] | None

    @property
    def pixel_bytes(self) -> int:
        """Of one pixel."""
        return max(self.description["bits_allocated"] // 8, 1)  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame's bytes. `scaling`: its slope and intercept."""

    file: StoredFile
    start: int
    length: int
    scaling: tuple[float, float] | None


def locate(stream: BinaryIO, data: Dataset, syntax: str, pixels: PixelData, scalings: Sequence[tuple[float, float] | None],
           padding: tuple[int, int] | None, stated: tuple[int, int] | None, plugin: str) -> list[StoredFrame] | None:
    """Where each frame's bytes lie; None where that cannot be told for sure. `scalings`: one a frame."""
    parts = _encapsulated(stream, data, pixels, len(scalings)) if pixels.items else _native(data, syntax, pixels, len(scalings))
    if parts is None:
        return None
    description = as_pixel_options(data, number_of_frames=1) | {"decoding_plugin": plugin}
    description.pop("extended_offsets", None)
    version = _version(stream)
    size = stream.seek(0, os.SEEK_END)
    file = StoredFile(_digest(stream, pixels.start), pixels.start, size, version, syntax, description, padding, stated)
    return [StoredFrame(file, start, length, scaling) for (start, length), scaling in zip(parts, scalings, strict=True)]


def read_bytes(stream: BinaryIO, wanted: Sequence[StoredFrame]) -> list[bytes] | None:
    """What is stored of some frames of one file; None where the file is not what it was."""
    file = wanted[0].file
    same = file.version is not None and _version(stream) == file.version
    if not same and (stream.seek(0, os.SEEK_END) != file.size or _digest(stream, file.start) != file.header):
        return None
    content = {}
    for frame in sorted(wanted, key=lambda frame: frame.start):  # a compressed stream goes forward only
        stream.seek(frame.start)
        content[frame.start] = stream.read(frame.length)
    return [content[frame.start] for frame in wanted]


def decode(content: bytes, file: StoredFile) -> np.ndarray:
    """Stored values (rows, columns) of a frame's bytes. Raises whatever the decoder does."""
    if file.syntax not in NATIVE:
        content = NO_OFFSETS + content
    return get_decoder(UID(file.syntax)).as_array(content, index=0, pixel_keyword="PixelData", **file.description)[0]


def _native(data: Dataset, syntax: str, pixels: PixelData, count: int) -> list[tuple[int, int]] | None:
    if syntax not in NATIVE or not pixels.integer or data.BitsAllocated % 8:
        return None
    length = data.Rows * data.Columns * data.BitsAllocated // 8
    if pixels.length < count * length:
        return None
    return [(pixels.start + frame * length, length) for frame in range(count)]


def _encapsulated(stream: BinaryIO, data: Dataset, pixels: PixelData, count: int) -> list[tuple[int, int]] | None:
    """From the first to the last item of each frame: one item a frame, or as many as the offset table gives it."""
    (table_start, table_end), *items = pixels.items
    if not items:
        return None
    stream.seek(table_start + ITEM_HEADER)
    table = stream.read(table_end - table_start - ITEM_HEADER)
    offsets = list(struct.unpack(f"<{len(table) // 4}I", table)) if len(table) % 4 == 0 else []
    if "ExtendedOffsetTable" in data:
        offsets = list(struct.unpack(f"<{len(data.ExtendedOffsetTable) // 8}Q", data.ExtendedOffsetTable))
    begins = [start - table_end for start, _ in items]
    if not offsets and len(items) == count:
        offsets = begins
    if len(offsets) != count or offsets[0] != 0 or sorted(offsets) != offsets or not set(offsets) <= set(begins):
        return None
    ends = [*offsets[1:], items[-1][1] - table_end]
    return [(table_end + start, end - start) for start, end in zip(offsets, ends, strict=True)]


def _version(stream: BinaryIO) -> tuple[int, ...] | None:
    """Size, times and inode of a file; None of one in an archive, and of one that changed so lately that its next change might not show."""
    try:
        about = os.fstat(stream.fileno())
    except (OSError, AttributeError):  # as of io's UnsupportedOperation
        return None
    if time.time() - max(about.st_mtime, about.st_ctime) < SETTLED:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def _digest(stream: BinaryIO, length: int) -> bytes:
    """Of a file's first bytes."""
    digest = hashlib.sha256()
    stream.seek(0)
    while length > 0 and (part := stream.read(min(length, CHUNK))):
        digest.update(part)
        length -= len(part)
    return digest.digest()
