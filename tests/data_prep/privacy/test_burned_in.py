"""Text in pixels: what a crop rule cuts off reaches no output and no value, and what may show text is counted."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import (
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    VLWholeSlideMicroscopyImageStorage,
    XRayAngiographicImageStorage,
)

from data_prep.convert import convert
from data_prep.decode import read
from data_prep.privacy.deidentify import new_secret
from data_prep.readers.image_file import Pixels
from data_prep.scan import ScanResult, scan
from data_prep.settings import load_params
from data_prep.site_file import load_site
from data_prep.store.records import read_studies
from data_prep.volumes.orientation import COMMON
from pipeline.check import check_site
from tests.data_prep.made_dicom import colour, enhanced, grey, volume, write
from tests.data_prep.test_convert import workspace
from workspace.errors import Refusal
from workspace.paths import Workspace

NAME = "ZZPHI^DOE JANE 1950-01-01"
STRIP = 16  # rows of text
ROWS, COLUMNS = 48, 160  # below it
RULE = f"crop: [{{modality: US, keep: [{STRIP}, 0, {ROWS}, {COLUMNS}]}}]\n"
BY_SOP = "{file: labels.csv, match: SOPInstanceUID, class: view}"


def tissue(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(10, 120, (STRIP + ROWS, COLUMNS)).astype(np.uint8)


def with_name(pixels: np.ndarray) -> np.ndarray:
    """The name in white over the top strip."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"  # no shades at its edges
    draw.text((2, 2), NAME, fill=255)
    assert (np.asarray(image)[:STRIP] == 255).sum() > 200 and (
        np.asarray(image)[STRIP:] == pixels[STRIP:]
    ).all()
    return np.asarray(image)


def ultrasound(pixels: np.ndarray, number: int, **elements: object) -> Dataset:
    told = {
        "Modality": "US",
        "SOPClassUID": UltrasoundImageStorage,
        "SOPInstanceUID": f"1.2.3.{number}",
        "PatientID": f"P{number}",
        **elements,
    }
    return grey(pixels, **told) if pixels.ndim == 2 else colour(pixels, **told)


def site(
    root: Path,
    images: list[Dataset],
    extra: str = RULE,
    size: str = f"[{ROWS}, {COLUMNS}]",
    labelled: int | None = None,
) -> Workspace:
    """`labelled`: how many of the images have a row, all by default; one is enough for a volume."""
    made = workspace(root, BY_SOP, size, extra)
    rows = ["SOPInstanceUID,view"]
    for number, data in enumerate(images):
        write(data, made.incoming("site") / f"{number}")
        rows.append(f"{data.SOPInstanceUID},{'AP' if number % 2 else 'PA'}")
    (made.incoming("site") / "labels.csv").write_text(
        "\n".join(rows if labelled is None else rows[: 1 + labelled])
    )
    return made


def stored(made: Workspace) -> np.ndarray:
    """Pixels in the order of the sums of their records' first rows, since keys differ from one secret to the next."""
    convert(made, "site")
    pixels = np.array(read_studies(made.studies("site")).pixels)
    return pixels[np.argsort(pixels.reshape(len(pixels), -1).sum(1))]


def summary(made: Workspace) -> dict:
    return json.loads((made.studies("site") / "summary.json").read_text())


def found(made: Workspace) -> ScanResult:
    return scan(made, "site", load_site(made, "site"), load_params(made), secret=new_secret())


