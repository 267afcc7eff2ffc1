"""A chest as a radiograph sees it: path lengths through each tissue along parallel rays, in cm,
from a patient's anatomy.

The constants of the shapes were set by eye against radiographs.
"""

import math
from dataclasses import dataclass

import numpy as np

from data_prep.phantom.anatomy import Thorax
from data_prep.phantom.bones import clavicles, ribs, spine
from data_prep.phantom.rays import Grid, Pose, ellipsoid, half_sphere, step, tube

LEAST_LUNG = 0.12  # share of lung that stays in front of and behind the heart

# Linear attenuation coefficients at 60 keV, the mean energy of a filtered chest beam, in 1/cm: mass
# attenuation times density, from NIST's tables (Hubbell and Seltzer, NISTIR 5632, tables 3 and 4).
WATER = 0.2059 * 1.00
SOFT_TISSUE = 0.2048 * 1.06
FAT = 0.1974 * 0.95
LUNG = 0.2053 * 0.26  # inflated
BONE = 0.3148 * 1.92  # cortical


@dataclass(frozen=True)
class Paths:
    """Centimetres of each tissue along each ray, each (rows, columns)."""

    soft: np.ndarray
    fat: np.ndarray
    lung: np.ndarray
    bone: np.ndarray

    def attenuation(self) -> np.ndarray:
        """The line integral of attenuation, without a unit."""
        return (
            self.soft * SOFT_TISSUE
            + self.fat * FAT
            + self.lung * LUNG
            + self.bone * (BONE - SOFT_TISSUE)
        )


def project(thorax: Thorax, grid: Grid, pose: Pose) -> Paths:
    """Path lengths of a healthy chest."""
    body = _body(thorax, grid)
    inner = _body(thorax, grid, thorax.fat)
    lung = _lungs(thorax, grid, pose)
    trachea = tube(grid.x - 0.2, 0.85) * step(-4.5 - grid.y, 0.4)
    air = np.minimum(trachea + _stomach(thorax, grid, pose), 0.8 * inner)
    filled = np.minimum(_vessel_chords(thorax, grid) + _knob(thorax, grid), 0.9 * lung)
    lung = lung - filled
    breast = sum(
        ellipsoid(
            grid,
            side * 0.52 * thorax.half_width,
            4.2,
            0.36 * thorax.half_width,
            5.0,
            thorax.breast / 2,
        )
        for side in (-1, 1)
    )
    return Paths(
        soft=np.maximum(inner - lung - air, 0) + 0.5 * breast,
        fat=body - inner + 0.5 * breast,
        lung=lung,
        bone=thorax.bone
        * (ribs(thorax, grid) + spine(thorax, grid) + clavicles(thorax, grid))
        * (inner > 0),
    )


def _lungs(thorax: Thorax, grid: Grid, pose: Pose) -> np.ndarray:
    """Centimetres of lung along each ray, without heart and mediastinum, (rows, columns)."""
    heart = heart_chord(thorax, grid, pose)
    middle = 2.2 + 0.9 * np.exp(
        -(((grid.y + 1.5) / 3.0) ** 2)
    )  # half width of the mediastinum; the hila widen it
    lung = np.zeros_like(grid.x)
    for side, dome in zip((-1, 1), thorax.diaphragm, strict=True):
        across = side * grid.x
        rise = np.clip((grid.y - thorax.lung_top) / (9.0 - thorax.lung_top), 0, 1)
        half = (
            thorax.lung_width
            * (0.12 + 0.62 * np.sqrt(np.sqrt(rise)) + 0.31 * rise**0.7)
            * (rise > 0)
        )
        centre = (1.6 + thorax.lung_width) - (thorax.lung_width - half) * 0.65
        span = np.clip(1 - ((across - centre) / np.maximum(half, 1e-3)) ** 2, 0, 1)
        apex = np.sqrt(np.clip(1 - (1 - np.minimum(rise * 3.2, 1)) ** 2, 0, 1))
        chord = 2 * thorax.lung_depth * span**0.4 * apex
        below = grid.y - _dome_height(thorax, side, dome, grid, pose)
        chord = chord * (0.06 * step(3.2 - below, 0.7) + 0.94 * step(-below, 0.35))
        lung = lung + chord * step(across - middle, 0.3)
    return np.maximum(lung - heart, LEAST_LUNG * lung)


