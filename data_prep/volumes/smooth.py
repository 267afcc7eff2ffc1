"""A Gaussian filter for volumes that are about to shrink: only the planes that the interpolation
after it reads are worked out.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array

TINY = 1e-6  # voxels: rounding may bring a place to either side of a plane


def smooth_where_read(
    volume: np.ndarray, sigmas: Sequence[float], places: Sequence[np.ndarray]
) -> np.ndarray:
    """`volume` smoothed by `sigmas` (voxels, by axis) where linear interpolation at `places`
    (voxels, by axis) reads it, 0 elsewhere.

    Values are those of scipy.ndimage.gaussian_filter with mode="nearest".
    """
    read = [_planes(at, size) for at, size in zip(places, volume.shape, strict=True)]
    smooth = volume
    for axis, (sigma, planes) in enumerate(zip(sigmas, read, strict=True)):
        smooth = (
            _smooth_planes(smooth, axis, sigma, planes) if sigma > 0 else smooth.take(planes, axis)
        )
    whole = np.zeros(volume.shape, volume.dtype)
    whole[np.ix_(*read)] = smooth
    return whole


def _planes(places: np.ndarray, size: int) -> np.ndarray:
    below = np.floor(places[:, None] + [-TINY, TINY]).astype(int)
    return np.unique(np.clip([below, below + 1], 0, size - 1))


def _smooth_planes(volume: np.ndarray, axis: int, sigma: float, planes: np.ndarray) -> np.ndarray:
    size = volume.shape[axis]
    weights = csr_array(gaussian_filter1d(np.eye(size), sigma, axis=0, mode="nearest")[planes])
    slabs = np.moveaxis(volume, axis, 0)
    smooth = np.empty((len(planes), *slabs.shape[1:]), volume.dtype)
    # In pieces that the processor's cache holds, summed in float64 as SciPy does.
    for row in range(slabs.shape[1]):
        smooth[:, row] = weights @ slabs[:, row].astype(np.float64)
    return np.moveaxis(smooth, 0, axis)
