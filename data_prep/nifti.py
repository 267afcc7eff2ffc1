"""One NIfTI file (NIfTI-1 or NIfTI-2, gzipped or not), checked against its own promises before anything is allocated.

The header's fourth dimension is time (nifti1.h): such a file holds a volume a time point, and each is read for itself.
"""

import io
import math
import struct
from typing import BinaryIO

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy

from data_prep.image_file import Facts, ImageFile, Pixels
from data_prep.kinds import HEAD
from data_prep.orientation import check_affine, common_shape, common_spacing, to_common
from data_prep.quiet import quiet
from data_prep.rejects import Rejected, not_decodable
from data_prep.sources import MAX_FILE_BYTES, Found

SYNTAX = "NIFTI"
MM = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}  # in one unit of the header
COLOUR_TYPES = (128,)  # DT_RGB24
PIECE = 2**24  # bytes read at once: a header may promise more than there is
MAX_VOLUMES = 10_000  # of one file; functional MR runs have hundreds


def read_header(stream: BinaryIO, found: Found) -> ImageFile:
    """Shape and spacing. Raises Rejected."""
    with quiet():
        header = _header(stream.read(HEAD))
        shape = _shape(header)
        _offset(header)
        _check_scaling(header)
        if len(shape) == 3:
            affine = _affine(header)
            facts = Facts(SYNTAX, "MONOCHROME2", spacing=common_spacing(affine))
            return ImageFile(found, "nifti", common_shape(shape, affine), facts, volumes=_volumes(header), affine=affine)
        photometric = "RGB" if int(header["datatype"]) in COLOUR_TYPES else "MONOCHROME2"
        facts = Facts(SYNTAX, photometric, spacing=_flat_spacing(header))
        return ImageFile(found, "nifti", shape[::-1], facts, affine=_flat_affine(header))


def read_pixels(stream: BinaryIO, volume: int | None = None) -> Pixels:
    """Values of an image (rows, columns) or a volume (slices, rows, columns in the common order). `volume`: which of several.

    Raises Rejected.
    """
    with quiet():
        header = _header(stream.read(HEAD))
        shape, element = _shape(header), header.get_data_dtype()
        size = math.prod(shape) * element.itemsize
        promised = _offset(header) + _volumes(header) * size
        if promised > MAX_FILE_BYTES:
            raise Rejected("too_large")
        if (volume or 0) >= _volumes(header):
            raise Rejected("file_changed")
        stream.seek(_offset(header) + (volume or 0) * size)
        content = io.BytesIO()
        while content.tell() < size and (piece := stream.read(min(size - content.tell(), PIECE))):
            content.write(piece)
        there = stream.seek(0, io.SEEK_END)  # where the file is compressed, its checksum is checked on the way
        if there < promised:
            raise Rejected("truncated", f"{there} of {promised} bytes")
        try:
            slope, intercept = header.get_slope_inter()
            scaling = (1.0, 0.0) if slope is None else (slope, intercept)
            values = np.asanyarray(ArrayProxy(content, (shape, element, 0, *scaling)))
        except Exception as error:  # nibabel raises several kinds on malformed headers
            raise not_decodable(error) from None
        if values.dtype.names:  # RGB24 comes as fields R, G, B
            values = np.stack([values[name] for name in values.dtype.names], axis=-1)
            return Pixels(np.ascontiguousarray(_upright(values)))
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise Rejected("not_finite")
        return Pixels(np.ascontiguousarray(to_common(values, _affine(header)) if values.ndim == 3 else _upright(values)))


def _upright(image: np.ndarray) -> np.ndarray:
    """(columns, rows) -> (rows, columns). NIfTI's second axis points up, so the last row is the top.

    The affine of a single plane is mostly made up, and its left and right cannot be trusted: it is not used.
    """
    return image.swapaxes(0, 1)[::-1]


