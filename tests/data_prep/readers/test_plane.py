"""Single planes come out the same way up from every format that says how they lie."""

import itertools
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from data_prep import convert as stage
from data_prep.decode import Planned, read
from data_prep.exports.sources import Found
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile
from data_prep.readers.plane import as_stored, upright
from tests.data_prep.test_convert import workspace

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
AXIAL = np.diag([-0.6, -0.8, 2.0, 1.0])  # DICOM's: columns to the left, rows to the back


def picture() -> np.ndarray:
    """(rows, columns), alike in no two places."""
    return (np.arange(12 * 17).reshape(12, 17) % 211).astype(np.uint8)


def shown(path: Path) -> tuple[np.ndarray, ImageFile]:
    image = examine(Found(path.name, path, path.stat().st_size))
    pixels = read(Planned("record", (image,), {"modality": "OT"}), windowed=False)
    assert pixels.values.shape[: len(image.header.shape)] == image.header.shape
    return pixels.values, image


def save_nifti(
    path: Path, stored: np.ndarray, affine: np.ndarray, sform: int = 1, qform: int = 0
) -> Path:
    """`stored`: (columns, rows)."""
    image = nibabel.Nifti1Image(
        stored[..., None] if stored.dtype == RGB else stored[..., None].astype(np.int16), affine
    )
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("ending", ["mha", "mhd", "nrrd", "nii", "nii.gz"])
@pytest.mark.parametrize("flips", itertools.product([False, True], repeat=2))
@pytest.mark.parametrize("axes", [[0, 1], [1, 0]])
def test_a_picture_that_simpleitk_turned_comes_out_as_its_png(
    tmp_path: Path, ending: str, flips: tuple[bool, bool], axes: list[int]
) -> None:
    image = sitk.GetImageFromArray(picture())
    image.SetSpacing((0.6, 0.8))
    sitk.WriteImage(sitk.PermuteAxes(sitk.Flip(image, flips), axes), str(tmp_path / f"x.{ending}"))
    Image.fromarray(picture()).save(tmp_path / "x.png")
    if ending == "mhd":
        (tmp_path / "x.mhd").write_text((tmp_path / "x.mhd").read_text().replace("x.raw", "LOCAL"))
        (tmp_path / "x.mhd").write_bytes(
            (tmp_path / "x.mhd").read_bytes() + (tmp_path / "x.raw").read_bytes()
        )
    values, header = shown(tmp_path / f"x.{ending}")
    assert np.array_equal(values, shown(tmp_path / "x.png")[0])
    assert header.header.facts.spacing == pytest.approx((0.8, 0.6))


@pytest.mark.parametrize("ending", ["mha", "nrrd", "nii", "bmp", "png", "tif"])
def test_a_colour_picture_by_simpleitk_comes_out_the_same_from_each_format(
    tmp_path: Path, ending: str
) -> None:
    colours = np.stack([picture(), picture()[::-1], picture()[:, ::-1]], axis=-1)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / f"x.{ending}"))
    values, header = shown(tmp_path / f"x.{ending}")
    assert (
        np.array_equal(values, colours)
        and values.dtype == np.uint8
        and header.header.facts.photometric == "RGB"
    )


