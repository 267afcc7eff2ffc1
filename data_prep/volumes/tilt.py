"""Slices stacked aslant, as the tilted gantry of a CT leaves them: sheared back along their own
plane onto a straight grid.

A slice is moved within its plane alone, by linear interpolation, and the grid grows so that nothing
of any slice is cut off.
"""

import math
from functools import partial

import numpy as np
from scipy.ndimage import affine_transform

from data_prep.rejects import Rejected

# Columns and rows that each slice lies further aside than the one before it.
Lean = tuple[float, float]
STRAIGHT: Lean = (0.0, 0.0)
# Of a pixel: how far aside a stack may lean over its whole length, and a tilted one leave its line.
ASIDE_TOLERANCE = 0.5
STEEPEST = 45.0  # degrees; gantries tilt by 30 at most
ON_THE_EDGE = 1e-6  # pixels; a place this near a slice's outermost pixel is on it


def leans(positions: np.ndarray, normal: np.ndarray, pixel: float) -> bool:
    """Whether slices at `positions` (mm, in any order) lie aside of one another.

    `pixel`: mm. Raises Rejected where no tilt can be why.
    """
    aside = positions - np.outer(positions @ normal, normal)
    if np.ptp(aside, axis=0).max() <= ASIDE_TOLERANCE * pixel:
        return False
    order = np.argsort(positions @ normal)
    along, aside = (positions @ normal)[order], aside[order]
    share = (along - along[0]) / (along[-1] - along[0])
    line = aside[0] + np.outer(share, aside[-1] - aside[0])
    steep = np.linalg.norm(aside[-1] - aside[0]) > math.tan(math.radians(STEEPEST)) * (
        along[-1] - along[0]
    )
    if steep or np.abs(aside - line).max() > ASIDE_TOLERANCE * pixel:
        raise Rejected(
            "variable_spacing",
            "slices that lie aside of one another, and not as a gantry's tilt leaves them",
        )
    return True


def straight(affine: np.ndarray, count: int) -> tuple[np.ndarray, Lean]:
    """A leaning stack's affine (column, row, slice) -> mm on the grid that `straighten` makes of
    its `count` slices; and how it leans.
    """
    columns, rows, step = affine[:3, 0], affine[:3, 1], affine[:3, 2]
    lean = float(step @ columns / (columns @ columns)), float(step @ rows / (rows @ rows))
    upright = affine.copy()
    upright[:3, 2] = step - lean[0] * columns - lean[1] * rows
    upright[:3, 3] += _start(lean[0], count) * columns + _start(lean[1], count) * rows
    return upright, lean


def straight_shape(shape: tuple[int, int, int], lean: Lean) -> tuple[int, int, int]:
    """Columns, rows and slices of the straight grid."""
    columns, rows, count = shape
    return columns + _growth(lean[0], count), rows + _growth(lean[1], count), count


def straighten(
    volume: np.ndarray, valid: np.ndarray | None, lean: Lean
) -> tuple[np.ndarray, np.ndarray]:
    """`volume` (slices, rows, columns) on the straight grid, and where it holds values of the
    slices.

    `valid`: where `volume` does.
    """
    columns, rows, count = straight_shape(volume.shape[::-1], lean)
    starts = _start(lean[1], count), _start(lean[0], count)
    matrix = np.array([[1, 0, 0], [-lean[1], 1, 0], [-lean[0], 0, 1.0]])
    shape = (count, rows, columns)
    sheared = partial(
        affine_transform,
        matrix=matrix,
        offset=(0, *starts),
        output_shape=shape,
        order=1,
        mode="nearest",
    )
    there = np.ones(shape, bool)
    for axis, start, lean_by, size in (
        (1, starts[0], lean[1], volume.shape[1]),
        (2, starts[1], lean[0], volume.shape[2]),
    ):
        places = start + np.arange(shape[axis]) - lean_by * np.arange(count)[:, None]
        inside = (places >= -ON_THE_EDGE) & (places <= size - 1 + ON_THE_EDGE)
        there &= np.expand_dims(inside, 3 - axis)
    if valid is not None:
        there &= sheared(valid.astype(np.float32)) > 1 - ON_THE_EDGE
    return sheared(volume), there


def degrees(affine: np.ndarray, lean: Lean) -> float:
    """The tilt. `affine`: of the straight grid."""
    across, down, up = np.linalg.norm(affine[:3, :3], axis=0)
    return math.degrees(math.atan(math.hypot(lean[0] * across, lean[1] * down) / up))


def _start(lean: float, count: int) -> int:
    """The first pixel of the straight grid, in pixels of the first slice."""
    return math.floor(min(0.0, lean * (count - 1)) + ON_THE_EDGE)


def _growth(lean: float, count: int) -> int:
    return math.ceil(abs(lean) * (count - 1) - ON_THE_EDGE)
