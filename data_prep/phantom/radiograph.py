"""From path lengths to stored pixel values: Beer-Lambert's law, scatter, blur, quantum noise,
display contrast, quantisation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from data_prep.phantom.anatomy import Thorax
from data_prep.phantom.chest_findings import ADDED_PER_CM, Replaced
from data_prep.phantom.rays import Grid, Pose
from data_prep.phantom.thorax import project
from data_prep.phantom.vendors import RadiographyUnit

HEART_TO_DETECTOR = {
    "PA": 7.0,
    "AP": 15.0,
}  # cm; the heart lies in front, so a beam from the front magnifies it more
# mm, standard deviation; scatter as a wide blur of the primary: Boone and Seibert, Med Phys 15
# (1988)
SCATTER_WIDTH = 60.0
MASK_WIDTH = 8.0  # mm, standard deviation of the unsharp mask
QUANTA_DECIMALS = 3  # the last bits of two machines' arithmetic differ, and must not reach the dice
DISPLAYED = (0.6, 4.6)  # attenuation at the curve's ends
LEAST_COUNT = 0.5  # quanta, so that the logarithm exists
SHALLOW = 1.2  # cm: a patient who cannot stand breathes in less

CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # display contrast, 0 to 1
    "linear": lambda x: x,
    "sigmoid": lambda x: (
        0.5 + 0.5 * np.clip(np.tanh(4.5 * (x - 0.45)) / np.tanh(4.5 * 0.55), -1, 1)
    ),  # as film had it
    "shoulder": lambda x: x**0.65,
}


@dataclass(frozen=True)
class Exposure:
    """What differs between two images of one patient on one unit."""

    grid: Grid
    pose: Pose
    dose: float  # relative to the unit's own
    heel_angle: float  # radians
    window_shift: float  # attenuation: the processing's guess of where the lungs lie
    window_scale: float  # relative width


def draw_exposure(rng: np.random.Generator, unit: RadiographyUnit) -> Exposure:
    """Positioning, breath, dose and processing of one image."""
    return Exposure(
        grid=Grid(
            unit.rows,
            unit.columns,
            pitch=unit.pitch / 10 * rng.uniform(0.94, 1.04),
            x_middle=rng.normal(0, 0.8),
            y_middle=rng.normal(-1, 1),
            angle=rng.normal(0, np.radians(2.5)),
        ),
        pose=Pose(
            inspiration=rng.normal(0, 0.7) - (SHALLOW if unit.view == "AP" else 0.0),
            magnification=unit.source_distance
            / (unit.source_distance - HEART_TO_DETECTOR[unit.view]),
        ),
        dose=float(np.exp(rng.normal(0, 0.25))),
        heel_angle=rng.normal(np.pi / 2, 0.4),
        window_shift=rng.normal(0, 0.12),
        window_scale=float(np.exp(rng.normal(0, 0.08))),
    )


def radiograph(
    rng: np.random.Generator,
    unit: RadiographyUnit,
    thorax: Thorax,
    finding: Replaced,
    exposure: Exposure,
) -> np.ndarray:
    """Stored values of one image, (rows, columns), uint8 or uint16 as the unit stores them."""
    attenuation = attenuation_of(thorax, finding, exposure)
    expected = expected_quanta(unit, attenuation, exposure)
    return stored_values(
        unit, measured_attenuation(unit, detect(rng, unit, expected), exposure), exposure
    )


def attenuation_of(thorax: Thorax, finding: Replaced, exposure: Exposure) -> np.ndarray:
    """Line integrals of attenuation with the finding in place, (rows, columns), without a unit."""
    paths = project(thorax, exposure.grid, exposure.pose)
    return paths.attenuation() + finding(exposure.grid, exposure.pose, paths.lung) * ADDED_PER_CM


def expected_quanta(
    unit: RadiographyUnit, attenuation: np.ndarray, exposure: Exposure
) -> np.ndarray:
    """Mean quanta in each pixel: the primary beam, blurred by the focal spot, and scatter, which
    spreads wide.
    """
    beam = unit.quanta * exposure.dose * _heel(unit, exposure, attenuation.shape)
    primary = gaussian_filter(
        beam * np.exp(-attenuation), unit.focal_blur / unit.pitch, mode="nearest"
    )
    scatter = gaussian_filter(
        primary * (attenuation > 0), SCATTER_WIDTH / unit.pitch, mode="nearest", truncate=2.5
    )
    return np.round(primary + unit.scatter * scatter, QUANTA_DECIMALS)


def detect(rng: np.random.Generator, unit: RadiographyUnit, expected: np.ndarray) -> np.ndarray:
    """Quanta that the detector counts: Poisson noise, which the detector's own blur then
    correlates.
    """
    return gaussian_filter(
        rng.poisson(expected).astype(float), unit.detector_blur / unit.pitch, mode="nearest"
    )


def measured_attenuation(
    unit: RadiographyUnit, counts: np.ndarray, exposure: Exposure
) -> np.ndarray:
    """The logarithm of the counts, sharpened: what the unit believes to be attenuation."""
    measured = -np.log(np.maximum(counts, LEAST_COUNT) / (unit.quanta * exposure.dose))
    return measured + unit.sharpening * (
        measured - gaussian_filter(measured, MASK_WIDTH / unit.pitch, mode="nearest")
    )


def stored_values(unit: RadiographyUnit, measured: np.ndarray, exposure: Exposure) -> np.ndarray:
    """Display contrast and quantisation.

    MONOCHROME1 stores dense tissue as low values, MONOCHROME2 as high ones.
    """
    low, high = DISPLAYED
    shown = np.clip(
        (measured - low - exposure.window_shift) / ((high - low) * exposure.window_scale), 0, 1
    )
    bright = CURVES[unit.curve](shown)
    if unit.photometric == "MONOCHROME1":
        bright = 1 - bright
    return np.rint(bright * (2**unit.bits_stored - 1)).astype(
        np.uint8 if unit.bits_allocated == 8 else np.uint16
    )


def _heel(unit: RadiographyUnit, exposure: Exposure, shape: tuple[int, int]) -> np.ndarray:
    """The beam's profile: weaker towards the anode, 1 in the middle."""
    down, across = (np.linspace(-0.5, 0.5, size) for size in shape)
    return 1 - unit.heel * (
        np.cos(exposure.heel_angle) * across[None, :] + np.sin(exposure.heel_angle) * down[:, None]
    )
