"""Folders as hospitals send them, one defect each, around a CT series whose values are known: never a wrong volume, no sound one refused."""

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    MPEG2MPML,
    BasicTextSRStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
)

from data_prep.decode import read
from data_prep.privacy.deidentify import new_secret
from data_prep.readers.image_file import Pixels
from data_prep.rejects import Reject, count_reasons
from data_prep.scan import scan
from data_prep.settings import load_params
from data_prep.site_file import load_site
from tests.data_prep.made_dicom import NATIVE, as_bytes, encapsulated, enhanced, grey
from workspace.paths import Workspace

SLICES, ROWS, COLUMNS = 12, 34, 36  # JPEG 2000's encoder refuses images below 32
STEP = 2.5  # mm
INTERCEPT = -1024
SERIES = "1.2.3.4"
SMOOTH = np.add.outer(
    np.arange(SLICES) * 40, np.add.outer(np.arange(ROWS) * 9, np.arange(COLUMNS) * 17)
)
STORED = (SMOOTH + np.random.default_rng(0).integers(0, 60, SMOOTH.shape)).astype(np.uint16)
TRUTH = (
    STORED.astype(np.float32) + INTERCEPT
)  # HU: slices to the head, rows to the back, columns to the left


def ct(
    stored: np.ndarray = STORED,
    syntax: str = ExplicitVRLittleEndian,
    series: str = SERIES,
    **elements: object,
) -> list[Dataset]:
    """The series, from feet to head; `elements` are set on every slice."""
    values = {
        "RescaleSlope": 1,
        "RescaleIntercept": INTERCEPT,
        "PixelSpacing": [0.7, 0.5],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SeriesInstanceUID": series,
    } | elements
    return [
        grey(
            pixels,
            syntax,
            SOPInstanceUID=f"{series}.{place + 1}",
            InstanceNumber=place + 1,
            ImagePositionPatient=[-5, 6, -20 + place * STEP],
            **values,
        )
        for place, pixels in enumerate(stored)
    ]


def changed(
    place: int | slice, slices: list[Dataset] | None = None, **elements: object
) -> list[Dataset]:
    """The series with `elements` set in one slice or some; None deletes."""
    slices = ct() if slices is None else slices
    for data in slices[place] if isinstance(place, slice) else [slices[place]]:
        for keyword, value in elements.items():
            if value is None:
                delattr(data, keyword)
            else:
                setattr(data, keyword, value)
    return slices


def each(keyword: str, value: Callable[[int], object]) -> list[Dataset]:
    slices = ct()
    for place, data in enumerate(slices):
        setattr(data, keyword, value(place))
    return slices


def moved(shift: Callable[[int], list[float]]) -> list[Dataset]:
    return each(
        "ImagePositionPatient",
        lambda place: [float(value) for value in np.add([-5, 6, -20 + place * STEP], shift(place))],
    )


def with_bytes(
    change: Callable[[bytes], bytes], place: int = 4, slices: list[Dataset] | None = None
) -> list[Dataset | bytes]:
    """The series with the bytes of one file changed."""
    made: list[Dataset | bytes] = list(ct() if slices is None else slices)
    made[place] = change(as_bytes(made[place]))
    return made


def without(*places: int) -> list[Dataset]:
    return [data for place, data in enumerate(ct()) if place not in places]


def plus(*more: Dataset | bytes) -> list[Dataset | bytes]:
    return [*ct(), *more]


def slice_like(place: int, **elements: object) -> Dataset:
    return changed(place, **{"SOPInstanceUID": "9.9.1"} | elements)[place]


def object_without_image(sop_class: str) -> Dataset:
    data = grey(
        STORED[0], SOPInstanceUID=f"9.9.{len(sop_class)}.{sop_class[-2:]}", SeriesInstanceUID="9.8"
    )
    for keyword in (
        "Rows",
        "Columns",
        "PixelData",
        "BitsAllocated",
        "SamplesPerPixel",
        "PhotometricInterpretation",
    ):
        delattr(data, keyword)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = sop_class
    return data


