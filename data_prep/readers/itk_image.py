"""NRRD and MetaImage files, their voxels inside or in data files beside them.

SimpleITK says what the geometry means, from a header that holds nothing else. The voxels are
counted and read here: it reads from named files only, so that zips would have to be extracted, and
believes a header's sizes before it looks for the voxels.
"""

import re
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from data_prep.exports.sources import MAX_FILE_BYTES, Found, opened, read_all
from data_prep.privacy.identifying_values import MOST_TEXT, IdentifyingValues
from data_prep.readers.base import Reader, as_scanned
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile, Pixels
from data_prep.readers.itk.data_files import data_files
from data_prep.readers.itk.encoded import decode
from data_prep.readers.itk.geometry import affine_of, plane_affine, plane_spacing
from data_prep.readers.itk.header import (
    META,
    NRRD,
    NRRD_MAGIC,
    ItkHeader,
    data_file_of,
    header_of,
    read_fields,
)
from data_prep.readers.plane import upright, upright_pair
from data_prep.rejects import Rejected
from data_prep.volumes.orientation import LPS_TO_RAS, common_shape, common_spacing, to_common

# A MetaImage has no magic, only fields.
METAIMAGE = re.compile(rb"\A(?=\s*[A-Za-z]+[ \t]*=)[^\0]*?^NDims[ \t]*=[ \t]*\d", re.MULTILINE)
# NRRD's blank line, MetaImage's last field.
END_OF_HEADER = re.compile(rb"\r?\n\r?\n|ElementDataFile")


class ItkImage(Reader):
    """Both formats of ITK whose headers are text."""

    kinds = (NRRD, META)
    endings = (".nrrd", ".nhdr", ".mha", ".mhd")
    rank = 60  # a MetaImage is told by nothing but a line of text

    def sniff(self, head: bytes) -> str | None:
        if head.startswith(NRRD_MAGIC):
            return NRRD
        return META if METAIMAGE.match(head) else None

    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        return read_header(stream, found)

    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        values.add_lines(END_OF_HEADER.split(stream.read(MOST_TEXT), 1)[0])

    def pixels(self, images: Sequence[ImageFile]) -> list[Pixels]:
        (image,) = images
        with opened(image.identity.found) as stream:
            return [as_scanned(read_pixels(stream, image), image)]


def read_header(stream: BinaryIO, found: Found) -> ImageFile:
    """Shape, spacing and the name of the data file. Raises Rejected."""
    fields, _, listed = read_fields(stream)
    parts = data_files(data_file_of(fields), listed, found) if data_file_of(fields) else ()
    try:
        header = header_of(fields)
        photometric = "RGB" if header.colours > 1 else "MONOCHROME2"
        if len(header.shape) == 3:
            affine = affine_of(header)
            facts = Facts(header.kind.upper(), photometric, spacing=common_spacing(affine))
            space = common_shape(header.shape, affine)
            volume = Header(header.kind, space, facts, affine=affine)
            return ImageFile(Identity(found, parts=parts), volume)
        stated, spacing = plane_affine(header), plane_spacing(header)
        view = LPS_TO_RAS if stated is None else stated
        facts = Facts(
            header.kind.upper(), photometric, spacing=spacing and upright_pair(spacing, view)
        )
        plane = Header(header.kind, upright_pair(header.shape, view), facts, affine=stated)
        return ImageFile(Identity(found, parts=parts), plane)
    except Rejected as rejected:
        raise Rejected(rejected.reason, rejected.found, parts=parts) from None


def read_pixels(stream: BinaryIO, image: ImageFile) -> Pixels:
    """Values of an image (rows, columns) as stored, or of a volume (slices, rows, columns) in the
    common order.

    Raises Rejected.
    """
    fields, rest, _ = read_fields(stream)
    header = header_of(fields)
    if header.bytes > MAX_FILE_BYTES:
        raise Rejected("too_large")
    if header.in_data_files != bool(image.identity.data):
        raise Rejected("file_changed")
    values = (
        _voxels(header, image.identity.data)
        if image.identity.data
        else decode(rest + read_all(stream), header.encoding, header.element, header.count)
    )
    if header.colours > 1:
        photograph = np.moveaxis(values.reshape(header.colours, *header.shape, order="F"), 0, -1)
        return Pixels(_upright(photograph, header))
    with np.errstate(over="ignore"):
        values = values.reshape(header.shape, order="F").astype(np.float32)
    if not np.isfinite(values).all():
        raise Rejected("not_finite")
    return Pixels(
        np.ascontiguousarray(to_common(values, affine_of(header)))
        if values.ndim == 3
        else _upright(values, header)
    )


def _upright(plane: np.ndarray, header: ItkHeader) -> np.ndarray:
    """(columns, rows[, samples]) -> (rows, columns[, samples]), as stored where the header does not
    say how it lies.
    """
    affine = plane_affine(header)
    return np.ascontiguousarray(upright(plane, LPS_TO_RAS if affine is None else affine))


def _voxels(header: ItkHeader, files: tuple[Found, ...]) -> np.ndarray:
    """All elements, flat, an equal number from each file. Raises Rejected."""
    count, left = divmod(header.count, len(files))
    if left:
        raise Rejected("bad_data_file", "voxels that cannot be divided evenly among their files")
    pieces = []
    for file in files:
        with opened(file) as stream:
            pieces.append(decode(read_all(stream), header.encoding, header.element, count))
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


READERS = (ItkImage(),)
