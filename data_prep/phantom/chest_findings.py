"""Findings on a chest radiograph, as centimetres of lung that soft tissue or fluid has replaced
along each ray.

A finding is drawn once a patient and projected again for each of the patient's images, so it stays
where it is in the body.
"""

from collections.abc import Callable

import numpy as np

from data_prep.phantom.anatomy import Thorax
from data_prep.phantom.rays import Grid, Pose, step
from data_prep.phantom.thorax import LUNG, SOFT_TISSUE, heart_chord

FINDINGS = ("normal", "nodule", "effusion", "consolidation", "cardiomegaly")
Replaced = Callable[
    [Grid, Pose, np.ndarray], np.ndarray
]  # grid, pose, lung in cm -> lung replaced in cm, (rows, columns)

NODULE_RADIUS = (
    0.8,
    1.4,
)  # cm; a nodule is at most 3 cm across (Fleischner Society glossary, 2008)
EFFUSION_HEIGHT = (0.3, 3.2)  # cm of fluid above a point in the costophrenic angle
CONSOLIDATION_FILL = (0.25, 0.55)  # share of the lung's depth
CONSOLIDATION_SIZE = (1.6, 2.8)  # cm, standard deviation
HEART_ENLARGED = (1.08, 1.32)  # relative to a healthy heart
MOST_REPLACED = 0.95  # share of the lung along a ray
ADDED_PER_CM = SOFT_TISSUE - LUNG  # attenuation, for each cm of lung that is replaced


def draw_finding(rng: np.random.Generator, name: str, thorax: Thorax) -> Replaced:
    """Draw one patient's finding.

    The result gives the replaced lung, in cm, never more than there is along the ray.
    """
    replace = {
        "normal": _normal,
        "nodule": _nodule,
        "effusion": _effusion,
        "consolidation": _consolidation,
        "cardiomegaly": _cardiomegaly,
    }[name](rng, thorax)
    return lambda grid, pose, lung: np.clip(replace(grid, pose, lung), 0, MOST_REPLACED * lung)


def _normal(rng: np.random.Generator, thorax: Thorax) -> Replaced:
    return lambda grid, pose, lung: np.zeros_like(lung)


def _nodule(rng: np.random.Generator, thorax: Thorax) -> Replaced:
    side, radius = rng.choice((-1, 1)), rng.uniform(*NODULE_RADIUS)
    x = side * (1.6 + thorax.lung_width + rng.uniform(-0.25, 0.6) * thorax.lung_width)
    y = rng.uniform(thorax.lung_top + 4.0, thorax.diaphragm[0] - 2.5)

    def replace(grid: Grid, pose: Pose, lung: np.ndarray) -> np.ndarray:
        return 2 * np.sqrt(np.clip(radius**2 - (grid.x - x) ** 2 - (grid.y - y) ** 2, 0, None))

    return replace


def _effusion(rng: np.random.Generator, thorax: Thorax) -> Replaced:
    side, height = rng.choice((-1, 1)), rng.uniform(*EFFUSION_HEIGHT)
    dome = thorax.diaphragm[0 if side < 0 else 1]

    def replace(grid: Grid, pose: Pose, lung: np.ndarray) -> np.ndarray:
        out = np.clip((side * grid.x - 2.0) / (2 * thorax.lung_width), 0, 1.1)
        level = (
            dome + pose.inspiration + 2.0 - height * (0.35 + 1.0 * out**3)
        )  # the meniscus climbs the chest wall
        return lung * step(grid.y - level, 0.45) * (side * grid.x > 0)

    return replace


def _consolidation(rng: np.random.Generator, thorax: Thorax) -> Replaced:
    side, share = rng.choice((-1, 1)), rng.uniform(*CONSOLIDATION_FILL)
    size = rng.uniform(*CONSOLIDATION_SIZE)
    x = side * (1.6 + thorax.lung_width + rng.uniform(-0.3, 0.4) * thorax.lung_width)
    y = rng.uniform(thorax.lung_top + 5.0, thorax.diaphragm[0] - 1.5)
    patches = [
        (
            x + rng.normal(0, 0.7) * size,
            y + rng.normal(0, 0.7) * size,
            size * rng.uniform(0.4, 0.9),
            rng.uniform(0.5, 1.0),
        )
        for _ in range(7)
    ]

    def replace(grid: Grid, pose: Pose, lung: np.ndarray) -> np.ndarray:
        spared = np.ones_like(lung)
        for patch_x, patch_y, sigma, weight in patches:
            spared *= 1 - weight * np.exp(
                -((grid.x - patch_x) ** 2 + (grid.y - patch_y) ** 2) / (2 * sigma**2)
            )
        return share * lung * (1 - spared) * (side * grid.x > 0)

    return replace


def _cardiomegaly(rng: np.random.Generator, thorax: Thorax) -> Replaced:
    enlarged = rng.uniform(*HEART_ENLARGED)

    def replace(grid: Grid, pose: Pose, lung: np.ndarray) -> np.ndarray:
        return heart_chord(thorax, grid, pose, enlarged) - heart_chord(thorax, grid, pose)

    return replace
