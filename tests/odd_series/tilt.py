"""Slices stacked aslant, as a tilted gantry leaves them, with what lies under them known everywhere."""

from pathlib import Path

import numpy as np
from pydicom.uid import CTImageStorage

from tests.odd_series.case import Right, odd
from tests.odd_series.made import anatomy, at, header, save, with_pixels

SLICES, ROWS, COLUMNS = 6, 24, 20
STEP = 3.0  # mm between slices, along their normal


def body(row: np.ndarray, column: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Values at places in pixels and mm: even slopes, which linear interpolation keeps."""
    return 40.0 * row + 8.0 * column + 16.0 * height


def slices(
    folder: Path, places: list[tuple[float, float]], keep: tuple[int, ...] = (), **elements: object
) -> None:
    """A series of CT whose slices lie so many rows and columns aside of the first one. `keep`: which; by default all."""
    row, column = np.mgrid[:ROWS, :COLUMNS]
    for number, (down, across) in enumerate(places):
        if not keep or number in keep:
            plane = np.rint(body(row + down, column + across, np.array(STEP * number)))
            data = header(
                CTImageStorage,
                "CT",
                number + 1,
                RescaleSlope=1,
                RescaleIntercept=-1024,
                RescaleType="HU",
                **elements,
            )
            save(
                at(
                    with_pixels(data, plane.astype(np.int16)),
                    0.6 * across,
                    0.8 * down,
                    STEP * number,
                ),
                folder / f"{number}.dcm",
            )


def right_of(places: list[tuple[float, float]]) -> np.ndarray:
    """On the straight grid that holds all slices: the body where there is a slice, else what is darkest."""
    downs, acrosses = np.array(places).T
    top, left = int(np.floor(min(0, downs.min()))), int(np.floor(min(0, acrosses.min())))
    rows, columns = (
        ROWS + int(np.ceil(np.abs(downs).max())),
        COLUMNS + int(np.ceil(np.abs(acrosses).max())),
    )
    height, row, column = np.mgrid[:SLICES, top : top + rows, left : left + columns].astype(float)
    down, across = downs[:, None, None], acrosses[:, None, None]
    there = (
        (row >= down)
        & (row <= down + ROWS - 1)
        & (column >= across)
        & (column <= across + COLUMNS - 1)
    )
    values = body(row, column, STEP * height) - 1024
    return np.where(there, values, values[there].min())


@odd
def a_tilt_of_a_quarter_pixel(folder: Path) -> Right:
    """A gantry tilted by 3.8 degrees, the patient's front going up: each slice lies a quarter of a row further back. Sheared back, each voxel is
    what lies at its place. PS3.3 C.8.2.1 (Gantry/Detector Tilt); rordenlab/dcm2niix, nii_saveNII3Dtilt."""
    places = [(0.25 * number, 0.0) for number in range(SLICES)]
    slices(folder, places, GantryDetectorTilt=3.8)
    return Right(
        volumes=(right_of(places),), flags=frozenset({"straightened", "padding"}), straightened=True
    )


@odd
def a_tilt_the_other_way_and_askew(folder: Path) -> Right:
    """Forwards by two rows a slice and aside by half a column: 28 degrees, as steep as scanners go."""
    places = [(-2.0 * number, 0.5 * number) for number in range(SLICES)]
    slices(folder, places)
    return Right(volumes=(right_of(places),), flags=frozenset({"straightened"}), straightened=True)


@odd
def a_tilt_is_refused_unless_asked(folder: Path) -> Right:
    """The same, where nobody asked for interpolation: refused, and the reason names the setting."""
    slices(folder, [(0.5 * number, 0.0) for number in range(SLICES)])
    return Right(rejects={"gantry_tilt": SLICES})


@odd
def a_tilted_stack_with_a_gap(folder: Path) -> Right:
    """Shearing mends no gap, so the gap is the reason, asked or not."""
    slices(folder, [(0.5 * number, 0.0) for number in range(SLICES)], keep=(0, 1, 2, 4, 5))
    return Right(rejects={"missing_slice": SLICES - 1}, straightened=True)


@odd
def a_table_that_moved_aside(folder: Path) -> Right:
    """The upper half lies three rows back: no tilt leaves that, so no shear may mend it."""
    slices(folder, [(3.0 * (number > 2), 0.0) for number in range(SLICES)])
    return Right(rejects={"variable_spacing": SLICES}, straightened=True)


@odd
def a_straight_stack_stays_as_it_is(folder: Path) -> Right:
    """The sound neighbour: slices that lie aside by a rounding error are not resampled, whatever was asked."""
    for number, plane in enumerate(anatomy()):
        data = header(
            CTImageStorage,
            "CT",
            number + 1,
            RescaleSlope=1,
            RescaleIntercept=-1024,
            RescaleType="HU",
        )
        save(
            at(with_pixels(data, plane), 0.001 * number, 0.002 * (number % 2), STEP * number),
            folder / f"{number}.dcm",
        )
    return Right(volumes=(anatomy() - 1024.0,), straightened=True)
