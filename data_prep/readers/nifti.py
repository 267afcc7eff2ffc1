"""NIfTI files (NIfTI-1 or NIfTI-2, gzipped or not), or a header with its .img (also Analyze 7.5).

It is checked against its own promises before anything is allocated.

The header's fourth dimension is time (nifti1.h): such a file holds a volume a time point, and each
is read for itself.
"""

import math
import struct
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import nibabel
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.arrayproxy import ArrayProxy
from nibabel.spm99analyze import Spm99AnalyzeHeader

from data_prep.exports.kinds import HEAD
from data_prep.exports.parts import without_packing
from data_prep.exports.sources import Found, opened
from data_prep.privacy.identifying_values import MOST_BYTES, PREAMBLE, IdentifyingValues
from data_prep.readers.base import Reader, as_scanned
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile, Pixels
from data_prep.readers.plane import BOTTOM_UP, upright, upright_pair, usable
from data_prep.readers.quiet import quiet
from data_prep.readers.voxels import MAX_VOLUMES, promised
from data_prep.rejects import Rejected, not_decodable
from data_prep.volumes.orientation import check_affine, common_shape, common_spacing, to_common

KIND, PAIR, ANALYZE = "nifti", "nifti_pair", "analyze"
AnyHeader = Any  # NIfTI's header, or Analyze's, which lacks some of its methods
COLOURS = 3
VOXELS = ".img"  # beside a header .hdr
MM = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}  # in one unit of the header
ANALYZE_MM = {b"": 1.0, b"mm": 1.0, b"cm": 10.0, b"um": 0.001}
COLOUR_TYPES = (128,)  # DT_RGB24
SCANNER = 1  # form code: the scanner's own coordinates (nifti1.h)
SAME_SIZE = 0.01  # relative; of a voxel, as its affine and as pixdim say
SAME_CORNER = 0.5  # of a voxel: how far apart two affines may put a corner of the volume
AFFINES_DIFFER, SPACING_DIFFERS = "affines_differ", "spacing_differs"
DOUBTS = {
    AFFINES_DIFFER: "two affines (sform and qform) put a corner of the image half a voxel apart or "
    "more; the sform is used",
    SPACING_DIFFERS: "the affine's voxels are of another size than pixdim says; the affine is "
    "used, and pixdim of a single plane",
}


class Nifti(Reader):
    """In either byte order, its header in the voxels' file or apart."""

    kinds = (KIND, ANALYZE)
    endings = (".nii", ".nii.gz")

    def sniff(self, head: bytes) -> str | None:
        return _kind(head)

    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        return read_header(stream, found)

    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        values.add_printable(PREAMBLE, _header_and_extensions(stream))

    def pixels(self, images: Sequence[ImageFile]) -> list[Pixels]:
        (image,) = images
        with opened(image.identity.found) as stream:
            pixels = read_pixels(stream, image.header.frame, image.identity.data)
        return [as_scanned(pixels, image)]


def _kind(head: bytes) -> str | None:
    """NIfTI-1: 348 first, magic at 344. NIfTI-2: 540 first, magic at 4. Analyze 7.5: no magic."""
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 4 else set()
    magic = head[344:348] if 348 in sizes else head[4:8] if 540 in sizes else b""
    if magic[:3] in (b"n+1", b"n+2"):
        return KIND
    if magic[:3] in (b"ni1", b"ni2"):
        return PAIR
    if 348 not in sizes or len(head) < 348:
        return None
    dimensions = {struct.unpack(order + "h", head[40:42])[0] for order in "<>"}
    return ANALYZE if dimensions & set(range(1, 8)) else None


