"""Every reason is true of a file that reaches it, and its cure, applied to that file, makes it accepted."""

import gzip
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    BasicTextSRStorage,
    CTImageStorage,
    JPEGBaseline8Bit,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundImageStorage,
    VLPhotographicImageStorage,
)

from data_prep.decode import decode, read
from data_prep.readers.image_file import Pixels
from data_prep.rejects import REASONS
from data_prep.scan import scan
from data_prep.settings import load_params
from data_prep.site_file import load_site
from data_prep.unlabelled import files_under, path_keys, plan_all
from tests.data_prep.made_jpeg import JFIF, baseline
from tests.data_prep.test_convert import workspace
from tests.odd_series.formats import HEAD, RAW, SIZES, nrrd
from tests.odd_series.made import ROOT, anatomy, at, header, save, with_pixels
from tests.odd_series.neighbours import disc, private
from tests.odd_series.slides import slide
from tests.odd_series.streams import COLOURS, GREY, photograph, rle, ultrasound

SECRET = "ab" * 32
Step = Callable[[Path], object]
# Reached by none of the small exports here: what changes while it is read (test_sources.py), an archive that unpacks without end
# (test_archives.py), N4 that fails (test_intensity.py), and a fault of fewsite's own, which no file may cause (test_reader_faults.py).
ELSEWHERE = {"file_changed", "archive_bomb", "no_bias_field", "reader_fault"}


@dataclass(frozen=True)
class Case:
    """An export that reaches a reason, and its cure: None where there is nothing to do."""

    make: Step
    cure: Step | None = None


def slices(
    folder: Path, of: int = 1, count: int = 6, only: tuple[int, ...] = (), **elements: object
) -> None:
    """A CT series; `elements` are set on the slices `only`, or on all, as values or by number. Those that are None are left out."""
    for number in range(1, count + 1):
        data = header(
            CTImageStorage,
            "CT",
            number,
            of,
            RescaleSlope=1,
            RescaleIntercept=-1024,
            RescaleType="HU",
        )
        at(with_pixels(data, anatomy()[number - 1]), 0, 0, 3.0 * number)
        for keyword, value in elements.items() if number in (only or range(count + 1)) else ():
            if value is None:
                del data[keyword]
            else:
                setattr(data, keyword, value(number) if callable(value) else value)
        save(data, folder / f"{of}_{number}")


def film(folder: Path, frames: int) -> None:
    save(
        with_pixels(header(UltrasoundImageStorage, "US"), anatomy()[:frames].astype(np.uint8)),
        folder / "us",
    )


def picture(folder: Path, sop_class: str = CTImageStorage, **elements: object) -> None:
    save(with_pixels(header(sop_class, "CT"), anatomy()[1], **elements), folder / "one.dcm")


def colours(folder: Path, bits: int) -> None:
    """Colours of 0 to 255, as 16 or 8 bits."""
    values = np.stack([anatomy()[1] % 256] * 3, axis=-1).astype(
        np.uint16 if bits == 16 else np.uint8
    )
    data = with_pixels(
        header(VLPhotographicImageStorage, "XC"),
        values[..., 0],
        PhotometricInterpretation="RGB",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
    )
    data.PixelData = values.tobytes()
    save(data, folder / "one.dcm")


def volume(
    folder: Path, values: np.ndarray, affine: np.ndarray | None = None, code: int = 1
) -> None:
    image = nibabel.Nifti1Image(values, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine)
    image.set_sform(image.affine, code)
    image.set_qform(image.affine, code)
    nibabel.save(image, folder / "one.nii")


def packed(folder: Path, name: str = "1_1", crypted: bool = False, level: int = 0) -> None:
    slices(folder / "in", count=1)
    for at_level in range(level + 1):
        inside = folder / "in" / "1_1" if not at_level else folder / f"{at_level - 1}.zip"
        with zipfile.ZipFile(folder / f"{at_level}.zip", "w") as archive:
            archive.write(inside, name if not at_level else inside.name)
        if at_level:
            inside.unlink()
    shutil.rmtree(folder / "in")
    if crypted:
        content = bytearray((folder / "0.zip").read_bytes())
        content[6] |= 1  # PKWARE APPNOTE 4.4.4
        content[content.rindex(b"PK\x01\x02") + 8] |= 1
        (folder / "0.zip").write_bytes(content)