def bare(data: Dataset) -> bytes:
    """Without preamble and meta header."""
    stream = io.BytesIO()
    del data.file_meta
    pydicom.dcmwrite(stream, data, implicit_vr=True, little_endian=True)
    return stream.getvalue()


def overlong(content: bytes) -> bytes:
    """A position with more digits than a decimal string may have, in an element of unchanged length."""
    data = pydicom.dcmread(io.BytesIO(content))
    with pydicom.config.disable_value_validation():
        data["ImagePositionPatient"]._value = None
        text = "-5.00000000000000000\\6.00000000000000000\\-10.0000000000000000"
        data._dict[pydicom.tag.Tag("ImagePositionPatient")] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag("ImagePositionPatient"), "DS", len(text), text.encode(), 0, False, True
        )
        made = as_bytes(data)
    assert text.encode() in made
    return made


def signed_and_dirty() -> list[Dataset]:
    """Signed values of 12 bits under four bits of rubbish, in HU as they stand."""
    dirty = (TRUTH.astype(np.int16).view(np.uint16) & 0x0FFF) | (
        np.arange(SLICES, dtype=np.uint16) << 12
    )[:, None, None]
    return ct(dirty.view(np.int16), RescaleIntercept=0, BitsStored=12, HighBit=11)


def scaled_slice_by_slice() -> list[Dataset]:
    slices = ct(STORED << (np.arange(SLICES, dtype=np.uint16) % 2)[:, None, None])
    for place, data in enumerate(slices):
        data.RescaleSlope = 1 / (1 + place % 2)
    return slices


def padded() -> list[Dataset]:
    stored = STORED.copy()
    stored[:, :3] = 63536  # outside the scanner's bore
    return ct(stored, PixelPaddingValue=63536)


def one_file(syntax: str = ExplicitVRLittleEndian) -> list[Dataset]:
    data = enhanced(
        STORED[::-1].copy(),
        [-20 + place * STEP for place in range(SLICES)][::-1],
        syntax,
        RescaleSlope=[1.0] * SLICES,
    )
    for group in data.PerFrameFunctionalGroupsSequence:
        group.PixelValueTransformationSequence[0].RescaleIntercept = INTERCEPT
    data.Modality, data.SeriesInstanceUID = "CT", SERIES
    return [data]


def film() -> list[Dataset]:
    data = grey(
        STORED[0],
        NumberOfFrames=SLICES,
        SeriesInstanceUID=SERIES,
        Modality="CT",
        RescaleSlope=1,
        RescaleIntercept=0,
    )
    data.PixelData = STORED.tobytes()
    return [data]


def palette() -> list[Dataset]:
    slices = ct(PhotometricInterpretation="PALETTE COLOR")
    for data in slices:
        for name in ("Red", "Green", "Blue"):
            setattr(data, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 8])
            setattr(data, f"{name}PaletteColorLookupTableData", bytes(range(256)))
    return slices


