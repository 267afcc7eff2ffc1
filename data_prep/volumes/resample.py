"""Volumes onto another grid in one interpolation: stretched to fill it, or brought to a common
voxel size about their centre.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import affine_transform

from data_prep.rejects import Rejected
from data_prep.volumes.smooth import smooth_where_read

# Standard deviation in voxels for each voxel that a reduction merges beyond one, as scikit-image's
# resize.
BLUR_A_REDUCTION = 0.5
ON_THE_EDGE = 1e-6  # voxels; a centre this near the volume's edge lies on it


def stretched(volume: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """(*size) float32 that shows all of `volume`, whatever the size of its voxels."""
    return _resampled(
        volume, size, [old / new for old, new in zip(volume.shape, size, strict=True)]
    )


def spaced(
    volume: np.ndarray,
    size: Sequence[int],
    spacing: Sequence[float] | None,
    wanted: Sequence[float],
    outside: float,
) -> np.ndarray:
    """(*size) float32 with voxels of `wanted` mm, cropped, or filled up with `outside`, evenly on
    both sides.

    Raises Rejected.

    `spacing`: mm, of the voxels of `volume`, along its own axes: one that lies askew in the patient
    stays so.
    """
    if spacing is None:
        raise Rejected("unknown_spacing")
    if any(
        count * have < want for count, have, want in zip(volume.shape, spacing, wanted, strict=True)
    ):
        raise Rejected("unknown_spacing", "a volume thinner than one voxel of convert.spacing")
    return _resampled(
        volume, size, [want / have for have, want in zip(spacing, wanted, strict=True)], outside
    )


def _resampled(
    volume: np.ndarray, size: Sequence[int], steps: Sequence[float], outside: float = 0.0
) -> np.ndarray:
    """(*size) about the centre of `volume`; `outside` where it does not reach.

    `steps`: its voxels in one of the result, by axis.

    A voxel stands for all of its extent, so the outermost half voxels are part of the volume.
    """
    first = [
        max(0, math.ceil((new - old / step - 1) / 2 - ON_THE_EDGE))
        for old, new, step in zip(volume.shape, size, steps, strict=True)
    ]
    inside = [new - 2 * start for new, start in zip(size, first, strict=True)]
    offsets = [
        (old - 1) / 2 - step * (new - 1) / 2
        for old, new, step in zip(volume.shape, inside, steps, strict=True)
    ]
    places = [
        offset + step * np.arange(new)
        for offset, step, new in zip(offsets, steps, inside, strict=True)
    ]
    smooth = smooth_where_read(
        volume, [BLUR_A_REDUCTION * max(step - 1, 0) for step in steps], places
    )
    shown = affine_transform(
        smooth, np.array(steps), offsets, tuple(inside), order=1, mode="nearest"
    )
    return np.pad(shown, [(start, start) for start in first], constant_values=outside)