def _header_and_extensions(stream: BinaryIO) -> bytes:
    """Without voxels, which would read as text by chance."""
    head = stream.read(HEAD)
    order = "<" if struct.unpack("<i", head[:4])[0] in (348, 540) else ">"
    version_1 = struct.unpack(order + "i", head[:4])[0] == 348
    size, voxels = (
        (348, int(struct.unpack(order + "f", head[108:112])[0]))
        if version_1
        else (540, struct.unpack(order + "q", head[168:176])[0])
    )
    stream.seek(0)
    return stream.read(max(size, min(voxels, MOST_BYTES)))


def read_header(stream: BinaryIO, found: Found) -> ImageFile:
    """Shape and spacing. Raises Rejected."""
    with quiet():
        header = _header(stream.read(HEAD))
        parts = (
            ()
            if _is_whole(header)
            else (str(PurePosixPath(without_packing(found.name)).with_suffix(VOXELS)),)
        )
        try:
            return _image(header, found, parts)
        except Rejected as rejected:
            raise Rejected(rejected.reason, rejected.found, parts=parts) from None


def _image(header: AnalyzeHeader, found: Found, parts: tuple[str, ...]) -> ImageFile:
    kind = KIND if "magic" in header else ANALYZE
    shape, doubts = _shape(header), _doubts(header)
    _offset(header)
    _check_scaling(header)
    if len(shape) == 3:
        affine = _affine(header)
        facts = Facts(kind.upper(), "MONOCHROME2", spacing=common_spacing(affine))
        space, volumes = common_shape(shape, affine), _volumes(header)
        volume = Header(kind, space, facts, volumes=volumes, affine=affine, doubts=doubts)
        return ImageFile(Identity(found, parts=parts), volume)
    photometric = (
        "RGB"
        if int(header["datatype"]) in COLOUR_TYPES or _is_colour_by_planes(header)
        else "MONOCHROME2"
    )
    stated = _plane_affine(header)
    view = BOTTOM_UP if stated is None else stated
    spacing = _plane_spacing(header)
    facts = Facts(kind.upper(), photometric, spacing=spacing and upright_pair(spacing, view))
    plane = Header(kind, upright_pair(shape, view), facts, affine=stated, doubts=doubts)
    return ImageFile(Identity(found, parts=parts), plane)


def read_pixels(
    stream: BinaryIO, volume: int | None = None, data: tuple[Found, ...] = ()
) -> Pixels:
    """Values of an image (rows, columns) or a volume (slices, rows, columns in the common order).

    `volume`: which of several; `data`: the file of the voxels, where it is not the header's. Raises
    Rejected.
    """
    with quiet():
        header = _header(stream.read(HEAD))
        shape, element = _shape(header), header.get_data_dtype()
        samples = (COLOURS,) if _is_colour_by_planes(header) else ()
        start, size = _offset(header), math.prod((*shape, *samples)) * element.itemsize
        if (volume or 0) >= _volumes(header) or _is_whole(header) == bool(data):
            raise Rejected("file_changed")
        with opened(data[0]) if data else nullcontext(stream) as voxels:
            content = promised(
                voxels, start + (volume or 0) * size, size, start + _volumes(header) * size
            )
        try:
            slope, intercept = header.get_slope_inter()
            scaling = (1.0, 0.0) if slope is None else (slope, intercept or 0.0)  # Analyze has none
            values = np.asanyarray(ArrayProxy(content, ((*shape, *samples), element, 0, *scaling)))
        except Exception as error:  # nibabel raises several kinds on malformed headers
            raise not_decodable(error) from None
        if values.dtype.names:  # RGB24 comes as fields R, G, B
            values, samples = (
                np.stack([values[name] for name in values.dtype.names], axis=-1),
                (COLOURS,),
            )
        if samples:
            return Pixels(np.ascontiguousarray(_upright(values, header)))
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise Rejected("not_finite")
        return Pixels(
            np.ascontiguousarray(
                to_common(values, _affine(header)) if values.ndim == 3 else _upright(values, header)
            )
        )