def _class(start: bytes) -> type[nibabel.Nifti1Image]:
    return nibabel.Nifti2Image if 540 in (struct.unpack(order + "i", start[:4])[0] for order in "<>") else nibabel.Nifti1Image


def _header(start: bytes) -> nibabel.Nifti1Header:
    kind = _class(start).header_class
    if len(start) < kind.template_dtype.itemsize:
        raise Rejected("truncated", "a file shorter than its header")
    try:
        header = kind(start[: kind.template_dtype.itemsize], check=False)
        data_type = header.get_data_dtype()
    except Exception as error:  # as in read_pixels
        raise not_decodable(error) from None
    if data_type.kind == "c" or data_type.itemsize == 0 or (data_type.names and int(header["datatype"]) not in COLOUR_TYPES):
        raise Rejected("unsupported_pixels", "complex values or colours with transparency")
    return header


def _offset(header: nibabel.Nifti1Header) -> int:
    """Where the voxels begin. Raises Rejected, also where that is inside the header, which nibabel would read as voxels."""
    offset = float(header["vox_offset"])
    if not math.isfinite(offset) or offset != int(offset) or offset < header.single_vox_offset:
        raise Rejected("not_decodable", "voxels that begin nowhere, or inside the header")
    return int(offset)


def _check_scaling(header: nibabel.Nifti1Header) -> None:
    """Raise Rejected where a scaling is meant and cannot be applied. A slope of 0 or NaN says that there is none."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if math.isinf(slope) or not (slope == 0 or math.isnan(slope) or math.isfinite(intercept)):
        raise Rejected("bad_rescale")


def _dimensions(header: nibabel.Nifti1Header) -> tuple[int, ...]:
    count = int(header["dim"][0])
    sizes = tuple(int(size) for size in header["dim"][1 : count + 1])
    if not 2 <= count <= 7 or min(sizes) < 1:
        raise Rejected("not_decodable", "dimensions that cannot be")
    return sizes


def _shape(header: nibabel.Nifti1Header) -> tuple[int, ...]:
    """(columns, rows) of an image or (columns, rows, slices) of a volume.

    Raises Rejected for a film, and where a voxel has several values.
    """
    sizes = _dimensions(header)
    space = sizes[:3]
    volume = len(space) == 3 and space[2] > 1
    if math.prod(sizes[4 if volume else 3 :]) > 1:
        raise Rejected("time_series")
    if _volumes(header) > MAX_VOLUMES:
        raise Rejected("too_large")
    if volume and int(header["datatype"]) in COLOUR_TYPES:
        raise Rejected("unsupported_pixels", "a volume in colour")
    return space if volume else space[:2]


def _volumes(header: nibabel.Nifti1Header) -> int:
    return (*_dimensions(header), 1, 1)[3]


def _affine(header: nibabel.Nifti1Header) -> np.ndarray:
    """Voxel (column, row, slice) -> mm, RAS. Raises Rejected where it says nothing or nothing usable."""
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise Rejected("no_orientation")
    try:
        affine = np.array(header.get_best_affine(), np.float64)
    except Exception as error:  # a quaternion that is none
        raise Rejected("singular_affine", type(error).__name__) from None
    affine[:3] *= _unit(header)
    check_affine(affine)
    return affine


def _flat_affine(header: nibabel.Nifti1Header) -> np.ndarray | None:
    """A single plane's own affine, where it has a usable one. Only what shows the file as it is may use it: see `_upright`."""
    try:
        return _affine(header)
    except Rejected:
        return None


def _flat_spacing(header: nibabel.Nifti1Header) -> tuple[float, float] | None:
    columns, rows = (abs(float(size)) * _unit(header) for size in header["pixdim"][1:3])
    return (rows, columns) if rows > 0 and columns > 0 and math.isfinite(rows * columns) else None


def _unit(header: nibabel.Nifti1Header) -> float:
    try:
        return MM[header.get_xyzt_units()[0]]
    except KeyError:
        raise Rejected("no_spacing", "an unknown unit of length") from None
