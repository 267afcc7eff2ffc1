"""Volumes at a common spacing: what is so many millimetres long in the patient is so many millimetres long in the result."""

import math
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset

from data_prep import convert as stage
from data_prep.rejects import Rejected
from data_prep.store.records import read_studies
from data_prep.volumes.resample import spaced, stretched
from tests.data_prep.made_dicom import grey, write
from workspace.errors import Refusal
from workspace.paths import Workspace

HALF = np.array([20.0, 14.0, 26.0])  # mm, of an ellipsoid along left, back and head
WANTED, SIZE = (
    np.array([2.0, 1.0, 1.5]),
    [36, 40, 40],
)  # of slices, rows, columns: each axis has its own
AXIAL = np.eye(3)  # columns: the directions of a step to the next column, row and slice, in LPS
SAGITTAL = np.array([[0, 0, 1.0], [1, 0, 0], [0, -1, 0]])
CORONAL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
TURN = math.radians(25)
OBLIQUE = np.array(
    [[math.cos(TURN), -math.sin(TURN), 0], [math.sin(TURN), math.cos(TURN), 0], [0, 0, 1]]
) @ np.array([[1, 0, 0], [0, math.cos(TURN), -math.sin(TURN)], [0, math.sin(TURN), math.cos(TURN)]])
NATIVE = np.array([0.8, 1.2, 2.5])  # mm, of columns, rows and slices
PARTS = 3  # of a voxel along each axis


def ellipsoid(directions: np.ndarray, axes: np.ndarray = AXIAL) -> tuple[np.ndarray, np.ndarray]:
    """1000 times the share of each voxel that lies in an ellipsoid along `axes`, (columns, rows, slices) along `directions`;
    and its affine in LPS."""
    reach = np.abs(directions.T @ axes) @ (HALF + 5)
    counts = np.ceil(2 * reach / NATIVE).astype(int)
    steps = directions * NATIVE
    origin = -steps @ ((counts - 1) / 2)
    fine = np.moveaxis(np.indices(counts * PARTS), 0, -1) / PARTS + (1 / PARTS - 1) / 2
    inside = ((((fine @ steps.T + origin) @ axes / HALF) ** 2).sum(-1) < 1).reshape(
        [size for count in counts for size in (count, PARTS)]
    )
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, origin
    return np.rint(1000 * inside.mean((1, 3, 5))).astype(np.uint16), affine


def series(values: np.ndarray, affine: np.ndarray) -> list[Dataset]:
    cosines = [float(f"{cosine:.10g}") for cosine in (affine[:3, :2] / NATIVE[:2]).T.ravel()]
    return [
        grey(
            values[..., place].T,
            SeriesInstanceUID="1.2.10",
            SOPInstanceUID=f"1.2.10.{place + 1}",
            InstanceNumber=1,
            PixelSpacing=[NATIVE[1], NATIVE[0]],
            ImageOrientationPatient=cosines,
            ImagePositionPatient=[float(f"{mm:.10g}") for mm in affine[:3] @ [0, 0, place, 1]],
        )
        for place in range(values.shape[2])
    ]


def converted(
    root: Path, convert: str = f"size: {SIZE}, spacing: {WANTED.tolist()}", extra: str = ""
) -> np.ndarray:
    """Grey levels from 0 to 1 of the one record of root/incoming/site."""
    export = root / "incoming" / "site"
    (root / "sites").mkdir()
    match, value = (
        ("file", "x.nii") if (export / "x.nii").exists() else ("SeriesInstanceUID", "1.2.10")
    )
    (export / "labels.csv").write_text(f"{match},view\n{value},AP\n")
    (root / "sites" / "site.yaml").write_text(
        f"root: x\ntask: view\nlabels: {{file: labels.csv, match: {match}, class: view}}\n"
        f"classes: {{AP: [AP], PA: [PA]}}\nmax_rejected: 0.9\n{extra}\n"
    )
    (root / "params.yaml").write_text(
        f"sites: {{site: source}}\nconvert: {{{convert}, workers: 1}}\ntrain: {{learners: [prototypical]}}\n"
        "adapt: {methods: [prototypical]}\nreport: {method: prototypical}\n"
    )
    stage.convert(Workspace(root), "site")
    return read_studies(Workspace(root).studies("site")).pixels[0, 0] / 255.0