def _upright(image: np.ndarray, header: AnalyzeHeader) -> np.ndarray:
    """(columns, rows[, samples]) -> (rows, columns[, samples])."""
    affine = _plane_affine(header)
    return upright(image, BOTTOM_UP if affine is None else affine)


def _class(start: bytes) -> type[AnalyzeHeader]:
    """NIfTI's header is Analyze's with other fields; both say their length first."""
    if 540 in (struct.unpack(order + "i", start[:4])[0] for order in "<>"):
        return nibabel.Nifti2Header
    return nibabel.Nifti1Header if start[344:347] in (b"n+1", b"ni1") else Spm99AnalyzeHeader


def _header(start: bytes) -> AnalyzeHeader:
    if len(start) < 4 or len(start) < _class(start).template_dtype.itemsize:
        raise Rejected("truncated", "a file shorter than its header")
    kind = _class(start)
    try:
        header = kind(start[: kind.template_dtype.itemsize], check=False)
        data_type = header.get_data_dtype()
    except Exception as error:  # as in read_pixels
        raise not_decodable(error) from None
    if (
        data_type.kind == "c"
        or data_type.itemsize == 0
        or (data_type.names and int(header["datatype"]) not in COLOUR_TYPES)
    ):
        raise Rejected("unsupported_pixels", "complex values or colours with transparency")
    if "qform_code" in header:
        # By nifti1.h, method 2: 0 stands for 1; nibabel refuses it.
        header["pixdim"][0] = -1.0 if header["pixdim"][0] < 0 else 1.0
    return header


def _is_whole(header: AnalyzeHeader) -> bool:
    """Whether the voxels follow in the same file."""
    return "magic" in header and bytes(header["magic"]).startswith(b"n+")


def _offset(header: AnyHeader) -> int:
    """Where the voxels begin.

    Raises Rejected, also where that is inside the header, which nibabel would read as voxels.
    """
    offset = float(header["vox_offset"])
    if (
        not math.isfinite(offset)
        or offset != int(offset)
        or offset < (header.single_vox_offset if _is_whole(header) else 0)
    ):
        raise Rejected("not_decodable", "voxels that begin nowhere, or inside the header")
    return int(offset)


def _check_scaling(header: AnalyzeHeader) -> None:
    """Raise Rejected where a scaling is meant and cannot be applied.

    A slope of 0 or NaN says that there is none.
    """
    slope, intercept = (
        float(header["scl_slope"]),
        float(header["scl_inter"]) if "scl_inter" in header else 0.0,
    )
    if math.isinf(slope) or not (slope == 0 or math.isnan(slope) or math.isfinite(intercept)):
        raise Rejected("bad_rescale")


def _dimensions(header: AnalyzeHeader) -> tuple[int, ...]:
    count = int(header["dim"][0])
    sizes = tuple(int(size) for size in header["dim"][1 : count + 1])
    if not 2 <= count <= 7 or min(sizes) < 1:
        raise Rejected("not_decodable", "dimensions that cannot be")
    return sizes


def _shape(header: AnalyzeHeader) -> tuple[int, ...]:
    """(columns, rows) of an image or (columns, rows, slices) of a volume.

    Raises Rejected for a film, and where a voxel has several values.
    """
    sizes = _dimensions(header)
    space = sizes[:3]
    volume = len(space) == 3 and space[2] > 1
    if math.prod(sizes[4:]) > 1 and not _is_colour_by_planes(header):
        raise Rejected("several_values")
    if not volume and math.prod(sizes[3:4]) > 1:
        raise Rejected("time_series")
    if _volumes(header) > MAX_VOLUMES:
        raise Rejected("too_large")
    if volume and int(header["datatype"]) in COLOUR_TYPES:
        raise Rejected("several_values", "a volume in colour")
    return space if volume else space[:2]


