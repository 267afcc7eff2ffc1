"""`fewsite inspect`: what it writes shows the truth of the files, on their own grid, and nothing of a patient."""

import gzip
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from data_prep.as_nifti import TOLD
from data_prep.rejects import REASONS
from data_prep.unlabelled import NO_VOLUME
from pipeline.inspect import inspect_path
from pipeline.locate import show_file
from tests.data_prep.made_dicom import as_bytes, colour, enhanced, grey, ramp, volume, write
from tests.data_prep.made_exports import make_zip
from tests.data_prep.readers.dicom.test_scanners import REFERENCES, SCALED
from tests.data_prep.volumes.test_bad_inputs import (
    CASES,
    COLUMNS,
    ORIENTATIONS,
    ROWS,
    SLICES,
    STEP,
    STORED,
    TRUTH,
    ct,
)
from workspace.errors import Refusal
from workspace.paths import Workspace

# World of the CT series of test_bad_inputs: RAS, mm. Its first voxel lies at LPS (-5, 6, -20).
WORLD = np.array([[-0.5, 0, 0, 5], [0, -0.7, 0, -6], [0, 0, STEP, -20], [0, 0, 0, 1]])


def inspected(
    path: Path, out: Path, workspace: Path | None = None
) -> list[tuple[nibabel.Nifti1Image, dict]]:
    """What `path` gives, by the images' names, each with its JSON."""
    inspect_path(Workspace(workspace or out.parent / "no_workspace"), path, out)
    return [
        (
            nibabel.load(file),
            json.loads(file.with_name(file.name.replace(".nii.gz", ".json")).read_text()),
        )
        for file in sorted(out.glob("*.nii.gz"))
    ]


def one(path: Path, out: Path) -> tuple[nibabel.Nifti1Image, dict]:
    (found,) = inspected(path, out)
    return found


