"""Volumes in one common array order, whatever file they came from."""

import nibabel
import numpy as np

# Slices run to the head, rows to the back, columns to the patient's left: an axial series as DICOM stores it.
COMMON = ("L", "P", "S")  # of columns, rows, slices


def to_common(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Turn `volume` (columns, rows, slices; RAS affine) by whole quarter turns and flips into (slices, rows, columns)."""
    return nibabel.apply_orientation(volume, _turns(affine)).transpose(2, 1, 0)


def common_spacing(affine: np.ndarray) -> tuple[float, ...]:
    """Voxel size in mm of slices, rows and columns, in the common order."""
    return tuple(float(size) for size in _reordered(np.linalg.norm(affine[:3, :3], axis=0), affine))


def common_shape(shape: tuple[int, ...], affine: np.ndarray) -> tuple[int, ...]:
    """Slices, rows and columns, in the common order, of a volume of `shape` (columns, rows, slices)."""
    return tuple(int(size) for size in _reordered(np.array(shape), affine))


def _reordered(sizes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    target = np.empty_like(sizes)
    target[_turns(affine)[:, 0].astype(int)] = sizes
    return target[::-1]


def _turns(affine: np.ndarray) -> np.ndarray:
    return nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(COMMON))
