"""A single plane in a file that says how it lies, turned as DICOM shows such planes: the patient's
left, or back, to the right.
"""

from collections.abc import Sequence
from typing import TypeVar

import nibabel
import numpy as np

from data_prep.rejects import Rejected
from data_prep.volumes.orientation import check_affine

T = TypeVar("T")
# Where columns and rows run, by the axis of RAS across: sagittal, coronal, axial.
SHOWN = (
    ("P", "I", "L"),
    ("L", "I", "P"),
    ("L", "P", "S"),
)
# Of a NIfTI that does not say how it lies: its second axis is taken to point up.
BOTTOM_UP = np.diag([-1.0, 1.0, 1.0, 1.0])


def usable(affine: np.ndarray) -> np.ndarray | None:
    """(column, row, slice) -> mm, RAS, of a plane, 1 mm thick where it does not say; None where
    nothing can be told from it.
    """
    whole = affine.copy()
    if not affine[:3, 2].any():
        across = np.cross(affine[:3, 0], affine[:3, 1])
        whole[:3, 2] = across / (np.linalg.norm(across) or 1.0)
    try:
        check_affine(whole)
    except Rejected:
        return None
    return whole


def upright(plane: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(columns, rows[, samples]) -> (rows, columns[, samples]), by quarter turns and flips."""
    return (
        nibabel.apply_orientation(np.expand_dims(plane, 2), _turns(affine))
        .squeeze(2)
        .swapaxes(0, 1)
    )


def as_stored(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Undo `upright`."""
    back = nibabel.orientations.ornt_transform(_shown(affine), nibabel.io_orientation(affine))
    return nibabel.apply_orientation(np.expand_dims(image.swapaxes(0, 1), 2), back).squeeze(2)


def upright_pair(pair: Sequence[T], affine: np.ndarray) -> tuple[T, T]:
    """What belongs to columns and rows as stored -> what belongs to rows and columns upright."""
    columns, rows = pair
    return (columns, rows) if _turns(affine)[0, 0] == 1 else (rows, columns)


def _turns(affine: np.ndarray) -> np.ndarray:
    return nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), _shown(affine))


def _shown(affine: np.ndarray) -> np.ndarray:
    across = int(nibabel.io_orientation(affine)[2, 0])
    return nibabel.orientations.axcodes2ornt(SHOWN[across])