def lay(folder: Path, files: Iterable[Dataset | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, data in enumerate(files):
        (folder / f"{place * 7 % 97:02}.dcm").write_bytes(
            data if isinstance(data, bytes) else as_bytes(data)
        )
    return folder


def reasons(out: Path) -> dict[str, int]:
    return pd.read_csv(out / "rejects.csv")["reason"].value_counts().to_dict()


def test_a_volume_has_its_values_its_grid_and_its_place_in_the_patient(tmp_path: Path) -> None:
    image, told = one(lay(tmp_path / "in", ct(NumberOfSlices=12)), tmp_path / "out")
    assert image.get_data_dtype() == np.float32 and np.array_equal(
        image.get_fdata(), TRUTH.transpose(2, 1, 0)
    )
    assert np.allclose(image.affine, WORLD, atol=1e-5) and np.allclose(
        image.header.get_qform(), WORLD, atol=1e-5
    )
    assert image.header.get_sform(coded=True)[1] == 1 and image.header.get_xyzt_units()[0] == "mm"
    assert (
        told["affine"] == pytest.approx(WORLD)
        and told["spacing"] == [0.5, 0.7, 2.5]
        and told["shape"] == [COLUMNS, ROWS, SLICES]
    )
    assert (told["flags"], told["modality"], told["slices"], told["padding_voxels"]) == (
        [],
        "CT",
        SLICES,
        0,
    )


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS[::7], ids=str)
def test_whatever_way_it_was_cut_each_voxel_lies_where_it_lay(
    tmp_path: Path, axes: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    steps, size = np.array([0.5, 0.7, STEP]), (COLUMNS, ROWS, SLICES)
    stored = STORED.transpose([2 - axes[2], 2 - axes[1], 2 - axes[0]])[
        :: signs[2], :: signs[1], :: signs[0]
    ]
    directions = np.array([np.eye(3)[axis] * sign for axis, sign in zip(axes, signs, strict=True)])
    corner = np.array([-5.0, 6, -20])
    for axis, sign in zip(axes, signs, strict=True):
        corner[axis] += 0 if sign > 0 else (size[axis] - 1) * steps[axis]
    slices = ct(
        np.ascontiguousarray(stored),
        PixelSpacing=[steps[axes[1]], steps[axes[0]]],
        ImageOrientationPatient=[*directions[0], *directions[1]],
    )
    for place, data in enumerate(slices):
        data.ImagePositionPatient = [
            float(value) for value in corner + place * steps[axes[2]] * directions[2]
        ]
    image, _ = one(lay(tmp_path / "in", slices), tmp_path / "out")
    assert image.shape[:2] == stored.shape[:0:-1]  # columns and rows as they were cut
    truth = nibabel.as_closest_canonical(nibabel.Nifti1Image(TRUTH.transpose(2, 1, 0), WORLD))
    canonical = nibabel.as_closest_canonical(image)
    assert np.array_equal(canonical.get_fdata(), truth.get_fdata()) and np.allclose(
        canonical.affine, truth.affine, atol=1e-5
    )


@pytest.mark.parametrize("name", CASES)
def test_a_defect_never_gives_a_wrong_volume_and_is_refused_as_convert_refuses_it(
    tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    found = inspected(lay(tmp_path / "in", case.files()), tmp_path / "out")
    volumes = {
        order: [image for image, told in found if told["shape"][2] > 1 and told["number"] == order]
        for order in (1, 2)
    }
    assert len(volumes[1]) == case.volumes and len(volumes[2]) == ("later_repeat" in case.rejects)
    assert all(
        np.array_equal(image.get_fdata(), TRUTH[: case.kept].transpose(2, 1, 0))
        for image in volumes[1]
    )
    # What a setting of convert leaves out is here, and so is a CT without rescale, but not one that lacks it in part.
    expected = {
        reason: count
        for reason, count in case.rejects.items()
        if reason not in (*NO_VOLUME, "later_repeat")
    }
    assert reasons(tmp_path / "out") == (
        {"mixed_values": SLICES} if "no_rescale" in expected else expected
    )


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda folder: folder.partition("/In/")[2])
def test_a_scanners_series_lies_where_the_reference_conversion_puts_it(
    tmp_path: Path, folder: str
) -> None:
    if "FEWSITE_DATA" not in os.environ:
        pytest.skip(
            "set FEWSITE_DATA to a folder that holds scanners/, copies of the public repositories dcm_qa_nih and dcm_qa_enh"
        )
    root = Path(os.environ["FEWSITE_DATA"])
    found = {told["number"]: image for image, told in inspected(root / folder, tmp_path / "out")}
    number = 0
    for name in REFERENCES[folder]:
        reference = nibabel.as_closest_canonical(
            nibabel.load(root / folder.partition("/In/")[0] / "Ref" / f"{name}.nii")
        )
        expected = np.asanyarray(reference.dataobj)
        expected = expected.reshape(*expected.shape[:3], -1)
        for time in range(expected.shape[3]):
            number += 1
            image = nibabel.as_closest_canonical(found[number])
            assert image.affine == pytest.approx(reference.affine, abs=2e-3)  # mm, over float32
            values, wanted = np.asanyarray(image.dataobj), expected[..., time]
            scale = wanted.max() / values.max() if name == SCALED else 1
            # The reference stores its scale as float32, and a field map of +-500 Hz as whole numbers of it.
            assert np.allclose(values * scale, wanted, rtol=0, atol=1e-5 * np.ptp(wanted))
    assert number == len(found)


def test_each_echo_and_time_point_is_a_file_of_its_own(tmp_path: Path) -> None:
    frames = np.random.default_rng(9).integers(0, 99, (12, 12, 10)).astype(np.uint16)
    write(
        enhanced(
            frames, [2.0 * place for place in range(6)] * 2, EffectiveEchoTime=[4.0] * 6 + [8.0] * 6
        ),
        tmp_path / "in" / "echoes",
    )
    found = inspected(tmp_path / "in", tmp_path / "out")
    assert [
        np.array_equal(image.get_fdata(), frames[6 * place : 6 * place + 6].transpose(2, 1, 0))
        for place, (image, told) in enumerate(sorted(found, key=lambda pair: pair[1]["number"]))
    ] == [True, True]
    assert all(told["flags"] == ["multi_frame"] for _, told in found)
    names = sorted(file.name for file in (tmp_path / "out").glob("*.gz"))
    assert re.fullmatch(r"[0-9a-f]{20}_frame1.nii.gz", names[0]) and names[1] == names[0].replace(
        "_frame1", "_frame7"
    )


def test_images_that_are_in_no_volume_are_written_with_what_is_known_of_their_place(
    tmp_path: Path,
) -> None:
    for series, elements in {
        "1.1": {
            "ImagePositionPatient": [5, 6, 7],
            "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
            "PixelSpacing": [0.7, 0.5],
            "ImageType": ["DERIVED", "PRIMARY", "LOCALIZER"],
        },
        "1.2": {"ImagerPixelSpacing": [0.2, 0.1], "Modality": "DX"},
        "1.3": {"Modality": "US"},
    }.items():
        for number in range(2):  # two of a series, as of a chest from two sides
            write(
                grey(
                    ramp(high=4000 - number),
                    SeriesInstanceUID=series,
                    SOPInstanceUID=f"{series}.{number}",
                    **elements,
                ),
                tmp_path / "in" / f"{series}_{number}",
            )
    found = inspected(tmp_path / "in", tmp_path / "out")
    assert len(found) == 6 and reasons(tmp_path / "out") == {}
    assert (
        sorted(told["flags"] for _, told in found)
        == [[]] * 2 + [["no_place"]] * 2 + [["no_spacing", "no_place", "at_risk_modality"]] * 2
    )
    for image, told in found:
        assert any(
            np.array_equal(image.get_fdata()[..., 0], ramp(high=high).T) for high in (4000, 3999)
        )
        assert told["shape"] == [10, 12, 1] and told["slices"] == 1
        if not told["flags"]:
            # A step to the next column goes 0.5 mm to the back (LPS y), one to the next row 0.7 mm to the feet, and RAS turns x and y.
            assert np.allclose(
                image.affine, [[0, 0, 1, -5], [-0.5, 0, 0, -6], [0, -0.7, 0, 7], [0, 0, 0, 1]]
            )
            assert told["spacing"] == [0.5, 0.7]
        elif told["modality"] == "DX":
            assert np.allclose(image.affine, np.diag([-0.1, -0.2, 1, 1])) and told["spacing"] == [
                0.1,
                0.2,
            ]
        else:
            assert np.allclose(image.affine, np.diag([-1, -1, 1, 1])) and told["spacing"] is None


def test_photographs_keep_their_colours(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10, 3), np.uint8)
    write(colour(pixels), tmp_path / "in" / "dicom")
    Image.fromarray(pixels).save(tmp_path / "in" / "picture.png")
    for image, told in inspected(tmp_path / "in", tmp_path / "out"):
        voxels = np.asanyarray(image.dataobj)
        assert image.header["datatype"] == 128 and voxels.shape == (10, 12, 1)
        assert np.array_equal(np.stack([voxels[name][..., 0].T for name in "RGB"], axis=-1), pixels)
        assert told["photometric"] == "RGB" and told["flags"] == ["no_spacing", "no_place"]


def test_what_a_header_says_of_its_values_is_flagged_and_changes_none_of_them(
    tmp_path: Path,
) -> None:
    files = ct(
        NumberOfSlices=SLICES,
        PhotometricInterpretation="MONOCHROME1",
        PixelPaddingValue=int(STORED[0, 0, 0]),
    )
    for data in files:
        del data.RescaleSlope, data.RescaleIntercept
    image, told = one(lay(tmp_path / "in", files), tmp_path / "out")
    assert np.array_equal(image.get_fdata(), STORED.transpose(2, 1, 0))
    assert told["flags"] == ["inverted", "padding", "no_rescale"] and told["padding_voxels"] == int(
        (STORED[0, 0, 0] == STORED).sum()
    )


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PSR", "AIL"])
def test_a_nifti_keeps_its_own_order_and_affine(tmp_path: Path, codes: str) -> None:
    values = np.random.default_rng(1).normal(size=(4, 5, 6)).astype(np.float32)
    made = nibabel.Nifti1Image(
        values, np.array([[2, 0.1, 0, 7], [-0.1, 2, 0, 8], [0, 0, 3, 9], [0, 0, 0, 1.0]])
    )
    made = made.as_reoriented(
        nibabel.orientations.ornt_transform(
            nibabel.io_orientation(made.affine), nibabel.orientations.axcodes2ornt(codes)
        )
    )
    (tmp_path / "in").mkdir()
    nibabel.save(made, tmp_path / "in" / "volume.nii.gz")
    flat = nibabel.Nifti1Image(np.asanyarray(made.dataobj)[:, :, :1], made.affine)
    nibabel.save(flat, tmp_path / "in" / "flat.nii")
    for image, told in inspected(tmp_path / "in", tmp_path / "out"):
        source = made if told["slices"] > 1 else flat
        assert np.array_equal(image.get_fdata(), source.get_fdata()) and np.allclose(
            image.affine, source.affine, atol=1e-6
        )
        assert told["flags"] == [] and told["transfer_syntax"] == "NIFTI"


def test_every_form_of_a_source_gives_the_same(tmp_path: Path) -> None:
    folder = lay(tmp_path / "in", ct())
    (tmp_path / "list.txt").write_text("in\n")
    make_zip(tmp_path / "in.zip", {file.name: file.read_bytes() for file in folder.iterdir()})
    for form in (folder, tmp_path / "in.zip", tmp_path / "list.txt"):
        image, _ = one(form, tmp_path / f"out_{form.name}")
        assert np.array_equal(image.get_fdata(), TRUTH.transpose(2, 1, 0))
    image, told = one(folder / "00.dcm", tmp_path / "out_file")
    assert np.array_equal(image.get_fdata()[..., 0], TRUTH[0].T) and told["flags"] == []
    (tmp_path / "DICOMDIR").write_bytes(b"")
    with pytest.raises(Refusal, match="--out: found a folder inside PATH"):
        inspected(
            tmp_path / "DICOMDIR", tmp_path / "out_directory"
        )  # it stands for all of its folder


def test_a_header_takes_its_data_file_along(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(4, 5, 6)).astype("<f4")
    (tmp_path / "a.raw").write_bytes(values.tobytes(order="F"))
    (tmp_path / "a.mhd").write_text(
        "NDims = 3\nDimSize = 4 5 6\nElementType = MET_FLOAT\nElementSpacing = 1 2 3\nOffset = 1 2 3\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementDataFile = a.raw\n"
    )
    image, _ = one(tmp_path / "a.mhd", tmp_path / "out")
    assert np.array_equal(image.get_fdata(), values)
    assert np.allclose(image.affine, [[-1, 0, 0, -1], [0, -2, 0, -2], [0, 0, 3, 3], [0, 0, 0, 1]])


def test_nothing_of_a_patient_is_in_any_output_or_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = lay(
        tmp_path / "ZZPHI",
        ct(
            NumberOfSlices=SLICES,
            StudyDescription="ZZPHI text",
            Manufacturer="ZZPHI-17 Inc",
            PatientBirthDate="19500101",
        ),
    )
    (folder / "ZZPHI.dcm").write_text("<html>")
    (folder / "ZZPHI.txt").write_text("ZZPHI")
    made = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(4, 5, 6)), np.eye(4))
    made.header["descrip"], made.header["db_name"], made.header["aux_file"] = (
        b"ZZPHI",
        b"ZZPHI",
        b"ZZPHI",
    )
    nibabel.save(made, folder / "ZZPHI.nii.gz")
    found = inspected(folder, tmp_path / "out")
    assert len(found) == 2
    printed = "".join(capfd.readouterr())
    assert printed.splitlines()[0] == "PATH: 15 files = 13 used + 1 rejected + 1 no images"
    contents = [printed.encode()]
    for file in (tmp_path / "out").iterdir():
        content = file.read_bytes()
        contents += [
            file.name.encode(),
            content,
            gzip.decompress(content)[:352] if file.suffix == ".gz" else b"",
        ]
        assert (
            file.suffix != ".gz" or content[3:8] == b"\0" * 5
        )  # no file name and no time in gzip's own header
    for content in contents:
        assert not re.search(
            rb"ZZPHI|1\.2\.3|7\.7|19500101|20190615|Inc|html|" + str(tmp_path).encode(), content
        )
    assert {name for _, told in found for name in told} == {
        *TOLD,
        "shape",
        "spacing",
        "affine",
        "flags",
        "padding_voxels",
    }


