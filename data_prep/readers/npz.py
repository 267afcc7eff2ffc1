"""Images in the arrays of a MedMNIST-style .npz (Yang et al. 2023). Nothing is ever unpickled.

Each image counts as a file of its own: `Found.member` names its array, `Found.item` its place
there. Such a file is no export's by chance: a site says `match: array`
(data_prep/targets/arrays.py).
"""

import math
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

import numpy as np

from data_prep.exports.sources import Found, open_file
from data_prep.privacy.identifying_values import IdentifyingValues
from data_prep.readers.base import Reader
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile, Pixels
from data_prep.readers.quiet import quiet
from data_prep.rejects import Rejected

KIND = "npz"
COLOURS = 3
KEPT_OPEN = 3  # arrays in each process: MedMNIST's train, val and test
# What zipfile raises on a damaged member.
DAMAGE = (EOFError, OSError, RuntimeError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class Array:
    """What a .npy header promises. `order`: C or F, as NumPy writes it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: str

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def colour(self) -> bool:
        return len(self.shape) == 4 and self.shape[-1] == COLOURS

    @property
    def space(self) -> tuple[int, ...]:
        """(rows, columns) or (slices, rows, columns) of one image."""
        return self.shape[1:-1] if self.colour else self.shape[1:]

    @property
    def header(self) -> Header:
        """Of each of its images."""
        facts = Facts(KIND.upper(), "RGB" if self.colour else "MONOCHROME2")
        return Header(KIND, self.space, facts)


class Npz(Reader):
    """One image of an array. A site says that its root is such a file; content alone does not."""

    kinds = (KIND,)

    def sniff(self, head: bytes) -> str | None:
        return None

    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        """`stream`: the array's member. Raises Rejected."""
        try:
            return ImageFile(Identity(found), read_array(stream).header)
        except ValueError:
            raise Rejected("damaged_member") from None

    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        """It names nobody."""

    def pixels(self, images: Sequence[ImageFile]) -> list[Pixels]:
        return [_pixels(image) for image in images]


def _pixels(image: ImageFile) -> Pixels:
    """Values as stored: grey, 8-bit RGB or a volume (slices, rows, columns). Raises Rejected."""
    found, shape = image.identity.found, image.header.shape
    array = _mapped(str(found.path), str(found.member), os.stat(found.path).st_mtime_ns)
    if array is None:
        raise Rejected("damaged_member")
    if found.item is None or found.item >= len(array) or array.shape[1 : 1 + len(shape)] != shape:
        raise Rejected("file_changed")
    values = np.array(array[found.item])
    if image.header.facts.photometric == "RGB":
        return Pixels(np.ascontiguousarray(values))
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise Rejected("not_finite")
    return Pixels(np.ascontiguousarray(values), rescaled=False)


@lru_cache(maxsize=KEPT_OPEN)
def _mapped(path: str, member: str, changed: int) -> np.ndarray | None:
    """An array, unpacked once a process into a nameless file that ends with it; None where damaged.

    Images are read in the order of their keys, and a packed member can only be read from its start.
    """
    try:
        with (
            opened_archive(path) as archive,
            archive.open(member) as stream,
            tempfile.TemporaryFile() as file,
        ):
            array = read_array(stream)
            shutil.copyfileobj(stream, file)
            file.flush()
            order: Literal["C", "F"] = "F" if array.order == "F" else "C"
            mapped: Any = file  # numpy's stubs know paths alone
            return np.memmap(mapped, array.dtype, "r", shape=array.shape, order=order)
    except (ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return None


@contextmanager
def opened_archive(path: Path | str) -> Iterator[zipfile.ZipFile]:
    with open_file(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def read_array(stream: BinaryIO | IO[bytes]) -> Array:
    """The header, which is a Python literal: it is parsed and not run. Raises ValueError."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        with quiet():
            shape, fortran, dtype = read[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # NumPy raises several kinds, and their texts quote the header
        raise ValueError from error
    if dtype.kind not in "iuf" or min(shape, default=0) < 0:
        raise ValueError
    return Array(shape, dtype, "F" if fortran else "C")


READERS = (Npz(),)
