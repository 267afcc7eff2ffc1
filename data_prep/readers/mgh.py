"""One MGH or MGZ file of FreeSurfer: a volume, or several one behind the other.

https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat
"""

import math
import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from data_prep.exports.sources import Found, opened
from data_prep.privacy.identifying_values import MOST_TEXT, IdentifyingValues
from data_prep.readers.base import Reader, as_scanned
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile, Pixels
from data_prep.readers.plane import upright, upright_pair
from data_prep.readers.quiet import quiet
from data_prep.readers.voxels import MAX_VOLUMES, promised
from data_prep.rejects import Rejected
from data_prep.volumes.orientation import check_affine, common_shape, common_spacing, to_common

KIND, SYNTAX = "mgh", "MGH"
HEADER = 284  # bytes; voxels follow
TYPES = range(11)
BYTES = {0: 1, 1: 4, 3: 4, 4: 2, 10: 2}  # of a voxel, by type
GOOD_RAS = 28  # where the header says whether it knows how the voxels lie


class Mgh(Reader):
    """Version 1, gzipped or not."""

    kinds = (KIND,)
    endings = (".mgh", ".mgz", ".mgh.gz")

    def sniff(self, head: bytes) -> str | None:
        """Version 1, four sizes, a type and whether the direction is known, all big-endian."""
        if len(head) < HEADER:
            return None
        version, *sizes, kind, _, known = struct.unpack(">7ih", head[:30])
        fits = version == 1 and min(sizes) > 0 and kind in TYPES and known in (0, 1)
        return KIND if fits else None

    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        return read_header(stream, found)

    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        """What follows the voxels: the commands that made the file, and paths of other files."""
        *sizes, kind = struct.unpack(">5i", stream.read(HEADER)[4:24])
        stream.seek(HEADER + math.prod(sizes) * BYTES[kind])
        values.add_commands(stream.read(MOST_TEXT))

    def pixels(self, images: Sequence[ImageFile]) -> list[Pixels]:
        (image,) = images
        with opened(image.identity.found) as stream:
            return [as_scanned(read_pixels(stream, image.header.frame), image)]


def read_header(stream: BinaryIO, found: Found) -> ImageFile:
    """Shape and spacing. Raises Rejected."""
    with quiet():
        header = _header(stream)
        shape, affine = _shape(header), _affine(header)
        if len(shape) == 3:
            facts = Facts(SYNTAX, "MONOCHROME2", spacing=common_spacing(affine))
            space = common_shape(shape, affine)
            volume = Header(KIND, space, facts, volumes=_volumes(header), affine=affine)
            return ImageFile(Identity(found), volume)
        columns, rows = np.linalg.norm(affine[:3, :2], axis=0)
        facts = Facts(
            SYNTAX, "MONOCHROME2", spacing=upright_pair((float(columns), float(rows)), affine)
        )
        plane = Header(KIND, upright_pair(shape, affine), facts, affine=affine)
        return ImageFile(Identity(found), plane)


def read_pixels(stream: BinaryIO, volume: int | None = None) -> Pixels:
    """Values of a plane (rows, columns) or a volume (slices, rows, columns in the common order).

    `volume`: which of several.

    Raises Rejected.
    """
    with quiet():
        header = _header(stream)
        shape, element, affine = _shape(header), header.get_data_dtype(), _affine(header)
        size = math.prod(shape) * element.itemsize
        if (volume or 0) >= _volumes(header):
            raise Rejected("file_changed")
        content = promised(
            stream, HEADER + (volume or 0) * size, size, HEADER + _volumes(header) * size
        )
    values = (
        np.frombuffer(content.getbuffer(), element).reshape(shape, order="F").astype(np.float32)
    )
    if not np.isfinite(values).all():
        raise Rejected("not_finite")
    return Pixels(
        np.ascontiguousarray(
            to_common(values, affine) if values.ndim == 3 else upright(values, affine)
        )
    )


def _header(stream: BinaryIO) -> MGHHeader:
    """Raises Rejected, also where it does not say how the voxels lie: nibabel would then make that
    up.
    """
    start = stream.read(HEADER)
    if len(start) < HEADER:
        raise Rejected("truncated", "a file shorter than its header")
    if not struct.unpack_from(">h", start, GOOD_RAS)[0]:
        raise Rejected("no_orientation")
    header = MGHHeader(start[: MGHHeader._hdrdtype.itemsize], check=False)
    try:
        header.get_data_dtype()
    except KeyError:
        raise Rejected(
            "unsupported_pixels", "a type of voxels that fewsite does not read"
        ) from None
    return header


def _shape(header: MGHHeader) -> tuple[int, ...]:
    """(columns, rows) of a plane or (columns, rows, slices) of a volume. Raises Rejected."""
    *sizes, volumes = (int(size) for size in header["dims"])
    if sizes[1:] == [1, 1]:
        raise Rejected("not_an_image", "values at the points of a surface")
    if sizes[2] == 1 and volumes > 1:
        raise Rejected("time_series")
    if volumes > MAX_VOLUMES:
        raise Rejected("too_large")
    return tuple(sizes) if sizes[2] > 1 else tuple(sizes[:2])


def _volumes(header: MGHHeader) -> int:
    return int(header["dims"][3])


def _affine(header: MGHHeader) -> np.ndarray:
    """Voxel (column, row, slice) -> mm, RAS. Raises Rejected where it says nothing usable."""
    affine = np.array(header.get_affine(), np.float64)
    check_affine(affine)
    return affine


READERS = (Mgh(),)