def test_the_account_holds_and_rejects_say_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gap = volume(9, "1.2.12")
    lay(tmp_path / "in" / "a", gap[:4] + gap[5:])
    lay(tmp_path / "in" / "b", [*volume(9, "1.2.13"), b""])
    inspected(tmp_path / "in", tmp_path / "out")
    shown = capfd.readouterr().out
    assert shown.startswith("PATH: 18 files = 0 used + 18 rejected + 0 no images\n")
    assert (
        "  0 volumes and 0 images written to DIR" in shown
        and "missing_slice: a volume with a gap" in shown
    )
    rejects = pd.read_csv(tmp_path / "out" / "rejects.csv")
    assert len(rejects) == 18 and rejects["reason"].value_counts().to_dict() == {
        "maybe_incomplete": 9,
        "missing_slice": 8,
        "empty_file": 1,
    }
    assert set(rejects["do"]) <= {reason.do for reason in REASONS.values()}


def test_a_folder_that_cannot_be_written_whole_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lay(tmp_path / "in", ct())
    monkeypatch.setattr(
        "pipeline.inspect.write_rejects", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        inspected(folder, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_what_cannot_be_inspected_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "full" / "file").mkdir(parents=True)
    with pytest.raises(Refusal) as caught:
        inspected(tmp_path / "nowhere", tmp_path / "full")
    assert [str(problem).split(";")[0] for problem in caught.value.problems] == [
        "PATH: found nothing there",
        "--out: found a place that is not empty",
    ]
    with pytest.raises(Refusal, match="--out: found a folder inside PATH; need one outside"):
        inspected(tmp_path, tmp_path / "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refusal, match="PATH: found no file; need images"):
        inspected(tmp_path / "empty", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_hash_leads_back_to_its_file_in_a_workspace_and_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lay(tmp_path / "in", ct(NumberOfSlices=SLICES))
    (folder / "cut.dcm").write_bytes(b"")
    here = Workspace(tmp_path / "workspace")
    here.root.mkdir()
    here.params_file.touch()
    inspected(folder, tmp_path / "out", here.root)
    (image,) = (tmp_path / "out").glob("*.nii.gz")
    assert capsys.readouterr().out.endswith("fewsite locate PATH HASH\n")
    for name, file in {
        image.name: "00.dcm",
        pd.read_csv(tmp_path / "out" / "rejects.csv")["file"][0]: "cut.dcm",
    }.items():
        show_file(here, str(folder), name)
        assert capsys.readouterr().out == f"{file}\n"
    with pytest.raises(
        Refusal,
        match="PATH: found no file with this hash; need .*; do give the path that was given to fewsite inspect",
    ):
        show_file(here, str(folder), "0" * 20)
    inspected(folder, tmp_path / "again")
    assert image.name not in {path.name for path in (tmp_path / "again").iterdir()}
    assert "the secret is gone" in capsys.readouterr().out
    with pytest.raises(Refusal, match="fewsite locate: found no workspace here"):
        show_file(Workspace(tmp_path / "no_workspace"), str(folder), image.name)


@pytest.mark.parametrize(
    "path", ["/nowhere/ZZPHI_JANE", "nowhere/zzphi", "ZZPHI_JANE", "zzphi.dcm"]
)
def test_a_mistyped_path_is_refused_without_repeating_it(tmp_path: Path, path: str) -> None:
    with pytest.raises(
        Refusal, match="PATH: found nothing there; need a site's name, or the path"
    ) as refused:
        show_file(Workspace(tmp_path), path, "0" * 20)
    assert "zzphi" not in str(refused.value).lower()


def test_the_same_files_give_the_same_bytes_under_one_secret(tmp_path: Path) -> None:
    here = Workspace(tmp_path / "workspace")
    here.root.mkdir()
    here.params_file.touch()
    folder = lay(tmp_path / "in", ct())
    for out in ("a", "b"):
        inspected(folder, tmp_path / out, here.root)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
