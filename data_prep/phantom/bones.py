"""Ribs, spine and collar bones as a radiograph sees them.

Bones are compact outside and spongy inside.
"""

import numpy as np

from data_prep.phantom.anatomy import Thorax
from data_prep.phantom.rays import Grid, step, tube

RIBS = 10
RIB_STEP = 2.35  # cm from one rib to the next
RIB_RADIUS = 0.55  # cm
RIB_CORTEX = 0.09  # cm of compact bone around the spongy inside
SPONGY = 0.18  # share of compact bone inside a rib
VERTEBRA_STEP = 2.3  # cm


def ribs(thorax: Thorax, grid: Grid) -> np.ndarray:
    """Compact bone along each ray in the back and the front of ten pairs of ribs."""
    away = np.abs(grid.x)
    wall = thorax.half_width - thorax.fat - 0.6
    bone = np.zeros_like(away)
    for rib in range(RIBS):
        start = thorax.lung_top + 0.4 + rib * RIB_STEP
        edge = wall * (0.52 + 0.48 * np.sqrt(min((rib + 1) / 6, 1)))
        out = np.clip(away / edge, 0, 1)
        grazing = 1 / np.sqrt(
            np.clip(1 - out**2, 0.16, 1)
        )  # the ray runs along the rib where the chest wall turns
        back = start - 1.1 * np.sin(np.pi * np.clip(out, 0, 0.5)) + thorax.rib_slope * edge * out**2
        back += 2.2 * np.clip(out - 0.75, 0, 1)
        turn = start - 1.1 + thorax.rib_slope * edge + 0.55
        front = turn + (0.5 + 0.06 * rib) * (edge - away)
        inside = step(edge - away, 0.12)
        bone += _rib_chord(grid.y - back, 1.0) * grazing * inside * step(away - 1.6, 0.2)
        if rib < 7:
            bone += (
                0.75
                * _rib_chord((grid.y - front) / np.hypot(1, 0.5), 1.1)
                * inside
                * step(away - 0.42 * edge, 0.3)
            )
    return bone


def _rib_chord(distance: np.ndarray, scale: float) -> np.ndarray:
    radius = RIB_RADIUS * scale
    return tube(distance, radius) - (1 - SPONGY) * tube(distance, radius - RIB_CORTEX)


def spine(thorax: Thorax, grid: Grid) -> np.ndarray:
    """Compact bone along each ray in the vertebrae, with discs and pedicles."""
    axis = thorax.scoliosis * np.sin(grid.y / 6.0)
    body = np.clip(1 - np.abs((grid.x - axis) / 1.75) ** 4, 0, 1) ** 0.5
    disc = 0.72 + 0.28 * np.tanh(4 * (0.62 + np.cos(2 * np.pi * grid.y / VERTEBRA_STEP)))
    beside, along = np.abs(grid.x - axis) - 1.15, np.mod(grid.y, VERTEBRA_STEP) - VERTEBRA_STEP / 2
    pedicles = np.exp(-(beside**2 + along**2) / 0.12)
    return 1.25 * body * disc + 0.5 * pedicles


def clavicles(thorax: Thorax, grid: Grid) -> np.ndarray:
    """Compact bone along each ray in the collar bones."""
    away = np.abs(grid.x)
    height = thorax.lung_top + 2.6 - 0.11 * away + 0.35 * np.sin(away / 2.4)
    chord = tube(grid.y - height, 0.7) - (1 - SPONGY) * tube(grid.y - height, 0.55)
    return chord * step(away - 1.8, 0.2) * step(thorax.half_width - 0.5 - away, 0.4)
