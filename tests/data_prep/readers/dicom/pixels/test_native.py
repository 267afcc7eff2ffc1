"""Pixels read from where the scan saw them are those that parsing the file again gives, or the file is parsed again."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from data_prep.exports.sources import Found, opened
from data_prep.readers.dicom import file as dicom
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.rejects import Rejected
from tests.data_prep.made_dicom import as_bytes, colour, enhanced, grey, ramp, read_pixels
from tests.data_prep.readers.test_pydicom_files import FILES

SIGNED = (ramp().astype(np.int32) - 2000).astype(np.int16)
DIRTY = ((SIGNED.view(np.uint16) & 0x0FFF) | 0x3000).view(np.int16)
ODD = ramp(5, 3, high=255).astype(np.uint8)


def header(content: bytes) -> ImageFile:
    return dicom.read_header(io.BytesIO(content), Found("x", Path("x"), len(content)))


def outcome(content: bytes, image: ImageFile) -> Pixels | str:
    try:
        return read_pixels(content, image)
    except Rejected as rejected:
        return f"{rejected.reason} {rejected.found}"


def assert_both_ways_are_equal(content: bytes, image: ImageFile) -> None:
    fast, slow = (
        outcome(content, image),
        outcome(content, replace(image, header=replace(image.header, native=None))),
    )
    if isinstance(slow, str) or isinstance(fast, str):
        assert fast == slow
        return
    assert fast.values.dtype == slow.values.dtype and np.array_equal(fast.values, slow.values)
    assert (fast.valid is None) == (slow.valid is None) and (fast.inverted, fast.rescaled) == (
        slow.inverted,
        slow.rescaled,
    )
    assert fast.valid is None or np.array_equal(fast.valid, slow.valid)


def with_lut() -> Dataset:
    data, table = grey(ramp(high=20)), Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [21, 0, 16], "US"
    table.add_new("LUTData", "US", [3 * entry for entry in range(21)])
    data.ModalityLUTSequence = [table]
    return data


def with_pixels(change: Callable[[bytes], bytes], data: Dataset) -> Dataset:
    data.PixelData = change(data.PixelData)
    return data


def followed_by_padding() -> Dataset:
    data = grey(ramp())
    data.add_new(0xFFFCFFFC, "OB", b"\0" * 8)
    return data


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=lambda syntax: syntax.name
)
@pytest.mark.parametrize(
    ("stored", "elements"),
    [
        (ramp(), {}),
        (ramp(), {"RescaleSlope": 1, "RescaleIntercept": -1024}),
        (ramp(), {"RescaleSlope": "0.0123456789", "RescaleIntercept": "-3.3"}),
        (ramp(), {"RescaleSlope": "-2.5", "RescaleIntercept": "1e-3"}),
        (ramp(), {"RescaleIntercept": 7}),
        (ramp(), {"BitsStored": 12, "HighBit": 11}),
        (SIGNED, {"RescaleSlope": 2, "RescaleIntercept": -24}),
        (DIRTY, {"BitsStored": 12, "HighBit": 11}),
        (SIGNED, {"PixelPaddingValue": -2000}),
        (SIGNED, {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1900}),
        (SIGNED, {"PixelPaddingValue": 3000}),
        (ODD, {}),
        (ODD.astype(np.int8), {"PhotometricInterpretation": "MONOCHROME1"}),
        (ramp(), {"PhotometricInterpretation": "MONOCHROME1", "NumberOfFrames": 1}),
        (ramp().astype(np.uint32), {}),
    ],
)
def test_plain_grey_files_are_read_without_parsing_them_again(
    stored: np.ndarray, elements: dict[str, object], syntax: str
) -> None:
    content = as_bytes(grey(stored, syntax, **elements))
    image = header(content)
    assert image.header.native is not None
    assert_both_ways_are_equal(content, image)


@pytest.mark.parametrize(
    "made",
    [
        with_lut(),
        with_pixels(lambda pixels: pixels + b"\0" * 6, grey(ramp())),
        with_pixels(lambda pixels: pixels[:-6], grey(ramp())),
        with_pixels(lambda pixels: pixels[:-1] + b"\7", grey(ODD)),
        followed_by_padding(),
        grey(ramp(), RescaleSlope=0, RescaleIntercept=0),
        grey(ramp(), RescaleSlope=1),
        grey(ramp(), RescaleSlope="1e308", RescaleIntercept=0),
        grey(ramp(), NumberOfFrames=""),
        grey(ramp(), BitsAllocated=12),
        grey(ramp(), PixelRepresentation=2),
        grey(ramp(), ExplicitVRBigEndian),
        grey(ramp(high=3).astype(np.uint8), PhotometricInterpretation="PALETTE COLOR"),
        colour(np.zeros((4, 4, 3), np.uint8)),
    ],
)
def test_whatever_else_a_file_holds_both_ways_give_the_same_pixels_or_the_same_reason(
    made: Dataset,
) -> None:
    content = as_bytes(made)
    assert_both_ways_are_equal(content, header(content))


@pytest.mark.parametrize(
    "made",
    [
        with_lut(),
        followed_by_padding(),
        grey(ramp(), ExplicitVRBigEndian),
        colour(np.zeros((4, 4, 3), np.uint8)),
        enhanced(np.stack([ramp(), ramp()]), [0.0, 1.0]),
        enhanced(ramp()[None], [0.0], RescaleSlope=[2]),
        grey(ramp(), RescaleSlope=0, RescaleIntercept=0),
    ],
)
def test_what_is_not_plain_is_parsed(made: Dataset) -> None:
    assert header(as_bytes(made)).header.native is None


def test_files_that_are_described_alike_share_one_description() -> None:
    first, second, other = (
        header(as_bytes(grey(ramp(rows), SOPInstanceUID=f"1.2.{rows}.{at}"))).header.native
        for at, rows in enumerate((12, 12, 14))
    )
    assert first.description is second.description and other.description["rows"] == 14


@pytest.mark.parametrize("name", FILES)
def test_the_files_that_pydicom_ships_are_the_same_both_ways(name: str) -> None:
    found = Found(name, FILES[name], FILES[name].stat().st_size)
    image = examine(found)
    if isinstance(image, ImageFile) and image.header.native:
        with opened(found) as stream:
            assert_both_ways_are_equal(stream.read(), image)


def test_a_file_that_changed_since_the_scan_is_parsed_again() -> None:
    before = as_bytes(grey(ramp(), PatientName="ZZPHI^A", RescaleSlope=1, RescaleIntercept=0))
    image = header(before)
    rescaled = as_bytes(grey(ramp(), PatientName="ZZPHI^A", RescaleSlope=2, RescaleIntercept=0))
    longer = as_bytes(grey(ramp(), PatientName="ZZPHI^LONGER", RescaleSlope=1, RescaleIntercept=0))
    assert len(rescaled) == len(before) < len(longer)
    assert np.array_equal(outcome(rescaled, image).values, ramp() * 2.0)
    assert np.array_equal(outcome(longer, image).values, ramp())
    for changed in (
        as_bytes(
            grey(
                ramp(),
                SOPInstanceUID="1.2.3.9",
                PatientName="ZZPHI^A",
                RescaleSlope=1,
                RescaleIntercept=0,
            )
        ),
        as_bytes(grey(ramp(10, 12), PatientName="ZZPHI^A", RescaleSlope=1, RescaleIntercept=0)),
    ):
        assert outcome(changed, image) == "file_changed "
    for cut in (1, 50, len(before) - 300):
        assert outcome(before[:-cut], image) == outcome(
            before[:-cut], replace(image, header=replace(image.header, native=None))
        )
    assert np.array_equal(
        outcome(before[:-1] + b"\1", image).values[-1, -1], ramp()[-1, -1] % 256 + 256
    )