@pytest.mark.parametrize("coloured", [False, True])
def test_a_name_in_the_strip_that_a_rule_cuts_off_changes_no_stored_pixel(
    tmp_path: Path, coloured: bool
) -> None:
    def images(named: bool) -> list[Dataset]:
        pixels = [with_name(tissue(number)) if named else tissue(number) for number in range(4)]
        return [
            ultrasound(np.stack([item] * 3, axis=-1) if coloured else item, number)
            for number, item in enumerate(pixels)
        ]

    named, plain = (
        stored(site(tmp_path / "named", images(True))),
        stored(site(tmp_path / "plain", images(False))),
    )
    assert named.tobytes() == plain.tobytes()
    assert summary(Workspace(tmp_path / "named"))["burned_in"] == {
        "at_risk": {},
        "cropped": 4,
        "said_clean": 0,
        "idle_rules": [],
    }
    if coloured:
        assert named.max() < 255, "photographs keep their values, and only the name was white"
    else:
        below = sorted(
            (tissue(number)[STRIP:].astype(float) for number in range(4)),
            key=lambda image: np.percentile(image, 50),
        )
        lows, highs = np.percentile(below, (0.5, 99.5), axis=(1, 2))
        expected = [
            np.rint(np.clip((image - low) * 255 / (high - low), 0, 255))
            for image, low, high in zip(below, lows, highs, strict=True)
        ]
        assert {image.astype(np.uint8).tobytes() for image in expected} == {
            image.tobytes() for image in named
        }
    whole = site(tmp_path / "whole", images(True), "", f"[{STRIP + ROWS}, {COLUMNS}]")
    assert (stored(whole)[:, :, :STRIP] == 255).sum() > 800, "without the rule the name is stored"
    assert summary(whole)["burned_in"]["at_risk"] == {"US": 4}


def test_the_regions_of_the_header_can_be_what_is_kept(tmp_path: Path) -> None:
    def regions(*corners: tuple[int, int, int, int]) -> list[Dataset]:
        items = []
        for left, top, right, bottom in corners:
            item = Dataset()
            (
                item.RegionLocationMinX0,
                item.RegionLocationMinY0,
                item.RegionLocationMaxX1,
                item.RegionLocationMaxY1,
            ) = left, top, right, bottom
            items.append(item)
        return items

    images = [ultrasound(with_name(tissue(number)), number) for number in range(6)]
    images[0].SequenceOfUltrasoundRegions = regions((0, STRIP, COLUMNS, STRIP + ROWS))
    images[1].SequenceOfUltrasoundRegions = regions((100, STRIP, 160, 40), (20, 30, 90, 60))
    images[2].SequenceOfUltrasoundRegions = regions((0, STRIP, COLUMNS, STRIP + ROWS + 1))
    images[3].SequenceOfUltrasoundRegions = regions((50, 30, 40, 20))
    images[4].SequenceOfUltrasoundRegions = [Dataset()]
    made = site(tmp_path, images, "max_rejected: 0.8\ncrop: [{modality: US, keep: regions}]\n")
    assert sorted(plan.files[0].header.keep for plan in found(made).plans) == [
        (STRIP, 0, ROWS, COLUMNS),
        (STRIP, 20, 60 - STRIP, 140),
    ]
    assert len(stored(made)) == 2 and summary(made)["rejects"]["crop_does_not_fit"] == 4
    written = (made.studies("site") / "rejects.csv").read_text()
    assert (
        "no ultrasound regions in the header" in written
        and "a rectangle that does not lie in the image" in written
    )


@pytest.mark.parametrize(
    "keep", [(60, 0, 5, 10), (0, 151, 5, 10), (0, 0, 65, 160), (0, 0, 64, 161)]
)
def test_a_rectangle_outside_the_image_refuses_the_file(
    tmp_path: Path, keep: tuple[int, ...]
) -> None:
    images = [
        ultrasound(tissue(number), number, Modality="US" if number == 1 else "CR")
        for number in range(3)
    ]
    made = site(
        tmp_path, images, f"max_rejected: 0.4\ncrop: [{{modality: US, keep: {list(keep)}}}]\n"
    )
    convert(made, "site")
    assert summary(made)["rejects"]["crop_does_not_fit"] == 1 and summary(made)["records"] == 2


