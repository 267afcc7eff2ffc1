"""Frames of a file of many, each read from where the header scan saw it (PS3.5 8.2 and A.4), as
long as the header is the same.

A header that describes thousands of frames takes seconds to parse. It is parsed once, by the scan;
who decodes a volume gets a data set of its frames alone.
"""

import hashlib
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
# What decoding asks of a header (PS3.3 C.7.6.3 and C.7.5.1.1.2).
KEPT = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)
OF_A_FRAME = ("RescaleSlope", "RescaleIntercept")
ELSEWHERE = ("ModalityLUTSequence",)  # takes more of a header than is kept
NEEDED = (*KEPT, "ExtendedOffsetTable")
ITEM = struct.Struct("<HHI")  # PS3.5 7.5: tag and length
ITEM_TAG = (0xFFFE, 0xE000)
# Seconds, as coarse as file times get (FAT's): a file that changed since may change again and bear
# the same time.
SETTLED = 2.0
CHUNK = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class PixelData:
    """The pixel data element of a file.

    `items`: where each item of compressed data begins and ends, the offset table's first.
    """

    start: int
    length: int | None  # bytes; None where compressed
    integer: bool
    fills_file: bool  # nothing follows
    items: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the frames of a file have in common."""

    digest: bytes  # SHA-256 of all before the pixels
    start: int  # of the pixels
    size: int  # of the file
    # Of the file, where it was settled when scanned; not what its pixels depend on.
    version: tuple[int, ...] | None = field(repr=False)
    syntax: str
    header: tuple[tuple[int, str, object], ...]  # tag, VR and value of what decoding asks


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame's bytes, and its own slope and intercept."""

    file: StoredFile
    start: int
    length: int
    scale: tuple[tuple[int, str, object], ...]


def locate(
    stream: BinaryIO, data: Dataset, syntax: str, pixels: PixelData, headers: Sequence[Dataset]
) -> tuple[StoredFrame, ...]:
    """Where each frame's bytes lie; none where that cannot be told for sure, or where decoding asks
    for more than is kept.
    """
    parts = (
        _encapsulated(stream, data, pixels, len(headers))
        if pixels.items
        else _native(data, syntax, pixels, len(headers))
    )
    unusual = (
        data.PhotometricInterpretation == "PALETTE COLOR"
        or data.get("HighBit") != data.BitsStored - 1
    )
    if (
        parts is None
        or unusual
        or any(keyword in header for header in headers for keyword in ELSEWHERE)
    ):
        return ()
    version = _version(stream)
    size = stream.seek(0, os.SEEK_END)
    file = StoredFile(
        _digest(stream, pixels.start), pixels.start, size, version, syntax, _elements(data, KEPT)
    )
    return tuple(
        StoredFrame(file, start, length, _elements(header, OF_A_FRAME))
        for (start, length), header in zip(parts, headers, strict=True)
    )


def read(stream: BinaryIO, wanted: Sequence[StoredFrame]) -> tuple[Dataset, list[Dataset]] | None:
    """A data set of some frames of one file, and a header for each; None where the file is not what
    it was.
    """
    file = wanted[0].file
    if (file.version is None or _version(stream) != file.version) and (
        stream.seek(0, os.SEEK_END) != file.size or _digest(stream, file.start) != file.digest
    ):
        return None
    found = {}
    # A compressed stream goes forward only.
    for frame in sorted(wanted, key=lambda frame: frame.start):
        stream.seek(frame.start)
        found[frame.start] = stream.read(frame.length)
    frames = [found[frame.start] for frame in wanted]
    data = _data_set(file.header)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = UID(file.syntax)
    data.NumberOfFrames = len(frames)
    content = b"".join(frames) if file.syntax in NATIVE else _offsets(frames) + b"".join(frames)
    data.PixelData = content + b"\0" * (len(content) % 2)
    data["PixelData"].VR = "OW" if data.BitsAllocated > 8 else "OB"
    return data, [_data_set(frame.scale) for frame in wanted]


def _native(
    data: Dataset, syntax: str, pixels: PixelData, count: int
) -> list[tuple[int, int]] | None:
    """Start and length of each frame."""
    if (
        syntax not in NATIVE
        or not pixels.integer
        or data.SamplesPerPixel != 1
        or data.BitsAllocated % 8
    ):
        return None
    length = data.Rows * data.Columns * data.BitsAllocated // 8
    if pixels.length is None or pixels.length < count * length:
        return None
    return [(pixels.start + frame * length, length) for frame in range(count)]


def _encapsulated(
    stream: BinaryIO, data: Dataset, pixels: PixelData, count: int
) -> list[tuple[int, int]] | None:
    """From the first to the last item of each frame: one item a frame, or as many as the offset
    table gives it.
    """
    (table_start, table_end), *items = pixels.items
    stream.seek(table_start + ITEM.size)
    table = stream.read(table_end - table_start - ITEM.size)
    offsets = list(struct.unpack(f"<{len(table) // 4}I", table))
    if "ExtendedOffsetTable" in data:
        offsets = list(
            struct.unpack(f"<{len(data.ExtendedOffsetTable) // 8}Q", data.ExtendedOffsetTable)
        )
    begins = [start - table_end for start, _ in items]
    if not offsets and len(items) == count:
        offsets = begins
    if (
        len(offsets) != count
        or offsets[0] != 0
        or sorted(set(offsets)) != offsets
        or not set(offsets) <= set(begins)
    ):
        return None
    ends = [*offsets[1:], items[-1][1] - table_end]
    return [(table_end + start, end - start) for start, end in zip(offsets, ends, strict=True)]


def _offsets(frames: list[bytes]) -> bytes:
    """The basic offset table of frames that follow each other."""
    starts = [0, *accumulate(map(len, frames[:-1]))]
    return ITEM.pack(*ITEM_TAG, 4 * len(starts)) + struct.pack(f"<{len(starts)}I", *starts)


def _elements(data: Dataset, keywords: Sequence[str]) -> tuple[tuple[int, str, object], ...]:
    return tuple(
        (int(element.tag), str(element.VR), element.value)
        for keyword in keywords
        if (element := data.get(Tag(keyword))) is not None
    )


def _data_set(elements: Sequence[tuple[int, str, object]]) -> Dataset:
    data = Dataset()
    for tag, vr, value in elements:
        data.add_new(tag, vr, value)
    return data


def _version(stream: BinaryIO) -> tuple[int, ...] | None:
    """Size, times and inode of a file; None of one in an archive, and of one that changed so lately
    that its next change might not show.
    """
    try:
        about = os.fstat(stream.fileno())
    except (OSError, AttributeError):  # io's UnsupportedOperation is an OSError
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
