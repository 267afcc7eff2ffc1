"""How a NRRD or MetaImage lies: SimpleITK's reading of a header that holds nothing else."""

import math
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_prep.readers.itk.header import NRRD, ItkHeader
from data_prep.readers.plane import usable
from data_prep.readers.quiet import quiet
from data_prep.rejects import Rejected
from data_prep.volumes.orientation import LPS_TO_RAS, check_affine

if TYPE_CHECKING:
    import SimpleITK

# A line that holds nothing but numbers.
GEOMETRY = re.compile(r"space: [a-z-]+|[A-Za-z ]+[:=][-+.\deE(),\s]+")


def affine_of(header: ItkHeader) -> np.ndarray:
    """Voxel (column, row, slice) -> mm, RAS.

    Raises Rejected where the header says nothing or nothing usable.
    """
    if not header.oriented:
        raise Rejected("no_orientation")
    if not header.spaced:
        raise Rejected("no_spacing")
    image = _geometry(header)
    if image is None:
        raise Rejected("singular_affine")
    affine = _stated_affine(header, image)
    check_affine(affine)
    return affine


def plane_affine(header: ItkHeader) -> np.ndarray | None:
    """How a single plane lies, where its header says so.

    SimpleITK writes planes as NRRD in a space without a name, which is LPS.
    """
    named = header.oriented or (
        len(header.sizes) == 2 and header.geometry[:1] == ("space dimension: 2",)
    )
    image = _geometry(header) if named and header.spaced else None
    return None if image is None else usable(_stated_affine(header, image))


def plane_spacing(header: ItkHeader) -> tuple[float, float] | None:
    """mm, of columns and rows as stored."""
    image = _geometry(header) if header.spaced else None
    if image is None:
        return None
    columns, rows = (size * header.unit for size in image.GetSpacing()[:2])
    return (columns, rows) if columns > 0 and rows > 0 and math.isfinite(rows * columns) else None


def _stated_affine(header: ItkHeader, image: "SimpleITK.ImageFileReader") -> np.ndarray:
    """Of a file of two dimensions, in the axial plane."""
    axes = image.GetDimension()
    affine = np.eye(4)
    affine[:axes, :axes] = (
        np.array(image.GetDirection()).reshape(axes, axes) * image.GetSpacing() * header.unit
    )
    affine[:axes, 3] = np.array(image.GetOrigin()) * header.unit
    return LPS_TO_RAS @ affine


def _geometry(header: ItkHeader) -> "SimpleITK.ImageFileReader | None":
    """SimpleITK's reading of a header that holds nothing but sizes and geometry; None where it
    refuses them.
    """
    if not all(map(GEOMETRY.fullmatch, header.geometry)):
        return None
    import SimpleITK  # here: processes that decode start sooner without it

    count, sizes = len(header.sizes), " ".join(map(str, header.sizes))
    if header.kind == NRRD:
        lines = [
            "NRRD0004",
            "type: uint8",
            f"dimension: {count}",
            *header.geometry[:1],
            f"sizes: {sizes}",
            *header.geometry[1:],
            "encoding: raw",
            "",
            "",
        ]
    else:
        lines = [
            "ObjectType = Image",
            f"NDims = {count}",
            f"DimSize = {sizes}",
            *header.geometry,
            "ElementType = MET_UCHAR",
            "ElementDataFile = LOCAL",
            "",
        ]
    with quiet(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("header.nrrd" if header.kind == NRRD else "header.mha")
        path.write_text("\n".join(lines))
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            return None
        return reader
