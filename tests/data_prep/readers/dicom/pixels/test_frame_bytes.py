"""Frames read from where the scan saw them are those that parsing the whole file gives, or the file is parsed."""

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from data_prep.decode import Planned, read
from data_prep.exports.sources import Found, opened
from data_prep.exports.walk import walk
from data_prep.readers.dicom import file as dicom
from data_prep.readers.dicom.pixels import frame_bytes
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.rejects import Rejected
from tests.data_prep.made_dicom import as_bytes, enhanced

COUNT = 6
PIXELS = (
    np.random.default_rng(0).integers(-2000, 2000, (COUNT, 40, 40)).astype(np.int16)
)  # JPEG 2000's encoder refuses smaller ones
SLOPES = [1.0, 2.0, 0.5, 4.0, 3.0, 0.25]


def made(
    pixels: np.ndarray = PIXELS, syntax: str = ExplicitVRLittleEndian, **elements: object
) -> Dataset:
    data = enhanced(
        pixels, [2.0 * z for z in range(len(pixels))], RescaleSlope=SLOPES[: len(pixels)]
    )
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    data.Rows, data.Columns = pixels.shape[1:]
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    if syntax == ImplicitVRLittleEndian:
        data.file_meta.TransferSyntaxUID = syntax
    elif syntax != ExplicitVRLittleEndian:
        data.compress(syntax, generate_instance_uid=False)
    return data


def scanned(data: Dataset, path: Path) -> ImageFile:
    path.write_bytes(as_bytes(data))
    image = examine(Found(path.name, path, path.stat().st_size))
    assert isinstance(image, ImageFile)
    return image


def read_all(image: ImageFile, slices: list[ImageFile] | None = None) -> list[Pixels]:
    with opened(image.identity.found) as stream:
        return dicom.read_slices(stream, slices or image.slices)


def assert_same(image: ImageFile) -> None:
    """One by one, in any order and all at once, as parsing the file gives them."""
    assert image.header.stored
    whole = read_all(replace(image, header=replace(image.header, stored=())))
    for places in (range(COUNT), [3], [4, 1, 5]):
        for place, pixels in zip(
            places, read_all(image, [image.slices[place] for place in places]), strict=True
        ):
            expected = whole[place]
            assert pixels.values.dtype == expected.values.dtype and np.array_equal(
                pixels.values, expected.values
            )
            assert (pixels.inverted, pixels.rescaled, pixels.doubtful) == (
                expected.inverted,
                expected.rescaled,
                expected.doubtful,
            )
            assert (pixels.valid is None) == (expected.valid is None)
            assert pixels.valid is None or np.array_equal(pixels.valid, expected.valid)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.name,
)
@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1800},
        {"SmallestImagePixelValue": -2000, "LargestImagePixelValue": 100},
    ],
    ids=str,
)
def test_frames_are_as_parsing_the_file_gives_them(
    tmp_path: Path, syntax: str, elements: dict
) -> None:
    assert_same(scanned(made(syntax=syntax, **elements), tmp_path / "a"))


@pytest.mark.parametrize(
    "pixels",
    [PIXELS.astype(np.uint8), PIXELS[:, :5, :3].astype(np.uint8), PIXELS.astype(np.int32)],
    ids=["8", "odd", "32"],
)
def test_frames_of_other_depths_and_odd_lengths(tmp_path: Path, pixels: np.ndarray) -> None:
    data = made(pixels)
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    assert_same(scanned(data, tmp_path / "a"))


@pytest.mark.parametrize("packed", ["no table", "table", "two items a frame", "extended table"])
def test_compressed_frames_are_found_however_they_are_listed(tmp_path: Path, packed: str) -> None:
    data = made(syntax=JPEG2000Lossless)
    frames = list(generate_frames(data.PixelData, number_of_frames=COUNT))
    if packed == "extended table":
        data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = (
            encapsulate_extended(frames)
        )
    else:
        data.PixelData = encapsulate(
            frames,
            fragments_per_frame=2 if packed == "two items a frame" else 1,
            has_bot=packed != "no table",
        )
    data["PixelData"].is_undefined_length = True
    assert_same(scanned(data, tmp_path / "a"))