def planar() -> list[Dataset]:
    return [changed_to_colour(data) for data in ct((STORED // 8).astype(np.uint8))]


def changed_to_colour(data: Dataset) -> Dataset:
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 1
    data.PixelData = data.PixelData * 3
    return data


def damaged_stream(syntax: str, change: Callable[[bytes], bytes]) -> list[Dataset]:
    """The series with one slice's compressed stream changed, and wrapped again as if it were whole."""
    slices = ct(syntax=syntax)
    stream = next(generate_frames(slices[4].PixelData, number_of_frames=1))
    encapsulated(slices[4], syntax, change(stream))
    return slices


def cut(stream: bytes) -> bytes:
    return stream[: len(stream) // 2]


def overwritten(stream: bytes) -> bytes:
    return stream[: len(stream) // 2] + b"ZZPHI" + stream[len(stream) // 2 + 5 :]


def times(keyword: str) -> list[Dataset]:
    later = ct(STORED[:, ::-1].copy())
    for data in later:
        data.SOPInstanceUID += ".2"
    return changed(slice(None), **{keyword: 1}) + changed(slice(None), later, **{keyword: 2})


JITTER = np.random.default_rng(1).uniform(-0.002, 0.002, (SLICES, 3))
HTML = b"<!DOCTYPE html><html><body>Session expired</body></html>"


@dataclass(frozen=True)
class Case:
    """`rejects`: how many files for which reason; `volumes`: how many come out; `kept`: how many slices of the truth they hold."""

    files: Callable[[], list]
    rejects: dict[str, int] = field(default_factory=dict)
    volumes: int = 1
    kept: int = SLICES


def refused(files: Callable[[], list], **rejects: int) -> Case:
    return Case(files, rejects, volumes=0)


# The numbers are those of the table of bad inputs in the project's notes: what was sent -> what has to come of it.
CASES = {
    "01 numbers shuffled": Case(lambda: each("InstanceNumber", lambda place: place * 5 % 12)),
    "02 numbers missing": Case(lambda: changed(slice(None), InstanceNumber=None)),
    "02 numbers constant": Case(lambda: changed(slice(None), InstanceNumber=1)),
    "03 interior slice gone": refused(lambda: without(5), missing_slice=11),
    "03 two interior slices gone": refused(lambda: without(3, 7), missing_slice=10),
    "04 end slice gone, images stated": refused(
        lambda: changed(slice(None), without(11), ImagesInAcquisition=12), missing_slice=11
    ),
    "04 end slice gone, slices stated": refused(
        lambda: changed(slice(None), without(0), NumberOfSlices=12), missing_slice=11
    ),
    "04 end slice gone, nothing stated": Case(lambda: without(11), kept=11),
    "05 same SOP twice": Case(lambda: plus(ct()[4]), {"duplicate_instance": 1}),
    "06 same place and pixels": Case(lambda: plus(slice_like(4)), {"duplicate_instance": 1}),
    "07 same place, other pixels": refused(
        lambda: plus(slice_like(4, PixelData=STORED[9].tobytes())), duplicate_position=13
    ),
    "07 same place and stored pixels, other scale": refused(
        lambda: plus(slice_like(4, RescaleSlope=2)), duplicate_position=13
    ),
    "07 same place, later acquisition": refused(
        lambda: plus(slice_like(4, PixelData=STORED[9].tobytes(), AcquisitionNumber=2)),
        duplicate_position=13,
    ),
    "08 variable spacing": refused(
        lambda: moved(lambda place: [0, 0, 0.6 if place > 6 else 0]), variable_spacing=12
    ),
    "08 growing spacing": refused(
        lambda: moved(lambda place: [0, 0, 0.05 * place**2]), variable_spacing=12
    ),
    "08 steps that differ little and add up": refused(
        lambda: moved(lambda place: [0, 0, 0.047 * abs(place - 5.5)]), variable_spacing=12
    ),
    "09 gantry tilt of one degree": refused(
        lambda: moved(lambda place: [0, 0.0175 * STEP * place, 0]), gantry_tilt=12
    ),
    "09 one slice aside": refused(
        lambda: moved(lambda place: [1.5 if place == 4 else 0, 0, 0]), variable_spacing=12
    ),
    "09 gantry tilt in positions": refused(
        lambda: moved(lambda place: [0, 0.6 * place, 0]), gantry_tilt=12
    ),
    "09 gantry tilt in orientation": refused(
        lambda: changed(slice(None), ImageOrientationPatient=[1, 0, 0, 0, 0.93969262, 0.34202014]),
        gantry_tilt=12,
    ),
    "10 localizer": Case(
        lambda: plus(slice_like(4, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
        {"localizer": 1},
    ),
    "10 localizer unnamed": Case(
        lambda: plus(slice_like(4, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])),
        {"not_a_volume": 1},
    ),
    "11 two series": Case(lambda: [*ct(), *ct(series="1.2.3.5")], volumes=2),
    "12 two patients": refused(
        lambda: changed(slice(6, None), PatientID="ZZPHI-18"), mixed_patients=12
    ),
    "13 mixed matrix": refused(lambda: [*without(4), ct(STORED[:, 1:])[4]], mixed_matrix=12),
    "14 mixed spacing": refused(lambda: changed(4, PixelSpacing=[0.7, 0.6]), mixed_spacing=12),
    "15 slope 0": refused(lambda: changed(4, RescaleSlope=0), bad_rescale=1, sibling_rejected=11),
    "16 no rescale": refused(
        lambda: changed(4, RescaleSlope=None, RescaleIntercept=None),
        no_rescale=1,
        sibling_rejected=11,
    ),
    "17 no position": refused(lambda: changed(4, ImagePositionPatient=None), no_position=12),
    "17 no position at all": refused(
        lambda: changed(slice(None), ImagePositionPatient=None), no_position=12
    ),
    "18 no orientation": refused(lambda: changed(4, ImageOrientationPatient=None), no_position=12),
    "18 orientation of nothing": refused(
        lambda: changed(slice(None), ImageOrientationPatient=[0] * 6), bad_orientation=12
    ),
    "18 orientation skewed": refused(
        lambda: changed(slice(None), ImageOrientationPatient=[1, 0, 0, 0.1, 0.99, 0]),
        bad_orientation=12,
    ),
    "18 one slice turned": refused(
        lambda: changed(4, ImageOrientationPatient=[0, 1, 0, 1, 0, 0]),
        missing_slice=11,
        not_a_volume=1,
    ),
    "19 no spacing": refused(lambda: changed(4, PixelSpacing=None), no_spacing=12),
    "20 zero spacing": refused(lambda: changed(slice(None), PixelSpacing=[0, 0]), no_spacing=12),
    "20 negative spacing": refused(
        lambda: changed(slice(None), PixelSpacing=[-0.7, 0.5]), no_spacing=12
    ),
    "20 all at one place": refused(
        lambda: changed(slice(None), ImagePositionPatient=[-5, 6, -20]), duplicate_position=12
    ),
    "21 MONOCHROME1 in one slice": refused(
        lambda: changed(4, PhotometricInterpretation="MONOCHROME1"), mixed_values=12
    ),
    "23 pixels truncated": refused(
        lambda: with_bytes(lambda content: content[:-300]), truncated=1, sibling_rejected=11
    ),
    "23 one byte lost": refused(
        lambda: with_bytes(lambda content: content[:-1]), truncated=1, sibling_rejected=11
    ),
    "24 header truncated at the end": refused(
        lambda: with_bytes(lambda content: content[:400], place=11),
        truncated=1,
        maybe_incomplete=11,
    ),
    "24 header truncated early": refused(
        lambda: with_bytes(lambda content: content[:140]), unknown_sop_class=1, missing_slice=11
    ),
    "25 empty file inside": refused(
        lambda: with_bytes(lambda _: b""), empty_file=1, missing_slice=11
    ),
    "25 empty file at the end": refused(
        lambda: with_bytes(lambda _: b"", place=11), empty_file=1, maybe_incomplete=11
    ),
    "26 web page inside": refused(
        lambda: with_bytes(lambda _: HTML), not_what_its_name_says=1, missing_slice=11
    ),
    "26 web page at the end": refused(
        lambda: with_bytes(lambda _: HTML, place=0), not_what_its_name_says=1, maybe_incomplete=11
    ),
    "27 no preamble": Case(lambda: [bare(data) for data in ct(syntax=ImplicitVRLittleEndian)]),
    "28 gzip": Case(lambda: [gzip.compress(as_bytes(data)) for data in ct()]),
    "29 RLE stream cut": refused(
        lambda: damaged_stream(RLELossless, cut), not_decodable=1, sibling_rejected=11
    ),
    "29 JPEG-LS stream cut": refused(
        lambda: damaged_stream(JPEGLSLossless, cut), truncated=1, sibling_rejected=11
    ),
    "29 JPEG 2000 stream cut": refused(
        lambda: damaged_stream(JPEG2000Lossless, cut), truncated=1, sibling_rejected=11
    ),
    "29 JPEG-LS stream damaged": refused(
        lambda: damaged_stream(JPEGLSLossless, overwritten), not_decodable=1, sibling_rejected=11
    ),
    "30 unknown transfer syntax": refused(
        lambda: [encapsulated(data, MPEG2MPML, b"x") for data in ct()], unknown_transfer_syntax=12
    ),
    "31 objects without image": Case(
        lambda: plus(
            *map(
                object_without_image,
                (
                    BasicTextSRStorage,
                    KeyObjectSelectionDocumentStorage,
                    GrayscaleSoftcopyPresentationStateStorage,
                    RTStructureSetStorage,
                ),
            )
        ),
        {"no_pixels": 4},
    ),
    "32 time series": Case(lambda: times("TemporalPositionIdentifier"), {"later_repeat": 12}),
    "32 two echoes": Case(lambda: times("EchoTime"), {"later_repeat": 12}),
    "33 overlong decimal strings": Case(lambda: with_bytes(overlong)),
    "34 orientation jitter": Case(
        lambda: each(
            "ImageOrientationPatient", lambda place: [1, 1e-5 * (place % 3), 0, 0, 1, -1e-5]
        )
    ),
    "35 position jitter": Case(lambda: moved(lambda place: list(JITTER[place]))),
    "47 palette in a volume": refused(palette, several_values=12),
    "48 planar colour in a volume": refused(planar, several_values=12),
    "49 signed, dirty high bits": Case(signed_and_dirty),
    "50 big endian": Case(lambda: ct(syntax=ExplicitVRBigEndian)),
    "51 enhanced": Case(one_file),
    "51 enhanced, compressed": Case(lambda: one_file(JPEGLSLossless)),
    "51 film": refused(film, multi_frame=1),
    "52 rescale by slice": Case(scaled_slice_by_slice),
    "53 burned in": refused(
        lambda: changed(slice(None), BurnedInAnnotation="YES"), burned_in_annotation=12
    ),
    "53 burned in once": refused(
        lambda: changed(4, BurnedInAnnotation="YES"), burned_in_annotation=1, sibling_rejected=11
    ),
    "53 secondary capture": refused(
        lambda: changed(slice(None), SOPClassUID=SecondaryCaptureImageStorage),
        burned_in_annotation=12,
    ),
    "53 capture beside": Case(
        lambda: plus(
            slice_like(4, SOPClassUID=SecondaryCaptureImageStorage, SeriesInstanceUID="9.7")
        ),
        {"burned_in_annotation": 1},
    ),
    **{
        f"sound in {syntax.name}": Case(lambda syntax=syntax: ct(syntax=syntax))
        for syntax in (*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless)
    },
}


def taken(root: Path, files: list[Dataset | bytes]) -> tuple[list[Pixels], set[str], list[Reject]]:
    """The volumes that a folder gives, in the common order, their spacings in mm, and why files were rejected.

    In the next folder lies a sound series, which no defect may touch.
    """
    (root / "sites").mkdir(parents=True)
    (root / "sites" / "site.yaml").write_text(
        "root: x\ntask: view\nlabels: {file: labels.csv, match: PatientID, class: view}\nclasses: {AP: [AP], PA: [PA]}\n"
    )
    (root / "params.yaml").write_text(
        "sites: {site: source}\nconvert: {size: [8, 8, 8], workers: 1}\n"
        "train: {learners: [prototypical]}\nadapt: {methods: [prototypical]}\nreport: {method: prototypical}\n"
    )
    export = root / "incoming" / "site"
    for folder, content in {"defect": files, "sound": ct(series="7.7", PatientID="sound")}.items():
        (export / folder).mkdir(parents=True)
        for place, data in enumerate(content):
            (export / folder / f"{place * 7 % 97:02}.dcm").write_bytes(
                data if isinstance(data, bytes) else as_bytes(data)
            )
    (export / "labels.csv").write_text("PatientID,view\nZZPHI-17,AP\nZZPHI-18,AP\nsound,PA\n")
    workspace = Workspace(root)
    found = scan(
        workspace, "site", load_site(workspace, "site"), load_params(workspace), secret=new_secret()
    )
    volumes, spacings, rejects = (
        [],
        set(),
        [reject for reject in found.rejects if reject.reason != "not_an_image"],
    )
    for plan in found.plans:
        pixels = read(plan, windowed=True)
        if not isinstance(pixels, Pixels):
            rejects += pixels
        elif plan.row["label"] == "PA":
            assert np.array_equal(pixels.values, TRUTH)
        else:
            volumes.append(pixels)
            spacings.add("x".join(f"{float(size):.3g}" for size in plan.row["spacing"].split("x")))
    assert sum(plan.row["label"] == "PA" for plan in found.plans) == 1
    return volumes, spacings, rejects


@pytest.mark.parametrize("name", CASES)
def test_a_defect_never_gives_a_wrong_volume_and_a_sound_one_is_never_refused(
    tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    volumes, spacings, rejects = taken(tmp_path, case.files())
    assert count_reasons(rejects) == case.rejects
    assert len(volumes) == case.volumes
    assert all(
        np.array_equal(pixels.values, TRUTH[: case.kept])
        and pixels.valid is None
        and not pixels.inverted
        for pixels in volumes
    )
    assert spacings == ({"2.5x0.7x0.5"} if volumes else set())


def test_monochrome1_throughout_is_inverted(tmp_path: Path) -> None:
    (pixels,), _, rejects = taken(tmp_path, ct(PhotometricInterpretation="MONOCHROME1"))
    assert pixels.inverted and np.array_equal(pixels.values, TRUTH) and not rejects


def test_padding_is_masked_in_a_volume(tmp_path: Path) -> None:
    (pixels,), _, rejects = taken(tmp_path, padded())
    assert not pixels.valid[:, :3].any() and pixels.valid[:, 3:].all() and not rejects
    assert np.array_equal(pixels.values[pixels.valid], TRUTH[:, 3:].ravel())


@pytest.mark.parametrize("repeats", ["TemporalPositionIdentifier", "EchoTime"])
def test_a_later_repeat_is_no_loss(tmp_path: Path, repeats: str) -> None:
    assert not any(reject.counts for reject in taken(tmp_path, times(repeats))[2])


ORIENTATIONS = [
    (axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS, ids=str)
def test_whatever_way_it_was_cut_a_volume_comes_out_the_same(
    tmp_path: Path, axes: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    """`axes`: the patient's axis (0 left, 1 back, 2 head) that columns, rows and slices run along, `signs`: which way."""
    size, steps = (COLUMNS, ROWS, SLICES), np.array([0.5, 0.7, STEP])
    stored = STORED.transpose([2 - axes[2], 2 - axes[1], 2 - axes[0]])[
        :: signs[2], :: signs[1], :: signs[0]
    ]
    directions = np.array([np.eye(3)[axis] * sign for axis, sign in zip(axes, signs, strict=True)])
    corner = np.zeros(3)
    for axis, sign in zip(axes, signs, strict=True):
        corner[axis] = 0 if sign > 0 else (size[axis] - 1) * steps[axis]
    slices = ct(
        np.ascontiguousarray(stored),
        PixelSpacing=[steps[axes[1]], steps[axes[0]]],
        ImageOrientationPatient=[*directions[0], *directions[1]],
    )
    for place, data in enumerate(slices):
        data.ImagePositionPatient = [
            float(value) for value in corner + place * steps[axes[2]] * directions[2]
        ]
    (pixels,), spacings, rejects = taken(tmp_path, slices)
    assert np.array_equal(pixels.values, TRUTH) and spacings == {"2.5x0.7x0.5"} and not rejects