def extents(volume: np.ndarray) -> np.ndarray:
    """mm along left, back and head through the middle. Blurred edges add as much outside as they take inside."""
    middle = [side // 2 for side in volume.shape]
    lines = [
        volume[:, middle[1], middle[2]],
        volume[middle[0], :, middle[2]],
        volume[middle[0], middle[1], :],
    ]
    return (np.array([line.sum() for line in lines]) * WANTED)[::-1]


def is_the_ellipsoid(volume: np.ndarray) -> bool:
    assert extents(volume) == pytest.approx(
        2 * HALF, abs=0.9
    )  # mm: a part of a slice; other axes or spacings are 12 mm off, and more
    return volume.sum() * WANTED.prod() == pytest.approx(4 / 3 * math.pi * HALF.prod(), rel=0.01)


@pytest.mark.parametrize(
    "directions",
    [AXIAL, SAGITTAL, CORONAL, -AXIAL],
    ids=["axial", "sagittal", "coronal", "backwards"],
)
def test_a_dicom_series_keeps_its_millimetres_on_every_axis(
    tmp_path: Path, directions: np.ndarray
) -> None:
    if np.linalg.det(directions) < 0:
        directions = directions @ np.diag(
            [1, 1, -1]
        )  # slices follow the normal of rows and columns
    for place, data in enumerate(series(*ellipsoid(directions))):
        write(data, tmp_path / "incoming" / "site" / str(place))
    assert is_the_ellipsoid(converted(tmp_path))


def test_an_oblique_series_keeps_its_millimetres_along_its_own_axes(tmp_path: Path) -> None:
    for place, data in enumerate(series(*ellipsoid(OBLIQUE, OBLIQUE))):
        write(data, tmp_path / "incoming" / "site" / str(place))
    assert is_the_ellipsoid(converted(tmp_path))


@pytest.mark.parametrize(
    ("directions", "unit"), [(AXIAL, "mm"), (SAGITTAL, "meter"), (OBLIQUE, "mm")]
)
def test_a_nifti_keeps_its_millimetres_in_whatever_unit_it_states_them(
    tmp_path: Path, directions: np.ndarray, unit: str
) -> None:
    values, affine = ellipsoid(directions, OBLIQUE if directions is OBLIQUE else AXIAL)
    affine = np.diag([-1.0, -1, 1, 1]) @ affine
    affine[:3] /= 1000 if unit == "meter" else 1
    image = nibabel.Nifti1Image(values.astype(np.int16), affine)
    image.header.set_xyzt_units(unit)
    (tmp_path / "incoming" / "site").mkdir(parents=True)
    nibabel.save(image, tmp_path / "incoming" / "site" / "x.nii")
    assert is_the_ellipsoid(converted(tmp_path))


def test_what_lies_on_the_left_at_the_back_and_above_stays_there(tmp_path: Path) -> None:
    values, affine = ellipsoid(SAGITTAL)
    centre = np.linalg.inv(affine) @ [12, 6, 14, 1]
    values[
        tuple(np.rint(centre[:3]).astype(int)[:, None, None, None] + np.mgrid[-2:3, -2:3, -2:3])
    ] = 3000
    for place, data in enumerate(series(values, affine)):
        write(data, tmp_path / "incoming" / "site" / str(place))
    volume = converted(
        tmp_path,
        f"size: {SIZE}, spacing: {WANTED.tolist()}, intensity: {{default: {{percentiles: [0, 100]}}}}",
    )
    bright = np.argwhere(volume > 0.5).mean(0)
    assert (bright - (np.array(SIZE) - 1) / 2) * WANTED == pytest.approx(
        [14, 6, 12], abs=1.5
    )  # half a slice is 1.25


def ball(shape: tuple[int, int, int] = (9, 12, 10)) -> np.ndarray:
    return np.random.default_rng(0).uniform(1, 255, shape).astype(np.float32)


def test_a_volume_of_the_wanted_spacing_is_cropped_or_filled_up_about_its_centre_and_not_interpolated() -> (
    None
):
    volume, step = ball(), (2.0, 0.7, 0.5)
    assert np.array_equal(spaced(volume, volume.shape, step, step, 0), volume)
    assert np.allclose(spaced(volume, (5, 8, 8), step, step, 0), volume[2:7, 2:10, 1:9], atol=1e-4)
    filled = spaced(volume, (11, 16, 20), step, step, 0)
    assert np.allclose(filled, np.pad(volume, [(1, 1), (2, 2), (5, 5)]), atol=1e-4)
    mixed = spaced(volume, (5, 16, 10), step, step, 0)
    assert np.allclose(mixed, np.pad(volume[2:7], [(0, 0), (2, 2), (0, 0)]), atol=1e-4)


def test_outside_the_volume_all_is_of_one_value_and_up_to_its_edge_nothing_is() -> None:
    result = spaced(
        np.full((6, 8, 8), 200, np.float32), (40, 64, 64), (5.0, 2.0, 2.0), (1.0, 0.5, 0.5), 7
    )
    assert np.array_equal(np.unique(result), [7, 200])
    assert [np.ptp(places) + 1 for places in np.nonzero(result > 7)] == [
        30,
        32,
        32,
    ]  # all of its 30 x 16 x 16 mm


def test_a_voxel_belongs_to_the_volume_if_its_centre_does_and_one_edge_never_shows_in_the_other() -> (
    None
):
    volume = np.broadcast_to(
        np.array([10.0, 50, 50, 50, 50, 250])[:, None, None], (6, 8, 8)
    ).astype(np.float32)
    result = spaced(volume, (10, 8, 8), (1.0, 1, 1), (0.8, 1, 1), 0)[
        :, 4, 4
    ]  # 6 mm are 7.5 voxels: 8 centres lie inside
    assert (
        result[:2].tolist() == [0, 10]
        and result[-2:].tolist() == [250, 0]
        and (result[1:-1] > 0).all()
    )


def test_a_ramp_has_its_value_at_every_millimetre() -> None:
    heights = (np.arange(20) - 9.5) * 3.0  # mm from the centre
    volume = np.broadcast_to(100 + heights[:, None, None], (20, 8, 8)).astype(np.float32)
    result = spaced(volume, (32, 8, 8), (3.0, 1.0, 1.0), (1.25, 1.0, 1.0), 0)
    assert result[:, 4, 4] == pytest.approx(100 + (np.arange(32) - 15.5) * 1.25, abs=1e-3)


def test_stretching_is_the_spacing_at_which_the_volume_fills_the_size() -> None:
    volume = ball((9, 30, 20))
    assert np.array_equal(
        stretched(volume, (8, 8, 8)), spaced(volume, (8, 8, 8), (8.0, 8, 8), (9.0, 30, 20), 0)
    )


def test_shrinking_averages_what_a_voxel_covers() -> None:
    board = (np.indices((32, 32, 32)).sum(0) % 2 * 255).astype(np.float32)
    assert (
        np.abs(
            spaced(board, (8, 8, 8), (1.0, 1, 1), (3.0, 3, 3), 0)[1:-1, 1:-1, 1:-1] - 127.5
        ).max()
        < 10
    )


def test_a_volume_without_a_spacing_or_thinner_than_a_voxel_is_rejected() -> None:
    with pytest.raises(Rejected, match="unknown_spacing"):
        spaced(ball(), (8, 8, 8), None, (1.0, 1, 1), 0)
    with pytest.raises(Rejected, match="unknown_spacing") as caught:
        spaced(ball(), (8, 8, 8), (2e-3, 7e-4, 5e-4), (1.0, 1, 1), 0)
    assert caught.value.found == "a volume thinner than one voxel of convert.spacing"


@pytest.mark.parametrize(
    ("convert", "reason"),
    [
        ("size: [8, 8, 8], spacing: [100, 1, 1]", "unknown_spacing"),
        ("size: [8, 8, 8], spacing: [2, 2, 2]", "constant_image"),
        ("size: [8, 8, 8], intensity: {MR: {window: [5000, 6000]}}", "constant_image"),
    ],
    ids=["too thin", "the middle is all there is", "outside the window"],
)
def test_a_record_that_the_settings_leave_nothing_of_is_rejected(
    tmp_path: Path, convert: str, reason: str
) -> None:
    for place, data in enumerate(series(*ellipsoid(AXIAL))):
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        write(data, tmp_path / "incoming" / "site" / str(place))
    with pytest.raises(Refusal, match=f"{reason} "):
        converted(tmp_path, convert)


def test_the_record_keeps_the_spacing_of_its_source(tmp_path: Path) -> None:
    for place, data in enumerate(series(*ellipsoid(SAGITTAL))):
        write(data, tmp_path / "incoming" / "site" / str(place))
    converted(tmp_path)
    records = pd.read_parquet(Workspace(tmp_path).studies("site") / "records.parquet")
    assert records["spacing"].tolist() == [
        "1.2x0.8x2.5"
    ]  # sagittal rows run to the feet, columns to the back