def test_the_first_rule_applies_of_which_every_value_is_true(tmp_path: Path) -> None:
    images = [
        ultrasound(
            tissue(0), 0, Manufacturer="Apex & Sons (UK), <Ltd>", ManufacturerModelName="Logic 9"
        ),
        ultrasound(
            tissue(1), 1, ManufacturerModelName="Logic 9", StationName="LOGIC-9"
        ),  # so that records do not name the model
        ultrasound(tissue(2)[:40], 2, ManufacturerModelName="Logic 9"),
        ultrasound(tissue(3), 3, Modality="CR"),
    ]
    made = site(
        tmp_path,
        images,
        "crop:\n- {manufacturer: 'Apex & Sons (UK), <Ltd>', model: Logic 9, keep: [1, 0, 30, 20]}\n"
        "- {modality: US, model: Logic 9, rows: 64, columns: 160, keep: [2, 0, 30, 20]}\n"
        "- {rows: 40, keep: [3, 0, 30, 20]}\n- {keep: [4, 0, 30, 20]}\n",
    )
    assert (
        sorted(plan.files[0].header.keep[0] for plan in found(made).plans) == [1, 2, 3, 4]
        and found(made).idle_rules == []
    )


def test_a_rule_that_applies_to_nothing_is_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = site(
        tmp_path,
        [ultrasound(tissue(number), number) for number in range(2)],
        RULE.replace(
            "}]",
            "}, {model: none such, keep: [0, 0, 1, 1]}, {modality: US, rows: 64, keep: regions}]",
        ),
    )
    convert(made, "site")
    written = capfd.readouterr().err
    assert [
        f"rule {number} of crop in sites/site.yaml applies to no image" in written
        for number in (1, 2, 3)
    ] == [False, True, True]
    assert summary(made)["burned_in"]["idle_rules"] == [2, 3]


def mixed(root: Path, extra: str) -> Workspace:
    """Ten images: two ultrasound, one of them said to be clean, angiography, a capture said to be clean, and no others at risk."""
    told = [
        {"Modality": "US"},
        {"Modality": "US", "BurnedInAnnotation": "NO"},
        {"Modality": "XA", "SOPClassUID": XRayAngiographicImageStorage},
        {"Modality": "SC", "SOPClassUID": SecondaryCaptureImageStorage, "BurnedInAnnotation": "NO"},
        *[{"Modality": "CR"}] * 6,
    ]
    return site(
        root,
        [ultrasound(tissue(number), number, **elements) for number, elements in enumerate(told)],
        extra,
    )