def test_what_follows_the_pixels_does_not_matter(tmp_path: Path) -> None:
    data = made()
    data.add_new(0xFFFCFFFC, "OB", b"\0" * 8)
    assert_same(scanned(data, tmp_path / "a"))


def with_table() -> Dataset:
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4000, -2000, 16], "US"
    table.add_new("LUTData", "US", list(range(4000)))
    return made(ModalityLUTSequence=[table])


def without_a_table_but_with_several_items() -> Dataset:
    data = made(syntax=JPEG2000Lossless)
    data.PixelData = encapsulate(
        list(generate_frames(data.PixelData, number_of_frames=COUNT)),
        fragments_per_frame=2,
        has_bot=False,
    )
    data["PixelData"].is_undefined_length = True
    return data


def big_endian() -> Dataset:
    data = made()
    data.PixelData = PIXELS.astype(">i2").tobytes()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    return data


@pytest.mark.parametrize(
    "data",
    [
        with_table(),
        without_a_table_but_with_several_items(),
        big_endian(),
        made(PIXELS & ~3, BitsStored=12, HighBit=13),
    ],
    ids=["modality LUT", "items", "big endian", "high bit"],
)
def test_where_it_takes_more_than_the_frame_the_file_is_parsed(
    tmp_path: Path, data: Dataset
) -> None:
    image = scanned(data, tmp_path / "a")
    assert not image.header.stored
    read_all(image)


def test_a_file_is_parsed_once_and_a_volume_reads_its_own_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_bytes, "SETTLED", 0)
    image, asked = scanned(made(), tmp_path / "a"), []
    monkeypatch.setattr(dicom, "parse", None)

    class Counted(io.BufferedReader):
        def read(self, size: int = -1) -> bytes:
            asked.append(size)
            return super().read(size)

    with Counted(io.FileIO(tmp_path / "a")) as stream:
        pixels = dicom.read_slices(stream, image.slices[2:4])
    assert np.array_equal(pixels[1].values, PIXELS[3] * SLOPES[3])
    assert sum(asked) == 2 * PIXELS[0].nbytes


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0\0")


def change_a_slope(path: Path) -> None:
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(before.replace(b"1.2.3.1\0", b"1.2.3.9\0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("change", [grow, change_a_slope])
def test_a_file_that_changed_is_parsed(tmp_path: Path, change: object) -> None:
    image = scanned(made(), tmp_path / "a")
    change(tmp_path / "a")
    try:
        pixels = read_all(image)
    except Rejected as rejected:
        assert rejected.reason == "file_changed"
    else:
        assert change is grow and np.array_equal(pixels[3].values, PIXELS[3] * SLOPES[3])


def test_frames_of_a_file_in_an_archive(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        content = as_bytes(made())
        about = tarfile.TarInfo("a.dcm")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    (found,) = walk(tmp_path)
    assert_same(examine(found))


def test_a_damaged_frame_is_of_its_own_volume(tmp_path: Path) -> None:
    data = made(syntax=JPEG2000Lossless)
    frames = list(generate_frames(data.PixelData, number_of_frames=COUNT))
    data.PixelData = encapsulate([*frames[:5], frames[5][:100]])
    data["PixelData"].is_undefined_length = True
    image = scanned(data, tmp_path / "a")
    sound = read(Planned("", tuple(image.slices[:3]), {}, np.eye(4)), windowed=False)
    damaged = read(Planned("", tuple(image.slices[3:]), {}, np.eye(4)), windowed=False)
    assert isinstance(sound, Pixels) and {reject.reason for reject in damaged} == {"truncated"}