def packed_anew(folder: Path) -> None:
    packed(folder)
    (folder / "0.zip").rename(folder / "new.zip")  # each process keeps its last archives open


def cut(name: str, keep: float = 0.7, source: Step = slices) -> Step:
    def make(folder: Path) -> None:
        source(folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(keep * len(content))])

    return make


def with_bad_sum(folder: Path) -> None:
    slices(folder, count=1)
    content = bytearray(gzip.compress((folder / "1_1").read_bytes(), mtime=0))
    content[-8] ^= 1  # RFC 1952: the CRC
    (folder / "1_1").unlink()
    (folder / "1_1.gz").write_bytes(content)


def beside(what: Step, source: Step = slices, **elements: object) -> Step:
    def make(folder: Path) -> None:
        source(folder, **elements)
        what(folder)

    return make


def file(name: str, content: bytes = b"") -> Step:
    def make(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return make


def gone(*names: str) -> Step:
    def cure(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return cure


def again(change: Step) -> Step:
    """The export sent again, right."""

    def cure(folder: Path) -> None:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        change(folder)

    return cure


def linked_to_nothing(folder: Path) -> None:
    (folder / "1_1").symlink_to(folder / "nowhere")


def by(**elements: object) -> Step:
    return lambda folder: slices(folder, **elements)


def lost_of_a_disc(kind: str) -> Step:
    report = (f"{ROOT}.1.9", kind, "SR", BasicTextSRStorage, f"{ROOT}.9.1")
    line = (
        (f"{ROOT}.1.1", kind, "IM9", CTImageStorage, f"{ROOT}.1.1.9") if kind == "IMAGE" else report
    )
    return lambda folder: disc(folder, [line])


def nrrd_of_two(
    folder: Path, encoding: str = "raw", names: tuple[str, ...] = ("0.raw", "1.raw"), also: str = ""
) -> None:
    """Two files of three slices each beside their header."""
    for at_file, half in enumerate(np.split(anatomy().astype("<i2"), 2)):
        (folder / f"{at_file}.raw").write_bytes(half.tobytes())
    nrrd(folder / "x.nhdr", encoding, b"", also + "data file: LIST 3\n" + "\n".join(names))


def one_nrrd(folder: Path) -> None:
    nrrd(folder / "x.nrrd", "raw", RAW)


def pair(folder: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(anatomy(), np.diag([1.0, 2.0, 3.0, 1.0])), folder / "x.img")


def in_tar(folder: Path, sparse: bool) -> None:
    """A slice that GNU tar stores with holes, or whole. gnu.org/software/tar/manual: --sparse."""
    slices(folder / "in", count=1)
    os.truncate(folder / "in" / "1_1", 2**20)
    subprocess.run(
        [
            "tar",
            *(["--sparse"] if sparse else []),
            "-cf",
            folder / "x.tar",
            "-C",
            folder / "in",
            "1_1",
        ],
        check=True,
    )
    shutil.rmtree(folder / "in")


def rle_of(tail: bytes) -> Step:
    return lambda folder: save(ultrasound(GREY, RLELossless, rle(GREY, tail)), folder / "1.dcm")


def mosaic(folder: Path, **elements: object) -> None:
    picture(
        folder, MRImageStorage, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], **elements
    )


def photograph_by(markers: bytes, photometric: str) -> Step:
    """A JPEG of components named R, G and B."""
    return lambda folder: save(
        photograph(JPEGBaseline8Bit, baseline(COLOURS, markers, rgb=True), photometric),
        folder / "1.dcm",
    )


def nrrd_of_two_volumes(folder: Path) -> None:
    fields = (
        HEAD.replace(": 3\n", ": 4\n")
        .replace(SIZES, f"{SIZES} 2")
        .replace("(0,0,3)", "(0,0,3) none")
        .replace("domain\n", "domain list\n")
    )
    (folder / "x.nrrd").write_bytes(f"{fields}encoding: raw\n\n".encode() + 2 * RAW)


def in_colour(folder: Path) -> None:
    volume(folder, np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]))


def series_each(folder: Path) -> None:
    for of, kernel in ((1, "SOFT"), (2, "SHARP")):
        slices(folder, of, ConvolutionKernel=kernel)


def a_minc(folder: Path) -> None:
    (folder / "x.mnc").write_bytes(b"CDF\1" + bytes(600))