def _dome_height(thorax: Thorax, side: int, dome: float, grid: Grid, pose: Pose) -> np.ndarray:
    """The y of one half of the diaphragm above each x, (rows, columns).

    It falls towards the ribs (the costophrenic angle).
    """
    away = (side * grid.x - (1.0 + 0.85 * thorax.lung_width)) / thorax.lung_width
    return (
        dome + pose.inspiration + 2.6 * np.clip(away, -1, None) ** 2 * np.where(away > 0, 1.1, 0.45)
    )


def heart_chord(thorax: Thorax, grid: Grid, pose: Pose, enlarged: float = 1.0) -> np.ndarray:
    """Centimetres of heart along each ray. `enlarged`: its size relative to a healthy one."""
    scale = pose.magnification * enlarged
    floor = 0.5 * sum(thorax.diaphragm) + pose.inspiration
    centre_y = floor - 0.62 * thorax.heart_height * scale + 0.4
    centre_x = thorax.heart_x + 0.18 * thorax.heart_width * (
        scale - 1
    )  # a large heart grows to the patient's left
    tilt = 0.45
    across, down = grid.x - centre_x, grid.y - centre_y
    along = across * np.cos(tilt) + down * np.sin(tilt)
    over = -across * np.sin(tilt) + down * np.cos(tilt)
    return half_sphere(
        (along / (thorax.heart_width * scale)) ** 2
        + (over / (0.82 * thorax.heart_height * scale)) ** 2
    ) * (2 * thorax.heart_depth * scale)


def _body(thorax: Thorax, grid: Grid, inside: float = 0.0) -> np.ndarray:
    """The torso's chord, or that of what lies `inside` cm under its skin.

    It narrows to the neck and widens to the shoulders.
    """
    neck = step(-grid.y - 15.5, 0.7)
    shoulder = np.exp(-(((grid.y + 12.0) / 3.0) ** 2))
    half = (thorax.half_width + 4.5 * shoulder) * (1 - neck) + 5.5 * neck - inside
    depth = thorax.half_depth * (1 - 0.25 * shoulder) * (1 - neck) + 5.5 * neck - inside
    return 2 * depth * np.clip(1 - np.abs(grid.x / half) ** 2.6, 0, 1) ** 0.5


def _knob(thorax: Thorax, grid: Grid) -> np.ndarray:
    """The aortic arch beside the spine and the aorta that descends from it."""
    arch = ellipsoid(grid, 2.3, -5.6, thorax.aorta + 0.5, thorax.aorta + 0.5, 2.5)
    return arch + 0.8 * tube(grid.x - 2.2, thorax.aorta) * step(grid.y + 5.0, 0.5)


def _stomach(thorax: Thorax, grid: Grid, pose: Pose) -> np.ndarray:
    return ellipsoid(grid, 5.0, thorax.diaphragm[1] + pose.inspiration + 2.1, 2.6, 1.0, 2.2)


def _vessel_chords(thorax: Thorax, grid: Grid) -> np.ndarray:
    """Centimetres of blood in the vessels along each ray.

    Only the pixels around each piece are visited.
    """
    chords = np.zeros_like(grid.x)
    for vessel in thorax.vessels:
        dx, dy = vessel.x1 - vessel.x0, vessel.y1 - vessel.y0
        length = math.hypot(dx, dy)
        near = grid.around(
            (vessel.x0 + vessel.x1) / 2, (vessel.y0 + vessel.y1) / 2, length / 2 + vessel.radius
        )
        x, y = grid.x[near] - vessel.x0, grid.y[near] - vessel.y0
        along = np.minimum(np.maximum((x * dx + y * dy) / length**2, 0), 1)
        distance = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
        chords[near] = np.maximum(chords[near], tube(distance, vessel.radius))
    return chords