def _is_colour_by_planes(header: AnalyzeHeader) -> bool:
    """Whether it is a picture of which red, green and blue lie one behind the other, as ITK writes
    colours: vectors along the fifth axis.
    """
    sizes = _dimensions(header)
    unscaled = float(header["scl_slope"]) in (0, 1) or math.isnan(header["scl_slope"])
    return (
        len(sizes) == 5
        and sizes[2:] == (1, 1, COLOURS)
        and header.get_data_dtype() == np.uint8
        and unscaled
    )


def _volumes(header: AnalyzeHeader) -> int:
    return (*_dimensions(header), 1, 1)[3]


def _affine(header: AnalyzeHeader) -> np.ndarray:
    """Voxel (column, row, slice) -> mm, RAS.

    Raises Rejected where it says nothing or nothing usable.
    """
    affine = _stated_affine(header)
    check_affine(affine)
    return affine


def _stated_affine(header: AnalyzeHeader) -> np.ndarray:
    """Raises Rejected where there is none."""
    if "sform_code" not in header:
        raise Rejected("no_orientation", "an Analyze 7.5 file, which has no place for it")
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise Rejected("no_orientation")
    try:
        affine = np.array(header.get_best_affine(), np.float64)
    except Exception as error:  # a quaternion that is none
        raise Rejected("singular_affine", type(error).__name__) from None
    affine[:3] *= _unit(header)
    return affine


def _plane_affine(header: AnalyzeHeader) -> np.ndarray | None:
    """How a single plane lies; None where its header does not say, or says nothing but how large
    pixels are.

    Who writes a picture as NIfTI has to name some affine, and takes numpy.eye(4) or the voxel
    sizes; no scanner has its first voxel at 0, 0, 0.
    """
    try:
        affine = usable(_stated_affine(header))
    except Rejected:
        return None
    scanned = (int(header["sform_code"]) or int(header["qform_code"])) == SCANNER
    made_up = (
        affine is not None
        and np.array_equal(affine, np.diag(np.abs(affine.diagonal())))
        and not scanned
    )
    return None if made_up else affine


def _plane_spacing(header: AnalyzeHeader) -> tuple[float, float] | None:
    """mm, of columns and rows as stored."""
    columns, rows = (abs(float(size)) * _unit(header) for size in header["pixdim"][1:3])
    return (columns, rows) if columns > 0 and rows > 0 and math.isfinite(rows * columns) else None


def _doubts(header: AnyHeader) -> tuple[str, ...]:
    """Where a header says how it lies, or how large its voxels are, in two ways that do not agree
    (nifti1.h, methods 2 and 3).
    """
    if "sform_code" not in header or int(header["sform_code"]) <= 0:
        return ()
    sform = np.array(header.get_sform(), np.float64)
    sizes, stated = (
        np.linalg.norm(sform[:3, :3], axis=0),
        np.abs(np.array(header["pixdim"][1:4], np.float64)),
    )
    axes = len(_shape(header))
    doubts = (
        []
        if np.allclose(sizes[:axes], stated[:axes], rtol=SAME_SIZE, atol=0)
        else [SPACING_DIFFERS]
    )
    if int(header["qform_code"]) > 0:
        corners = np.array([(*corner, 1) for corner in np.ndindex(2, 2, 2)]) * (
            *[size - 1 for size in (*_shape(header), 1)[:3]],
            1,
        )
        try:
            distance = np.linalg.norm(
                (corners @ (sform - header.get_qform()).T)[:, :3], axis=1
            ).max()
        except Exception:  # a quaternion that is none
            distance = math.inf
        doubts += [] if distance <= SAME_CORNER * min(sizes[:axes]) else [AFFINES_DIFFER]
    return tuple(doubts)


def _unit(header: AnyHeader) -> float:
    try:
        return (
            MM[header.get_xyzt_units()[0]]
            if "xyzt_units" in header
            else ANALYZE_MM[bytes(header["vox_units"]).strip(b" \0").lower()]
        )
    except KeyError:
        raise Rejected("no_spacing", "an unknown unit of length") from None


READERS = (Nifti(),)
