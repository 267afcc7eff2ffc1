"""The rays of a radiograph and the chords of simple solids, in closed form, so that no voxel grid
is needed.

Coordinates in cm on the detector plane: x to the image's right (the patient's left), y down, origin
at mid-chest.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Pose:
    """How the patient stands for one image."""

    inspiration: float = 0.0  # cm that the diaphragm stands below its mean
    magnification: float = 1.0  # of the heart


@dataclass(frozen=True)
class Grid:
    """Where the rays meet the body: `pitch` cm apart, the middle at (`x_middle`, `y_middle`),
    turned by `angle` radians.
    """

    rows: int
    columns: int
    pitch: float
    x_middle: float = 0.0
    y_middle: float = 0.0
    angle: float = 0.0

    @cached_property
    def x(self) -> np.ndarray:
        """cm, (rows, columns)."""
        return (
            self.x_middle + self._across * math.cos(self.angle) - self._down * math.sin(self.angle)
        )

    @cached_property
    def y(self) -> np.ndarray:
        """cm, (rows, columns)."""
        return (
            self.y_middle + self._across * math.sin(self.angle) + self._down * math.cos(self.angle)
        )

    def around(self, x: float, y: float, radius: float) -> tuple[slice, slice]:
        """The rows and columns that hold every ray within `radius` cm of a point."""
        dx, dy = x - self.x_middle, y - self.y_middle
        column = (dx * math.cos(self.angle) + dy * math.sin(self.angle)) / self.pitch + (
            self.columns - 1
        ) / 2
        row = (-dx * math.sin(self.angle) + dy * math.cos(self.angle)) / self.pitch + (
            self.rows - 1
        ) / 2
        reach = radius / self.pitch + 1
        return (
            slice(max(int(row - reach), 0), max(int(row + reach) + 2, 0)),
            slice(max(int(column - reach), 0), max(int(column + reach) + 2, 0)),
        )

    @property
    def _across(self) -> np.ndarray:
        return ((np.arange(self.columns) - (self.columns - 1) / 2) * self.pitch)[None, :]

    @property
    def _down(self) -> np.ndarray:
        return ((np.arange(self.rows) - (self.rows - 1) / 2) * self.pitch)[:, None]


def half_sphere(squared: np.ndarray) -> np.ndarray:
    """Half the chord of a ball with radius 1, at a squared distance from its middle."""
    return np.sqrt(np.maximum(1 - squared, 0))


def step(value: np.ndarray, width: float) -> np.ndarray:
    """A soft step from 0 to 1 around 0, `width` cm wide."""
    return 1 / (1 + np.exp(-np.clip(value / width, -30, 30)))


def ellipsoid(
    grid: Grid, x: float, y: float, half_x: float, half_y: float, half_depth: float
) -> np.ndarray:
    """The chord of an ellipsoid whose middle lies at (x, y)."""
    return 2 * half_depth * half_sphere(((grid.x - x) / half_x) ** 2 + ((grid.y - y) / half_y) ** 2)


def tube(distance: np.ndarray, radius: float) -> np.ndarray:
    """The chord of a tube in the plane, at a distance from its axis."""
    return 2 * radius * half_sphere((distance / radius) ** 2)