TILTED = np.array([[1.0, 0.4, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
SOUND = again(slices)
CASES = {
    "not_an_image": Case(beside(file("notes.txt", b"hello"))),
    "no_pixels": Case(
        beside(lambda folder: save(header(BasicTextSRStorage, "SR", 9, 9), folder / "sr"))
    ),
    "derived_object": Case(
        beside(
            lambda folder: save(
                with_pixels(header(SegmentationStorage, "SEG", 9, 9), anatomy()[:2]), folder / "seg"
            )
        )
    ),
    "missing_no_image": Case(lost_of_a_disc("SR DOCUMENT")),
    "unread_picture": Case(
        lambda folder: Image.fromarray(GREY).save(folder / "x.gif"),
        again(lambda folder: Image.fromarray(GREY).save(folder / "x.png")),
    ),
    "unread_volume": Case(a_minc, again(lambda folder: volume(folder, anatomy()))),
    "film": Case(lambda folder: _of_syntax(folder, MPEG4HP41, frames=2), again(picture)),
    "no_header": Case(beside(gone("x.hdr"), source=pair), again(pair)),
    "sparse_member": Case(
        lambda folder: in_tar(folder, sparse=True),
        again(lambda folder: in_tar(folder, sparse=False)),
    ),
    "not_decodable": Case(
        lambda folder: nrrd(folder / "x.nrrd", "hex", b"zz" * len(RAW)), again(one_nrrd)
    ),
    "decode_warning": Case(rle_of(b"\x05" * 40), again(rle_of(b""))),
    "bad_bits": Case(lambda folder: picture(folder, HighBit=7), again(picture)),
    "unclear_colours": Case(
        photograph_by(JFIF, "YBR_FULL"), again(lambda folder: colours(folder, 8))
    ),
    "unread_encoding": Case(lambda folder: nrrd(folder / "x.nrrd", "zstd", RAW), again(one_nrrd)),
    "several_values": Case(in_colour, again(lambda folder: volume(folder, anatomy()))),
    "unplaced_mosaic": Case(mosaic, SOUND),
    "time_series": Case(nrrd_of_two_volumes, again(one_nrrd)),
    "bad_data_file": Case(beside(gone("1.raw"), source=nrrd_of_two), again(nrrd_of_two)),
    "mixed_values": Case(
        by(ConvolutionKernel=lambda number: "SHARP" if number < 4 else "SOFT"), again(series_each)
    ),
    "duplicate_position": Case(
        beside(
            lambda folder: slices(
                folder / "more",
                PixelData=lambda n: anatomy()[n - 2].tobytes(),
                InstanceNumber=1,
                SOPInstanceUID=lambda n: f"{ROOT}.5.{n}",
            ),
            InstanceNumber=1,
        ),
        SOUND,
    ),
    "empty_file": Case(beside(file("1_6"), count=5), SOUND),
    "missing_file": Case(lost_of_a_disc("IMAGE"), gone("DICOMDIR")),
    "damaged_directory": Case(cut("DICOMDIR", source=disc), again(disc)),
    "unreadable": Case(linked_to_nothing, again(by(count=1))),
    "not_what_its_name_says": Case(beside(file("1_6.dcm", b"<html>"), count=5), SOUND),
    "too_large": Case(
        lambda folder: volume(
            folder, np.arange(8 * 11_000, dtype=np.uint16).reshape(2, 2, 2, 11_000)
        ),
        again(lambda folder: volume(folder, np.arange(64, dtype=np.int16).reshape(2, 2, 2, 8))),
    ),
    "damaged_archive": Case(cut("0.zip", source=packed), again(packed)),
    "damaged_member": Case(with_bad_sum, again(by(count=1))),
    "encrypted_member": Case(lambda folder: packed(folder, crypted=True), again(packed_anew)),
    "unsafe_member": Case(lambda folder: packed(folder, "../1_1"), again(packed_anew)),
    "nested_archive": Case(
        lambda folder: packed(folder, level=2), again(lambda folder: packed(folder, level=1))
    ),
    "truncated": Case(cut("1_3", 0.9), SOUND),
    "unknown_transfer_syntax": Case(
        lambda folder: _of_syntax(folder, "1.2.840.10008.1.2.4.94"), again(picture)
    ),  # JPIP
    "unknown_sop_class": Case(
        lambda folder: save(with_pixels(private(), anatomy()[0]), folder / "x"), again(picture)
    ),
    "unsupported_pixels": Case(
        lambda folder: picture(folder, PhotometricInterpretation="HSV"), again(picture)
    ),
    "colours_lost": Case(
        lambda folder: colours(folder, 16), again(lambda folder: colours(folder, 8))
    ),
    "slide": Case(
        lambda folder: save(slide("VOLUME", "NO", frames=2), folder / "x"),
        again(lambda folder: save(slide("VOLUME", "NO"), folder / "x")),
    ),
    "multi_frame": Case(lambda folder: film(folder, 2), again(lambda folder: film(folder, 1))),
    "constant_image": Case(
        lambda folder: Image.new("L", (20, 20), 7).save(folder / "x.png"), again(picture)
    ),
    "not_finite": Case(
        lambda folder: volume(
            folder, np.array([np.nan, 1, 2, 3, 4, 5, 6, 7], np.float32).reshape(2, 2, 2)
        ),
        again(lambda folder: volume(folder, np.arange(8, dtype=np.float32).reshape(2, 2, 2))),
    ),
    "bad_rescale": Case(by(RescaleSlope=0), SOUND),
    "burned_in_annotation": Case(
        lambda folder: picture(folder, SecondaryCaptureImageStorage),
        again(
            lambda folder: picture(folder, SecondaryCaptureImageStorage, BurnedInAnnotation="NO")
        ),
    ),
    "slide_label": Case(lambda folder: save(slide("LABEL", "YES"), folder / "x")),
    "no_instance_uid": Case(lambda folder: _without(folder, "SOPInstanceUID"), again(picture)),
    "duplicate_instance": Case(beside(lambda folder: shutil.copy(folder / "1_1", folder / "copy"))),
    "one_uid_several_images": Case(beside(lambda folder: _edited(folder)), gone("edited")),
    "no_series": Case(lambda folder: slices(folder, SeriesInstanceUID=None), SOUND),
    "mixed_patients": Case(by(PatientID=lambda number: f"MADE-{number % 2}"), SOUND),
    "mixed_matrix": Case(
        beside(lambda folder: _small(folder, 1)), again(beside(lambda folder: _small(folder, 2)))
    ),
    "mixed_spacing": Case(
        by(only=(1, 2, 3), PixelSpacing=[0.7, 0.7]),
        again(lambda folder: _parted(folder, PixelSpacing=[0.7, 0.7])),
    ),
    "no_position": Case(by(only=(2,), ImagePositionPatient=None), SOUND),
    "no_spacing": Case(by(PixelSpacing=None), SOUND),
    "bad_orientation": Case(by(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), SOUND),
    "missing_slice": Case(beside(gone("1_3")), SOUND),
    "variable_spacing": Case(by(ImagePositionPatient=lambda number: [0, 0, number**1.5]), SOUND),
    "gantry_tilt": Case(by(ImagePositionPatient=lambda number: [0, number, 3.0 * number]), SOUND),
    "sibling_rejected": Case(
        by(only=(3,), BurnedInAnnotation="YES"), again(by(only=(3,), BurnedInAnnotation="NO"))
    ),
    "maybe_incomplete": Case(beside(file("x.dcm")), gone("x.dcm")),
    "no_orientation": Case(
        lambda folder: volume(folder, anatomy(), code=0),
        again(lambda folder: volume(folder, anatomy())),
    ),
    "singular_affine": Case(
        lambda folder: _flat_affine(folder), again(lambda folder: volume(folder, anatomy()))
    ),
    "sheared_affine": Case(
        lambda folder: volume(folder, anatomy(), TILTED),
        again(lambda folder: volume(folder, anatomy())),
    ),
}


def _bare(folder: Path) -> None:
    data = with_pixels(header(CTImageStorage, "CT"), anatomy()[1])
    save(data, folder / "x")
    del data.SOPClassUID, data.file_meta.MediaStorageSOPClassUID
    data.save_as(folder / "x")


def _without(folder: Path, keyword: str) -> None:
    picture(folder)
    data = with_pixels(header(CTImageStorage, "CT"), anatomy()[1])
    delattr(data, keyword)
    data.save_as(folder / "one.dcm")


def _edited(folder: Path) -> None:
    data: Dataset = at(
        with_pixels(
            header(CTImageStorage, "CT", 1, RescaleSlope=1, RescaleIntercept=-1024), anatomy()[4]
        ),
        0,
        0,
        3.0,
    )
    save(data, folder / "edited")


def _small(folder: Path, of: int) -> None:
    """Three more slices of another size, in the same series or in one of their own."""
    for number in (7, 8, 9):
        data = with_pixels(
            header(CTImageStorage, "CT", number, of, RescaleSlope=1, RescaleIntercept=-1024),
            anatomy(9, 12, 10)[number - 1],
        )
        save(at(data, 0, 0, 3.0 * number), folder / f"small{number}")


def _parted(folder: Path, **elements: object) -> None:
    slices(folder, count=3, **elements)
    slices(folder / "rest", of=2, count=6)


def _flat_affine(folder: Path) -> None:
    volume(folder, anatomy(), np.diag([1.0, 1.0, 1.0, 1.0]))
    content = bytearray((folder / "one.nii").read_bytes())
    content[280:328] = bytes(48)  # nifti1.h: srow_x, srow_y and srow_z
    content[252:256] = b"\0\0\1\0"  # qform_code 0, sform_code 1
    (folder / "one.nii").write_bytes(content)


def _of_syntax(folder: Path, syntax: str, frames: int = 1) -> None:
    picture(folder, NumberOfFrames=frames)
    data = dcmread(folder / "one.dcm")
    data.file_meta.TransferSyntaxUID = syntax
    data["PixelData"].is_undefined_length = True
    data.PixelData = encapsulate([bytes(8)])
    data.save_as(folder / "one.dcm")


def looked(folder: Path) -> tuple[int, set[str]]:
    """How many records can be used, and the reasons of the rest."""
    plans, rejects = plan_all(files_under(folder), path_keys(SECRET))
    used = 0
    for plan in plans:
        outcome = read(plan, windowed=False)
        used += isinstance(outcome, Pixels)
        rejects += [] if isinstance(outcome, Pixels) else outcome
    return used, {reject.reason for reject in rejects}


@pytest.mark.parametrize("reason", CASES)
def test_a_reason_is_reached_and_its_cure_works(reason: str, tmp_path: Path) -> None:
    case = CASES[reason]
    case.make(tmp_path)
    used, reasons = looked(tmp_path)
    assert reason in reasons
    if case.cure is None:
        assert REASONS[reason].do.startswith("nothing")
        assert used or reason == "slide_label"
    else:
        case.cure(tmp_path)
        healed, left = looked(tmp_path)
        assert healed > 0 and reason not in left


CT = {"Modality": "CT", "RescaleSlope": 2, "RescaleIntercept": 0}
BY_SOP = "file: labels.csv, match: SOPInstanceUID, class: view"
SITE_CASES = {  # reason -> the site's settings and the images' elements that reach it, and those that cure it
    "no_label": ({}, {"rows": 1}, {}, {"rows": 2}),
    "label_ignored": ({}, {"views": ("lateral", "AP")}, {}, None),
    "no_patient": (
        {},
        {"PatientID": ""},
        {"labels": BY_SOP + ", patient: StudyInstanceUID"},
        {"PatientID": ""},
    ),
    "may_show_text": (
        {"extra": "at_risk: refuse"},
        {"Modality": "US"},
        {"extra": "at_risk: refuse\ncrop: [{modality: US, keep: [1, 1, 20, 16]}]"},
        {"Modality": "US"},
    ),
    "crop_does_not_fit": (
        {"extra": "crop: [{modality: US, keep: [9, 9, 99, 99]}]"},
        {"Modality": "US"},
        {"extra": "crop: [{modality: US, keep: [1, 1, 20, 16]}]"},
        {"Modality": "US"},
    ),
    "not_a_volume": ({"size": "[8, 8, 8]"}, {}, {"size": "[8, 8]"}, {}),
    "localizer": (
        {"size": "[8, 8, 8]"},
        {"volume": True, "views": ("AP", "AP"), "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {},
        None,
    ),
    "conflicting_labels": (
        {"size": "[8, 8, 8]"},
        {"volume": True, "views": ("AP", "PA")},
        {"size": "[8, 8, 8]"},
        {"volume": True, "views": ("AP", "AP")},
    ),
    "other_units": (
        {},
        CT | {"RescaleType": "MGML"},
        {"size": "[8, 8], intensity: {CT: {window: [0, 400], units: mg/ml}}"},
        CT | {"RescaleType": "MGML"},
    ),
    "no_rescale": ({}, {"Modality": "CT"}, {}, CT),
    "unknown_spacing": (
        {"size": "[8, 8, 8], spacing: [100, 1, 1]"},
        {"volume": True, "views": ("AP", "AP")},
        {"size": "[8, 8, 8]"},
        {"volume": True, "views": ("AP", "AP")},
    ),
    "is_a_volume": ({}, {"nifti": True}, {"size": "[8, 8, 8]"}, {"nifti": True}),
    "later_repeat": (
        {"size": "[8, 8, 8]"},
        {"volume": True, "echoes": True, "views": ("AP", "AP")},
        {"size": "[8, 8, 8], repeats: each"},
        {"volume": True, "echoes": True, "views": ("AP", "AP")},
    ),
}


def converted(
    root: Path,
    labels: str = BY_SOP,
    size: str = "[8, 8]",
    extra: str = "",
    rows: int = 2,
    views: tuple[str, str] = ("AP", "PA"),
    volume: bool = False,
    echoes: bool = False,
    nifti: bool = False,
    **elements: object,
) -> tuple[int, set[str]]:
    """Two images of a site, or a volume of six slices: records and reasons. `elements` are of the first."""
    made = workspace(
        root,
        "{" + (labels if not nifti else labels.replace("SOPInstanceUID", "file")) + "}",
        size,
        "max_rejected: 1\n" + extra,
    )
    export = made.incoming("site")
    table = ["SOPInstanceUID,file,view"]
    if nifti:
        nibabel.save(
            nibabel.Nifti1Image(anatomy(), np.diag([1.0, 2.0, 3.0, 1.0])), export / "1.nii"
        )
        table.append(",1.nii,AP")
    for echo in range(1 + echoes):
        for number in range(1, (7 if volume else 3) * (not nifti)):
            data = header(
                CTImageStorage,
                "MR",
                number + 10 * echo,
                1 if volume else number,
                patient=f"P{1 if volume else number}",
            )
            for keyword, value in elements.items() if number == 1 else ():
                setattr(data, keyword, value)
            if volume:
                at(data, 0, 0, 3.0 * number, EchoTime=10 + echo)
            save(with_pixels(data, anatomy()[number - 1]), export / f"{echo}_{number}")
            if number <= rows:
                table.append(f"{data.SOPInstanceUID},,{views[number - 1]}")
    (export / "labels.csv").write_text("\n".join(table))
    found = scan(made, "site", load_site(made, "site"), load_params(made), secret=SECRET)
    outcomes = [decode(plan, found.convert) for plan in found.plans]
    rejects = [
        *found.rejects,
        *(reject for outcome in outcomes if isinstance(outcome, list) for reject in outcome),
    ]
    return sum(not isinstance(outcome, list) for outcome in outcomes), {
        reject.reason for reject in rejects
    }


@pytest.mark.parametrize("reason", SITE_CASES)
def test_a_reason_that_a_site_gives_is_reached_and_its_cure_works(
    reason: str, tmp_path: Path
) -> None:
    settings, images, cured, healed = SITE_CASES[reason]
    used, reasons = converted(tmp_path / "ill", **settings, **images)
    assert reason in reasons
    if healed is None:
        assert REASONS[reason].do.startswith("nothing")
    else:
        more, left = converted(tmp_path / "healed", **cured, **healed)
        assert more > 0 and reason not in left


def test_every_reason_has_its_case() -> None:
    assert not set(REASONS) - set(CASES) - set(SITE_CASES) - ELSEWHERE
    assert not (set(CASES) | set(SITE_CASES)) & ELSEWHERE


def test_an_object_without_a_sop_class_is_cured_by_one(tmp_path: Path) -> None:
    _bare(tmp_path)
    assert looked(tmp_path) == (0, {"unknown_sop_class"})
    again(picture)(tmp_path)
    assert looked(tmp_path) == (1, set())


def test_a_tar_of_tars_is_cured_as_a_zip_is(tmp_path: Path) -> None:
    slices(tmp_path / "in", count=1)
    for inner, outer in (("in", "1.tar"), ("1.tar", "2.tar"), ("2.tar", "3.tar")):
        with tarfile.open(tmp_path / outer, "w") as archive:
            archive.add(tmp_path / inner, inner)
    assert looked(tmp_path / "3.tar") == (0, {"nested_archive"}) and looked(tmp_path / "2.tar") == (
        1,
        set(),
    )
