"""Uncompressed grey pixels, read from where the header scan saw them (PS3.5 8.2), as long as the
header is the same to the byte.

Parsing a header costs more than decoding its pixels. The decoder is pydicom's all the same: it gets
bytes instead of a data set.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)


@dataclass(frozen=True, slots=True)
class Native:
    """A file that ends with the pixels of its one image.

    `scaling`: slope and intercept; `padding`: the ends of its range.
    """

    header: bytes  # SHA-256 of all before the pixels
    start: int  # of the pixels in the file
    length: int  # bytes, with what brings it to even length
    syntax: str
    description: dict[str, object]  # rows, bits and so on, in the words of pydicom's decoder
    scaling: tuple[float, float] | None
    padding: tuple[int, int] | None


def locate(
    stream: BinaryIO,
    data: Dataset,
    syntax: str,
    start: int,
    scaling: tuple[float, float] | None,
    padding: tuple[int, int] | None,
) -> Native | None:
    """What is needed to read the pixels that run from `start` to the file's end; None where they
    are not as long as the header says.
    """
    if (
        syntax not in SYNTAXES
        or ("NumberOfFrames" in data and data.NumberOfFrames != 1)
        or data.BitsAllocated % 8
    ):
        return None
    description = _shared(*as_pixel_options(data, number_of_frames=1).items())
    expected = data.Rows * data.Columns * data.BitsAllocated // 8
    length = stream.seek(0, 2) - start
    if length not in (expected, expected + expected % 2):
        return None
    stream.seek(0)
    return Native(_digest(stream.read(start)), start, length, syntax, description, scaling, padding)


def read_stored(stream: BinaryIO, native: Native) -> np.ndarray | None:
    """Stored values (rows, columns); None where the file is not what it was, or the decoder finds
    fault with it.
    """
    # One byte more, to see whether the file grew.
    content = memoryview(bytearray(native.start + native.length + 1))
    read = stream.readinto(content)  # type: ignore[attr-defined]  # every stream of `opened` has it
    if read != len(content) - 1 or _digest(content[: native.start]) != native.header:
        return None
    try:
        decoder = get_decoder(UID(native.syntax))
        options: dict[str, Any] = {"pixel_keyword": "PixelData", **native.description}
        return decoder.as_array(content[native.start : -1], **options)[0]
    except Exception:  # a decoder raises whatever it likes; who parses the file says what is wrong
        return None


def rescaled(stored: np.ndarray, scaling: tuple[float, float] | None) -> np.ndarray:
    """Values in the file's own units (PS3.3 C.11.1.1.2), float32.

    `scaling`: slope and intercept.
    """
    if scaling is None:
        return stored.astype(np.float32)
    slope, intercept = scaling
    values = stored.astype(np.float64)
    values *= slope  # in place: a copy costs more than the arithmetic
    values += intercept
    return values.astype(np.float32)


def valid(stored: np.ndarray, padding: tuple[int, int] | None) -> np.ndarray | None:
    """False where the stored value is padding (PS3.3 C.7.5.1.1.2); None where none is."""
    if padding is None or stored.dtype.kind not in "iu":
        return None
    # The padding's own VR is often wrong in sign, so it is brought to the pixels' type bit by bit.
    ends = np.array(padding, np.int64).astype(stored.dtype)
    image = (stored < ends.min()) | (stored > ends.max())
    return None if image.all() else image


@lru_cache(maxsize=256)
def _shared(*description: tuple[str, object]) -> dict[str, object]:
    """One dict for all files that are described alike, since a site may have millions."""
    return dict(description)


def _digest(header: bytes | memoryview) -> bytes:
    return hashlib.sha256(header).digest()
