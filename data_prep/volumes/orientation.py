"""Volumes in one common array order, whatever file they came from."""

import math

import nibabel
import numpy as np

from data_prep.rejects import Rejected

# Slices run to the head, rows to the back, columns to the patient's left: an axial series as DICOM
# stores it.
COMMON = ("L", "P", "S")  # of columns, rows, slices
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
ORTHOGONAL = 1e-3  # cosine between two axes, above which an affine shears
SINGULAR = 1e-6  # of the axes' lengths multiplied; a volume's share below which an affine is flat


def check_affine(affine: np.ndarray) -> None:
    """Raise Rejected unless the affine can be inverted and its axes stand at right angles."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        size = abs(np.linalg.det(affine[:3, :3]))
    if (
        not np.isfinite([*affine.flat, *lengths, size]).all()
        or min(lengths) == 0
        or size < SINGULAR * math.prod(lengths)
    ):
        raise Rejected("singular_affine")
    cosines = (affine[:3, :3] / lengths).T @ (affine[:3, :3] / lengths)
    if np.abs(cosines - np.eye(3)).max() > ORTHOGONAL:
        raise Rejected("sheared_affine")


def to_common(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Turn `volume` (columns, rows, slices; RAS affine) by whole quarter turns and flips into
    (slices, rows, columns).
    """
    return nibabel.apply_orientation(volume, _turns(affine)).transpose(2, 1, 0)


def from_common(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Undo `to_common`: the volume as (columns, rows, slices) of `affine`."""
    back = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt(COMMON), nibabel.io_orientation(affine)
    )
    return nibabel.apply_orientation(volume.transpose(2, 1, 0), back)


def common_spacing(affine: np.ndarray) -> tuple[float, ...]:
    """Voxel size in mm of slices, rows and columns, in the common order."""
    return tuple(float(size) for size in _reordered(np.linalg.norm(affine[:3, :3], axis=0), affine))


def common_shape(shape: tuple[int, ...], affine: np.ndarray) -> tuple[int, ...]:
    """Slices, rows and columns, in the common order, of a volume of `shape` (columns, rows,
    slices).
    """
    return tuple(int(size) for size in _reordered(np.array(shape), affine))


def _reordered(sizes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    target = np.empty_like(sizes)
    target[_turns(affine)[:, 0].astype(int)] = sizes
    return target[::-1]


def _turns(affine: np.ndarray) -> np.ndarray:
    return nibabel.orientations.ornt_transform(
        nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(COMMON)
    )
