"""Voxels as NRRD and MetaImage write them: raw, packed, or as text.

What a header promises is counted before it is believed.

https://teem.sourceforge.net/nrrd/format.html#encoding, and there line skip and byte skip.
"""

import bz2
import warnings
import zlib
from dataclasses import dataclass

import numpy as np

from data_prep.rejects import Rejected

RAW, GZIP, BZIP2, TEXT, HEX = "raw", "gzip", "bzip2", "text", "hex"
ENCODINGS = {
    "raw": RAW,
    "gzip": GZIP,
    "gz": GZIP,
    "bzip2": BZIP2,
    "bz2": BZIP2,
    "text": TEXT,
    "txt": TEXT,
    "ascii": TEXT,
    "hex": HEX,
}
GZIP_OR_ZLIB = 47  # zlib's window bits for "either, by its header"
# Of a further gzip or bzip2 stream; a writer may leave other bytes at the end.
STARTS = (
    b"\x1f\x8b",
    b"BZh",
)
# NRRD's byte skip and MetaImage's HeaderSize: the voxels are the last bytes of the data file.
TO_THE_END = -1


@dataclass(frozen=True)
class Encoding:
    """How voxels are written.

    `lines`: to be skipped first; `skip`: bytes to be skipped after them, of packed ones when
    unpacked.
    """

    name: str
    lines: int
    skip: int


def decode(content: bytes, how: Encoding, element: np.dtype, count: int) -> np.ndarray:
    """`count` elements, flat. Raises Rejected where there are fewer."""
    size = count * element.itemsize
    content = _after_lines(content, how.lines)
    if how.name == TEXT:
        return _numbers(content[max(how.skip, 0) :], element, count)
    if how.name == HEX:
        content = _bytes(content[max(how.skip, 0) :])
    elif how.name in (GZIP, BZIP2):
        content = _unpacked(content, how.name, size + max(how.skip, 0))
    skip = 0 if how.name == HEX else how.skip
    start = max(len(content) - size, 0) if skip == TO_THE_END else skip
    if len(content) < start + size:
        raise Rejected("truncated", f"{max(len(content) - start, 0)} of {size} bytes")
    return np.frombuffer(content, element, count, start)


def _after_lines(content: bytes, lines: int) -> bytes:
    start = 0
    for _ in range(lines):
        start = content.find(b"\n", start) + 1
        if not start:
            raise Rejected("truncated", "fewer lines than are to be skipped")
    return content[start:] if start else content


def _unpacked(content: bytes, name: str, size: int) -> bytes:
    """One stream, or several one behind the other as parallel packers write them.

    Raises Rejected where a stream does not end within `size` bytes, before more is unpacked.
    """
    unpacked = b""
    while True:
        unpacker = bz2.BZ2Decompressor() if name == BZIP2 else zlib.decompressobj(GZIP_OR_ZLIB)
        try:
            unpacked += unpacker.decompress(content, size + 1 - len(unpacked))
        except (zlib.error, OSError):
            raise Rejected("truncated", "compressed data that ends early or is damaged") from None
        if len(unpacked) > size:
            raise Rejected(
                "not_decodable", "compressed data that holds more than its header promises"
            )
        if not unpacker.eof:
            raise Rejected("truncated", "compressed data that ends early")
        content = unpacker.unused_data
        if len(unpacked) >= size or not content.startswith(STARTS):
            return unpacked


def _bytes(content: bytes) -> bytes:
    try:
        return bytes.fromhex(content.decode("ascii"))
    except ValueError:
        raise Rejected("not_decodable", "hexadecimal digits that are none") from None


def _numbers(content: bytes, element: np.dtype, count: int) -> np.ndarray:
    """Numbers with blanks or commas between them."""
    if len(content) < 2 * count - 1:
        raise Rejected("truncated", f"text of {len(content)} characters for {count} numbers")
    kind = element if element.kind != "f" and element.itemsize == 8 else np.dtype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            # Told a count, it makes up what is missing.
            values = np.fromstring(content.replace(b",", b" "), kind, sep=" ")[:count]
        except (DeprecationWarning, ValueError):
            raise Rejected("not_decodable", "text that is no number") from None
    if len(values) < count:
        raise Rejected("truncated", f"{len(values)} of {count} numbers")
    with np.errstate(invalid="ignore", over="ignore"):
        written = values.astype(element)
    if element.kind != "f" and not np.array_equal(values, written):
        raise Rejected("not_decodable", "numbers that their type cannot hold")
    return written
