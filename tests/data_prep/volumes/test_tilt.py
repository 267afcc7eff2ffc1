"""Tilted stacks sheared back: as SimpleITK resamples them, nothing cut off, padding kept out, and the record says so."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from data_prep import convert as stage
from data_prep.rejects import Rejected
from data_prep.store.records import read_studies
from data_prep.volumes.tilt import degrees, leans, straight, straight_shape, straighten
from tests.data_prep.made_dicom import volume, write
from tests.data_prep.test_convert import workspace

SHEARED = np.array([[-0.5, 0, 0.1, 7], [0, -0.7, 0.9, 5], [0, 0, 2.0, 3], [0, 0, 0, 1]])


def noise() -> np.ndarray:
    """(slices, rows, columns)."""
    return np.random.default_rng(5).normal(size=(5, 12, 9)).astype(np.float32)


def by_simpleitk(
    values: np.ndarray, affine: np.ndarray, onto: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """NaN where there is none of `values`. Both affines: (column, row, slice) -> mm."""
    to_old = np.linalg.inv(affine) @ onto
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(to_old[:3, :3].ravel().tolist())
    transform.SetTranslation(to_old[:3, 3].tolist())
    image = sitk.GetImageFromArray(values)
    return sitk.GetArrayFromImage(
        sitk.Resample(
            image,
            shape,
            transform,
            sitk.sitkLinear,
            (0, 0, 0),
            (1, 1, 1),
            np.eye(3).ravel().tolist(),
            np.nan,
        )
    )


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_the_straight_grid_is_as_simpleitk_resamples_it(signs: tuple[int, int]) -> None:
    sheared = SHEARED.copy()
    sheared[:2, 2] *= signs
    upright, lean = straight(sheared, 5)
    shape = straight_shape((9, 12, 5), lean)
    values, there = straighten(noise(), None, lean)
    expected = by_simpleitk(noise(), sheared, upright, shape)
    assert values.shape == shape[::-1] and np.allclose(upright[:3, 2] @ upright[:3, :2], 0)
    inside = there & ~np.isnan(expected)  # SimpleITK also counts the outer half of an edge pixel
    assert np.array_equal(inside, there) and np.allclose(values[there], expected[there], atol=1e-5)
    assert degrees(upright, lean) == pytest.approx(np.degrees(np.arctan(np.hypot(0.1, 0.9) / 2)))


def test_nothing_is_cut_off_and_each_slice_has_its_row_for_each_that_it_had() -> None:
    values, there = straighten(noise(), None, (0.0, 2.0))
    assert values.shape == (5, 20, 9)
    for number, plane in enumerate(noise()):
        assert (
            np.array_equal(values[number, 2 * number : 2 * number + 12], plane)
            and there[number].sum() == plane.size
        )


def test_padding_spreads_to_what_is_made_of_it() -> None:
    valid = np.ones((5, 12, 9), bool)
    valid[1, 6, 4] = False
    _, there = straighten(noise(), valid, (0.0, 0.5))
    _, all_of_it = straighten(noise(), None, (0.0, 0.5))
    assert np.argwhere(all_of_it & ~there).tolist() == [[1, 6, 4], [1, 7, 4]]


@pytest.mark.parametrize(
    ("aside", "expected"),
    [
        ([0, 0, 0, 0], False),
        ([0, 0.1, 0.2, 0.3], False),
        ([0, 1, 2, 3], True),
        ([0, -4, -8, -12], True),
    ],
)
def test_a_lean_is_a_line(aside: list[float], expected: bool) -> None:
    positions = np.array([(0, place, 5.0 * number) for number, place in enumerate(aside)])
    assert leans(positions, np.array([0, 0, 1.0]), pixel=1.0) == expected


@pytest.mark.parametrize(
    "aside", [[0, 1, 2, 9], [0, 3, 0, 3], [0, 6, 12, 18]], ids=["moved", "to and fro", "50 degrees"]
)
def test_what_no_gantry_leaves_is_crooked(aside: list[float]) -> None:
    positions = np.array([(0, place, 5.0 * number) for number, place in enumerate(aside)])
    with pytest.raises(Rejected, match="variable_spacing"):
        leans(positions, np.array([0, 0, 1.0]), pixel=1.0)


@pytest.mark.parametrize(("tilt", "records"), [("resample", 2), ("reject", 1)])
def test_a_record_says_by_how_much_it_was_sheared_back(
    tmp_path: Path, tilt: str, records: int
) -> None:
    made = workspace(
        tmp_path,
        "{file: labels.csv, match: SeriesInstanceUID, class: view}",
        size="[8, 8, 8]",
        extra="max_rejected: 1",
    )
    params = made.params_file.read_text()
    made.params_file.write_text(params.replace("size: [8, 8, 8]", f"size: [8, 8, 8], tilt: {tilt}"))
    assert f"tilt: {tilt}" in made.params_file.read_text()
    for series, lean in (("1.2.10", 0.0), ("1.2.11", 0.5)):
        for place, data in enumerate(volume(6, series)):
            data.ImagePositionPatient[1] += lean * place
            write(data, made.incoming("site") / f"{series}.{place}")
    (made.incoming("site") / "labels.csv").write_text(
        "SeriesInstanceUID,view\n1.2.10,AP\n1.2.11,PA\n"
    )
    stage.convert(made, "site")
    told = read_studies(made.studies("site")).records.set_index("label")["tilt"]
    assert len(told) == records and told.isna().sum() == 1
    assert tilt == "reject" or told["PA"] == pytest.approx(np.degrees(np.arctan(0.25)), abs=0.01)