@pytest.mark.parametrize(
    "view",
    [("L", "P", "S"), ("L", "I", "P"), ("P", "I", "L")],
    ids=["axial", "coronal", "sagittal"],
)
@pytest.mark.parametrize("colour", [False, True])
def test_a_plane_is_shown_as_dicom_shows_it_however_it_is_stored(
    tmp_path: Path, view: tuple[str, ...], colour: bool
) -> None:
    stored = picture().T
    if colour:
        stored = np.ascontiguousarray(np.stack([stored, stored // 2, stored // 3], axis=-1)).view(
            RGB
        )[..., 0]
    directions = {"L": (-1, 0, 0), "P": (0, -1, 0), "I": (0, 0, -1), "S": (0, 0, 1)}
    affine = np.eye(4)
    affine[:3, :3] = np.array([directions[letter] for letter in view]).T * (1.0, 2.0, 3.0)
    right = nibabel.Nifti1Image(stored[..., None], affine)
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            turn = np.array([*zip(axes, signs, strict=True)])
            turned = right.as_reoriented(turn)
            if turned.shape[2] > 1:
                continue
            affine = turned.affine.copy()
            affine[:3, 3] += 5  # a place in a scanner
            path = save_nifti(tmp_path / "x.nii", np.asanyarray(turned.dataobj)[:, :, 0], affine)
            values, header = shown(path)
            assert np.array_equal(values[..., 0] if colour else values, picture())
            assert header.header.facts.spacing == pytest.approx((2.0, 1.0))


def test_a_slice_cut_out_of_a_volume_is_shown_as_in_the_volume(tmp_path: Path) -> None:
    volume = nibabel.Nifti1Image(
        np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4),
        np.array([[0.6, 0, 0, -50], [0, 0.8, 0, -70], [0, 0, 3.0, 9], [0, 0, 0, 1]]),
    )
    nibabel.save(volume, tmp_path / "volume.nii")
    nibabel.save(volume.slicer[:, :, 2:3], tmp_path / "plane.nii")
    assert np.array_equal(shown(tmp_path / "plane.nii")[0], shown(tmp_path / "volume.nii")[0][2])


@pytest.mark.parametrize(
    ("sform", "qform", "affine", "turned"),
    [
        (0, 0, AXIAL, True),
        (2, 0, np.diag([0.4, 0.4, 1.0, 1.0]), True),
        (2, 0, np.eye(4), True),
        (1, 1, AXIAL, False),
        (0, 1, AXIAL, False),
        (2, 0, AXIAL, False),
    ],
    ids=["no form", "voxel sizes alone", "identity", "both forms", "qform", "sform"],
)
def test_only_a_plane_without_an_affine_of_its_own_has_its_last_row_on_top(
    tmp_path: Path, sform: int, qform: int, affine: np.ndarray, turned: bool
) -> None:
    values, header = shown(save_nifti(tmp_path / "x.nii", picture().T, affine, sform, qform))
    assert np.array_equal(values, picture()[::-1] if turned else picture())
    assert (header.header.affine is None) == turned


def test_turning_back_gives_what_is_stored() -> None:
    stored = np.random.default_rng(3).integers(0, 255, (5, 4, 3), np.uint8)
    for affine in (
        AXIAL,
        AXIAL[:, [1, 0, 2, 3]],
        np.diag([1.0, -1, 1, 1]),
        AXIAL[[0, 2, 1, 3]],
        AXIAL[[2, 0, 1, 3]],
    ):
        assert np.array_equal(as_stored(upright(stored, affine), affine), stored)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda header: None, ()),
        (
            lambda header: header.set_qform(
                np.diag([-0.6, -0.8, 2.0, 1.0]) @ np.diag([-1.0, -1, 1, 1]), 1
            ),
            ("affines_differ",),
        ),
        (lambda header: header.__setitem__("qoffset_x", 3.0), ("affines_differ",)),
        (lambda header: header.__setitem__("qoffset_x", 0.01), ()),
        (
            lambda header: (
                header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), 1),
                header.__setitem__("qform_code", 0),
            ),
            ("spacing_differs",),
        ),
        (
            lambda header: header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), 1),
            ("spacing_differs", "affines_differ"),
        ),
        (lambda header: header.__setitem__("sform_code", 0), ()),
    ],
    ids=["same", "turned", "moved", "rounded", "1 mm sform", "both", "no sform"],
)
@pytest.mark.parametrize("slices", [1, 6])
def test_two_ways_to_say_how_a_volume_lies_that_differ_are_told(
    tmp_path: Path, change: object, expected: tuple[str, ...], slices: int
) -> None:
    image = nibabel.Nifti1Image(
        np.arange(17 * 12 * slices, dtype=np.int16).reshape(17, 12, slices), AXIAL
    )
    image.set_sform(AXIAL, 1)
    image.set_qform(AXIAL, 1)
    change(image.header)
    (tmp_path / "x.nii").write_bytes(
        image.header.binaryblock + bytes(4) + image.get_fdata().astype("<i2").tobytes(order="F")
    )
    content = bytearray((tmp_path / "x.nii").read_bytes())
    content[108:112] = np.array(352, "<f4").tobytes()
    (tmp_path / "x.nii").write_bytes(content)
    assert examine(Found("x.nii", tmp_path / "x.nii", len(content))).header.doubts == expected


def test_headers_that_say_one_thing_in_two_ways_are_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made = workspace(tmp_path, "{file: labels.csv, match: file, class: view}", extra="")
    for name, qform in (("a", AXIAL), ("b", AXIAL @ np.diag([-1.0, 1, 1, 1]))):
        image = nibabel.Nifti1Image(picture().T[..., None] + np.int16(ord(name)), AXIAL)
        image.set_qform(qform, 1)
        nibabel.save(image, made.incoming("site") / f"{name}.nii")
    (made.incoming("site") / "labels.csv").write_text("file,view\na.nii,AP\nb.nii,PA\n")
    stage.convert(made, "site")
    assert json.loads((made.studies("site") / "summary.json").read_text())["header_doubts"] == {
        "affines_differ": 1
    }
    assert (
        "site: 1 records, affines differ: two affines (sform and qform)" in capsys.readouterr().err
    )
