"""One patient's chest as numbers: sizes, positions and vessels, drawn once a patient, given age and
sex.

Sizes follow textbook adult anatomy (chest 27 to 38 cm wide and 18 to 26 cm deep, cardiothoracic
ratio below 0.5).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Vessel:
    """A straight piece of a vessel from (x0, y0) to (x1, y1), `radius` cm thick."""

    x0: float
    y0: float
    x1: float
    y1: float
    radius: float


@dataclass(frozen=True)
class Thorax:
    """One patient's anatomy, in cm unless said otherwise."""

    half_width: float  # of the body at the chest
    half_depth: float
    fat: float  # thickness under the skin
    lung_width: float  # half width of each lung
    lung_depth: float  # half depth
    lung_top: float  # y
    diaphragm: tuple[float, float]  # y of the right and the left dome
    heart_width: float  # half width
    heart_height: float  # half height
    heart_depth: float  # half depth
    heart_x: float
    aorta: float  # radius of the knob
    bone: float  # mineral, relative to a young adult
    breast: float  # depth; 0 for men
    rib_slope: float  # cm down per cm outwards
    scoliosis: float  # sideways amplitude of the spine
    vessels: tuple[Vessel, ...]


def draw_thorax(rng: np.random.Generator, age: int, sex: str) -> Thorax:
    """A patient's anatomy, given age and sex: women are narrower, bones thin and the aorta widens
    with age.
    """
    woman = sex == "F"
    size = rng.normal(0.93 if woman else 1.0, 0.05)
    build = rng.normal(0, 1)
    lung_width = 5.6 * size * rng.normal(1, 0.05)
    width = rng.normal(6.0, 0.4) * size
    return Thorax(
        half_width=15.3 * size + 0.8 * max(build, -1.5),
        half_depth=10.3 * size + 0.8 * build,
        fat=max(0.6, 1.6 + 0.8 * build),
        lung_width=lung_width,
        lung_depth=rng.normal(7.6, 0.4) * size,
        lung_top=-13.2 * size + rng.normal(0, 0.6),
        diaphragm=(6.6 * size + rng.normal(0, 0.7), 7.8 * size + rng.normal(0, 0.7)),
        heart_width=width,
        heart_height=width * rng.normal(0.98, 0.05),
        heart_depth=width * rng.normal(0.72, 0.04),
        heart_x=rng.normal(1.3, 0.35),
        aorta=rng.normal(1.2, 0.15) + 0.012 * max(age - 40, 0),
        bone=(1.0 - 0.006 * max(age - 45, 0)) * rng.normal(1, 0.07) * (0.93 if woman else 1.0),
        breast=max(0.0, rng.normal(2.2, 0.8)) if woman else 0.0,
        rib_slope=rng.normal(0.20, 0.05),
        scoliosis=rng.normal(0, 0.25),
        vessels=_vessels(rng, size),
    )


def _vessels(rng: np.random.Generator, size: float) -> tuple[Vessel, ...]:
    """Pulmonary vessels: trees that fork from each hilum, thinner with each generation."""
    pieces = []
    for side in (-1, 1):
        for angle in np.linspace(-1.25, 1.35, 6):
            stack = [(side * 3.1 * size, -1.6, angle + rng.normal(0, 0.12), 0.46 * size, 0)]
            while stack:
                x, y, heading, radius, generation = stack.pop()
                length = rng.uniform(1.6, 2.8) * size * 0.9**generation
                end_x, end_y = x + side * length * np.cos(heading), y + length * np.sin(heading)
                pieces.append(Vessel(x, y, end_x, end_y, radius))
                if generation < 3:
                    for turn in (-1, 1):
                        bend = turn * rng.uniform(0.15, 0.55)
                        stack.append(
                            (
                                end_x,
                                end_y,
                                heading + bend,
                                radius * rng.uniform(0.62, 0.78),
                                generation + 1,
                            )
                        )
    return tuple(pieces)
