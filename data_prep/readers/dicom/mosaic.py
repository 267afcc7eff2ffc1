"""Slices of a volume side by side in one picture, as Siemens (mosaic) and United Imaging (grid of
VFRAMEs) write them.

Private elements say that it is so and where the slices lie. The word MOSAIC in Image Type alone
does not: it stays where a mosaic was parted into frames or files.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.valuerep import VR

from data_prep.readers.dicom.header import numbers, text, value
from data_prep.rejects import Rejected

# Siemens: the private header and who made it.
CSA_TAGS = (0x00290010, 0x00290011, 0x00291010, 0x00291110)
# United Imaging, https://github.com/rordenlab/dcm2niix/blob/master/UIH/README.md: who made it,
# number of slices, an item a slice.
GRID_CREATOR, GRID_COUNT, GRID_SLICES = 0x00650010, 0x00651050, 0x00651051
GRID_CREATED_BY = "Image Private Header"
NEEDED = (
    "AcquisitionMatrix",
    "SpacingBetweenSlices",
    *CSA_TAGS,
    GRID_CREATOR,
    GRID_COUNT,
    GRID_SLICES,
)


@dataclass(frozen=True)
class Mosaic:
    """Tiles lie row by row. `positions`: of each slice's first voxel, mm, LPS."""

    rows: int  # of tiles
    columns: int
    positions: tuple[tuple[float, ...], ...]

    def shape(self, picture: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of a tile. Raises Rejected."""
        if picture[0] % self.rows or picture[1] % self.columns:
            raise Rejected("not_decodable", "a mosaic that does not divide into its slices")
        return picture[0] // self.rows, picture[1] // self.columns

    def tile(self, picture: np.ndarray, index: int) -> np.ndarray:
        rows, columns = self.shape(picture.shape)
        top, left = index // self.columns * rows, index % self.columns * columns
        return picture[top : top + rows, left : left + columns]


def find_mosaic(data: Dataset) -> Mosaic | None:
    """What a picture holds; None where it is one slice, or has several frames.

    Raises Rejected where that cannot be told.
    """
    if (value(data, "NumberOfFrames") or 1) != 1 or value(data, "PerFrameFunctionalGroupsSequence"):
        return None
    if GRID_COUNT in data and GRID_CREATOR in data and data[GRID_CREATOR].value == GRID_CREATED_BY:
        return _grid(data)
    return _siemens(data) if "MOSAIC" in text(data, "ImageType").upper() else None


def _grid(data: Dataset) -> Mosaic | None:
    (count,) = map(round, numbers(data, GRID_COUNT, 1) or (0,))
    if count < 2:
        return None
    positions = tuple(_placed_by(item, "ImagePositionPatient", 3) for item in _grid_items(data))
    if len(positions) != count:
        raise Rejected("unplaced_mosaic", f"{len(positions)} positions of {count} slices")
    columns = _side(count)
    return Mosaic(math.ceil(count / columns), columns, positions)


def _grid_items(data: Dataset) -> list[Dataset]:
    """One a slice.

    Without VRs in the file, a private sequence of stated length is bytes to pydicom (PS3.5 6.2.2).
    """
    element = data.get(GRID_SLICES)
    if element is not None and element.VR == VR.UN and isinstance(element.value, bytes):
        content = element.value
        return list(read_sequence(io.BytesIO(content), True, True, len(content), "iso8859"))
    return list(element.value) if element is not None and element.VR == VR.SQ else []


def _siemens(data: Dataset) -> Mosaic | None:
    """The header's own position is the corner of the whole picture, as if it were one slice."""
    from nibabel.nicom import csareader  # warns as it is imported, here where callers are quiet

    csa = csareader.get_csa_header(data)
    if csa is None and not _too_small(data):
        raise Rejected("unplaced_mosaic")
    count = csa and csareader.get_n_mosaic(csa)
    if not count or count < 2:
        return None
    normal = csareader.get_slice_normal(csa)
    if normal is None:
        raise Rejected("unplaced_mosaic")
    along_row, along_column = np.reshape(_placed_by(data, "ImageOrientationPatient", 6), (2, 3))
    between_rows, between_columns = _placed_by(data, "PixelSpacing", 2)
    (step,) = _placed_by(data, "SpacingBetweenSlices", 1)
    side = _side(count)
    corner = (
        np.array(_placed_by(data, "ImagePositionPatient", 3))
        + along_row * between_columns * (data.Columns - data.Columns // side) / 2
        + along_column * between_rows * (data.Rows - data.Rows // side) / 2
    )
    return Mosaic(
        side,
        side,
        tuple(tuple(map(float, corner + index * step * normal)) for index in range(count)),
    )


def _too_small(data: Dataset) -> bool:
    """Whether a picture cannot be a mosaic, which has two tiles or more each way, each as large as
    the matrix that was acquired.
    """
    # PS3.3 C.8.3.1: frequency rows and columns, phase rows and columns; two are 0.
    acquired = numbers(data, "AcquisitionMatrix", 4)
    if acquired is None:
        return False
    rows, columns = max(acquired[0], acquired[2]), max(acquired[1], acquired[3])
    return data.Rows < 2 * rows and data.Columns < 2 * columns


def _side(count: int) -> int:
    return math.isqrt(count - 1) + 1


def _placed_by(data: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """`count` numbers that place slices. Raises Rejected where they are not there."""
    found = numbers(data, keyword, count)
    if found is None:
        raise Rejected("unplaced_mosaic", f"{keyword} without its numbers")
    return found