def test_modalities_at_risk_are_counted_and_warned_of_but_not_where_the_sender_says_clean(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = mixed(tmp_path, "")
    convert(made, "site")
    warning = "site: 2 records may show a patient's data in their pixels (US 1, XA 1); look at some, then set crop, or at_risk: refuse, in sites"
    assert warning in capfd.readouterr().err
    assert summary(made)["burned_in"] == {
        "at_risk": {"US": 1, "XA": 1},
        "cropped": 0,
        "said_clean": 2,
        "idle_rules": [],
    }
    params = made.params_file.read_text()
    made.params_file.write_text(params + "tasks: {min_query: 1, pool: 0.3, shots: [0, 1, 5]}\n")
    monkeypatch.setattr("pipeline.check.largest_k", lambda *_: "")
    check_site(made, "site")
    assert warning in capfd.readouterr().out


def test_what_is_at_risk_and_no_rule_covers_can_be_refused(tmp_path: Path) -> None:
    made = mixed(tmp_path, "max_rejected: 0.2\nat_risk: refuse\n")
    convert(made, "site")
    assert summary(made)["rejects"]["may_show_text"] == 2 and summary(made)["records"] == 8
    covered = mixed(
        tmp_path / "covered",
        RULE.replace("}]", "}, {modality: XA, keep: [9, 0, 20, 20]}]") + "at_risk: refuse\n",
    )
    convert(covered, "site")
    assert summary(covered)["burned_in"] == {
        "at_risk": {},
        "cropped": 3,
        "said_clean": 1,
        "idle_rules": [],
    }


def test_an_image_that_says_it_shows_a_name_is_refused_whatever_the_rules(tmp_path: Path) -> None:
    images = [
        ultrasound(
            with_name(tissue(number)), number, **({"BurnedInAnnotation": "YES"} if number else {})
        )
        for number in range(2)
    ]
    made = site(tmp_path, images, RULE + "max_rejected: 0.5\n")
    convert(made, "site")
    assert summary(made)["rejects"]["burned_in_annotation"] == 1 and summary(made)["records"] == 1


def volumes(made: Workspace) -> list[tuple[Pixels, np.ndarray]]:
    """Values and affine of each volume."""
    return [(read(plan, windowed=False), plan.affine) for plan in found(made).plans]


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, 0, 1)]
)
@pytest.mark.parametrize("frames", [False, True])
def test_slices_are_cut_as_stored_and_the_volume_moves_with_them(
    tmp_path: Path, orientation: tuple[int, ...], frames: bool
) -> None:
    normal = np.cross(orientation[:3], orientation[3:])
    slices = volume(6)
    if frames:
        whole = enhanced(np.stack([data.pixel_array for data in slices]), [0] * 6)
        whole.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[
            0
        ].ImageOrientationPatient = list(orientation)
        places = [
            frame.PlanePositionSequence[0] for frame in whole.PerFrameFunctionalGroupsSequence
        ]
        images = [whole]
    else:
        images = places = slices
        for data in slices:
            data.ImageOrientationPatient = list(orientation)
    for at, place in enumerate(places):
        place.ImagePositionPatient = [
            float(value) for value in np.array([5, 6, 7]) + 2.0 * at * normal
        ]
    top, left, rows, columns = keep = (3, 2, 8, 7)
    ((kept, affine),) = volumes(
        site(tmp_path / "kept", images, f"crop: [{{keep: {list(keep)}}}]\n", "[8, 8, 8]", 1)
    )
    ((everything, whole_affine),) = volumes(site(tmp_path / "all", images, "", "[8, 8, 8]", 1))
    step = np.eye(4)
    step[:2, 3] = left, top
    np.testing.assert_allclose(affine, whole_affine @ step, atol=1e-9)
    offset = np.linalg.inv(in_common_order(whole_affine, (10, 12, 6))) @ in_common_order(
        affine, (columns, rows, 6)
    )
    np.testing.assert_allclose(offset[:3, :3], np.eye(3), atol=1e-9)
    column, row, at = np.rint(offset[:3, 3]).astype(int)
    slices, height, width = kept.values.shape
    assert np.array_equal(
        kept.values,
        everything.values[at : at + slices, row : row + height, column : column + width],
    )
    assert kept.values.size == 6 * rows * columns


def in_common_order(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(column, row, slice) of a volume in the common order -> mm; `affine` and `shape` are of the one as stored."""
    turns = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(COMMON)
    )
    return affine @ nibabel.orientations.inv_ornt_aff(turns, shape)


def test_slices_that_are_cut_to_different_sizes_are_no_volume(tmp_path: Path) -> None:
    slices = volume(6)
    slices[2].ManufacturerModelName = "other"
    made = site(
        tmp_path,
        slices,
        "max_rejected: 1\ncrop: [{model: other, keep: [0, 0, 8, 8]}, {keep: [1, 0, 8, 7]}]\n",
        "[8, 8, 8]",
        1,
    )
    assert {reject.reason for reject in found(made).rejects if reject.image} == {"mixed_matrix"}


def test_a_name_in_every_slice_changes_no_stored_pixel_of_the_volume(tmp_path: Path) -> None:
    def slices(named: bool) -> list[Dataset]:
        made = [volume(6, f"1.2.{series}", seed=series) for series in range(2)]
        for data in [data for part in made for data in part]:
            data.set_pixel_data(
                data.pixel_array
                + np.where(np.arange(12) < 3, 9000 * named, 0).astype(np.uint16)[:, None],
                "MONOCHROME2",
                16,
                generate_instance_uid=False,
            )
        return [data for part in made for data in part]

    def pixels(root: str, named: bool) -> np.ndarray:
        made = site(tmp_path / root, slices(named), "crop: [{keep: [3, 0, 9, 10]}]\n", "[8, 9, 10]")
        (made.incoming("site") / "labels.csv").write_text(
            "SOPInstanceUID,view\n1.2.0.1,AP\n1.2.1.1,PA\n"
        )
        return stored(made)

    assert pixels("named", True).tobytes() == pixels("plain", False).tobytes()


@pytest.mark.parametrize(("row", "reason"), [(0, "duplicate_instance"), (11, "duplicate_position")])
def test_a_slice_that_is_there_twice_is_a_copy_if_what_is_kept_of_both_is_the_same(
    tmp_path: Path, row: int, reason: str
) -> None:
    slices = volume(6)
    again = volume(6)[2]
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.9"
    pixels = again.pixel_array.copy()
    pixels[row] = 7
    again.PixelData = pixels.tobytes()
    made = site(
        tmp_path,
        [*slices, again],
        "max_rejected: 1\ncrop: [{keep: [3, 0, 9, 10]}]\n",
        "[8, 8, 8]",
        1,
    )
    assert {reject.reason for reject in found(made).rejects if reject.image} == {reason}
    assert len(found(made).plans) == (reason == "duplicate_instance")


def pictures(
    root: Path, extra: str, orientation: int = 1, kind: str = "png", square: bool = False
) -> Workspace:
    """`orientation`: by EXIF (TIFF 6.0): 6 is a quarter turn, 3 half a turn, 4 upside down in a mirror."""
    made = workspace(
        root, "{file: labels.csv, match: file, class: view}", f"[{ROWS}, {COLUMNS}]", extra
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    for number in range(2):
        pixels = with_name(tissue(number))
        Image.fromarray(pixels[:, : len(pixels)] if square else pixels).save(
            made.incoming("site") / f"{number}.{kind}", exif=exif
        )
    (made.incoming("site") / "labels.csv").write_text(f"file,view\n0.{kind},AP\n1.{kind},PA\n")
    return made


def test_pictures_of_a_site_that_names_its_modality_follow_its_rules(tmp_path: Path) -> None:
    made = pictures(tmp_path / "kept", RULE + "modality: US\n")
    assert (
        stored(made).shape == (2, 1, ROWS, COLUMNS) and summary(made)["burned_in"]["cropped"] == 2
    )
    plain = pictures(tmp_path / "whole", "modality: US\n")
    convert(plain, "site")
    assert summary(plain)["burned_in"]["at_risk"] == {"US": 2} and summary(plain)["modalities"] == {
        "US": 2
    }


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_picture_that_exif_turns_or_mirrors_is_refused_by_a_rule(
    tmp_path: Path, orientation: int, kind: str, square: bool
) -> None:
    made = pictures(
        tmp_path, f"crop: [{{keep: [{STRIP}, 0, 40, 40]}}]\n", orientation, kind, square
    )
    outcomes = [read(plan, windowed=False) for plan in found(made).plans]
    assert [
        [(reject.reason, "EXIF" in reject.found) for reject in rejects] for rejects in outcomes
    ] == [[("crop_does_not_fit", True)]] * 2


def test_a_nifti_volume_is_cut_along_its_rows_and_columns(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 99, (10, 12, 9)).astype(np.int16)
    pixels = []
    for name, extra in {"kept": "crop: [{rows: 12, keep: [3, 2, 8, 7]}]\n", "whole": ""}.items():
        made = workspace(
            tmp_path / name, "{file: labels.csv, match: file, class: view}", "[8, 8, 8]", extra
        )
        for number in range(2):
            nibabel.save(
                nibabel.Nifti1Image(values + number, np.diag([-1, -1, 1, 1])),
                made.incoming("site") / f"{number}.nii",
            )
        (made.incoming("site") / "labels.csv").write_text("file,view\n0.nii,AP\n1.nii,PA\n")
        pixels.append(sorted((part.values for part, _ in volumes(made)), key=np.mean))
    for kept, whole in zip(*pixels, strict=True):
        assert np.array_equal(kept, whole[:, 3:11, 2:9])


def test_a_modality_that_does_not_exist_is_refused_by_its_rule(tmp_path: Path) -> None:
    made = site(
        tmp_path,
        [ultrasound(tissue(0), 0)],
        "crop: [{keep: regions}, {modality: us, keep: regions}]\n",
    )
    with pytest.raises(Refusal, match="sites/site.yaml crop.1.modality: found us; need one of"):
        convert(made, "site")


@pytest.mark.parametrize(
    ("elements", "counted"),
    [
        ({"RecognizableVisualFeatures": "YES"}, {"MR": 1}),
        ({"RecognizableVisualFeatures": "YES", "BurnedInAnnotation": "NO"}, {"MR": 1}),
        ({"RecognizableVisualFeatures": "NO"}, {}),
        ({}, {}),
    ],
)
def test_a_face_that_the_header_speaks_of_counts_as_text_does(
    tmp_path: Path, elements: dict[str, str], counted: dict[str, int]
) -> None:
    images = [
        grey(tissue(1), SOPInstanceUID="1.2.1", PatientID="P1", **elements),
        grey(tissue(2), SOPInstanceUID="1.2.2", PatientID="P2"),
    ]
    made = site(tmp_path / "warned", images, "max_rejected: 1\n")
    convert(made, "site")
    assert summary(made)["burned_in"]["at_risk"] == counted
    refused = site(tmp_path / "refused", images, "at_risk: refuse\nmax_rejected: 1\n")
    convert(refused, "site")
    assert summary(refused)["rejects"].get("may_show_text", 0) == sum(counted.values())


@pytest.mark.parametrize(
    ("flavour", "stated", "counted"),
    [
        ("THUMBNAIL", None, {"SM": 1}),
        ("THUMBNAIL", "NO", {}),
        ("VOLUME", None, {}),
        ("OVERVIEW", "NO", {}),
    ],
)
def test_a_whole_slide_counts_where_nobody_says_that_its_label_is_out(
    tmp_path: Path, flavour: str, stated: str | None, counted: dict[str, int]
) -> None:
    written = {"SpecimenLabelInImage": stated} if stated else {}
    images = [
        colour(
            np.stack([tissue(at)] * 3, axis=-1),
            SOPInstanceUID=f"1.2.{at}",
            PatientID=f"P{at}",
            Modality="SM",
            SOPClassUID=VLWholeSlideMicroscopyImageStorage,
            ImageType=["DERIVED", "PRIMARY", flavour if at == 1 else "VOLUME", "NONE"],
            **written,
        )
        for at in (1, 2)
    ]
    made = site(tmp_path, images, "max_rejected: 1\n")
    convert(made, "site")
    assert summary(made)["burned_in"]["at_risk"] == counted


def test_labels_of_slides_are_refused_and_no_loss(tmp_path: Path) -> None:
    images = [
        colour(
            np.stack([tissue(at)] * 3, axis=-1),
            SOPInstanceUID=f"1.2.{at}",
            PatientID=f"P{at}",
            Modality="SM",
            SOPClassUID=VLWholeSlideMicroscopyImageStorage,
            ImageType=["ORIGINAL", "PRIMARY", ("VOLUME", "LABEL", "VOLUME")[at], "NONE"],
        )
        for at in range(3)
    ]
    made = site(tmp_path, images, "max_rejected: 0\n")
    convert(made, "site")
    assert (
        summary(made)["rejects"] == {"not_an_image": 1, "slide_label": 1}
        and summary(made)["records"] == 2
    )
