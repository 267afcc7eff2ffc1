"""All files that pydicom and pydicom-data ship for tests: decoded as pydicom or GDCM decodes them, or refused for a true reason, never a crash."""

import gzip
import io
from pathlib import Path

import data_store
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
)

from data_prep.exports.sources import Found, opened
from data_prep.readers.dicom import file as dicom
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.readers.quiet import quiet
from data_prep.rejects import REASONS, Reject, Rejected
from tests.data_prep.made_dicom import unchecked

FOLDERS = (
    Path(pydicom.__file__).parent / "data",
    Path(data_store.__file__).parent / "data",
)  # of pydicom and pydicom-data
FILES = {
    str(path.relative_to(folder)): path
    for folder in FOLDERS
    for path in sorted(folder.rglob("*"))
    if path.is_file() and path.suffix not in (".py", ".pyc")
}
# What is refused although it is an image, and why that is true. Files of other reasons are refused as captures, reports, plans,
# directories or headers without pixels.
REFUSED = {
    "test_files/MR_truncated.dcm": "truncated",  # 8130 of 8192 bytes
    "test_files/liver_1frame.dcm": "derived_object",  # a segmentation
    "test_files/rtdose.dcm": "derived_object",
    "test_files/badVR.dcm": "derived_object",  # says that it is a structure set, and has pixels
}
DAMAGED = {"test_files/JPEG2000-embedded-sequence-delimiter.dcm"}  # pydicom cannot decode it either
NOT_BY_PYDICOM = (
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
)  # without a GPL decoder: the second opinion is SimpleITK's GDCM
NO_IMAGE = {
    "no_pixels",
    "not_an_image",
    "derived_object",
    "unknown_sop_class",
    "not_what_its_name_says",
}


def examined(path: Path) -> ImageFile | Reject:
    return examine(Found(path.name, path, path.stat().st_size))


def content(path: Path) -> bytes:
    start = path.read_bytes()
    return gzip.decompress(start) if path.suffix == ".gz" else start


def has_frames_without_a_place(data: Dataset) -> bool:
    return int(data.get("NumberOfFrames") or 1) > 1 and not any(
        "PlanePositionSequence" in frame
        for frame in data.get("PerFrameFunctionalGroupsSequence", [])
    )


def by_another(path: Path) -> np.ndarray:
    """What pydicom decodes, or GDCM, rescaled as all frames share it, with photographs brought to 8 bits."""
    data = pydicom.dcmread(io.BytesIO(content(path)), force=True)
    if data.file_meta.get("TransferSyntaxUID") in NOT_BY_PYDICOM:
        return sitk.GetArrayFromImage(sitk.ReadImage(path)).squeeze()
    if "TransferSyntaxUID" not in data.file_meta:
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    plugin = {JPEGBaseline8Bit: "pillow"}.get(data.file_meta.TransferSyntaxUID, "")
    stored = pixel_array(data, decoding_plugin=plugin)
    if data.PhotometricInterpretation == "PALETTE COLOR":
        if (
            not data.original_encoding[1] and "RedPaletteColorLookupTableData" in data
        ):  # pydicom takes it for little endian
            for colour in ("Red", "Green", "Blue"):
                swapped = np.frombuffer(
                    data[f"{colour}PaletteColorLookupTableData"].value, np.uint16
                ).byteswap()
                setattr(data, f"{colour}PaletteColorLookupTableData", swapped.tobytes())
        stored, bits = (
            apply_color_lut(stored, data)[..., :3],
            data.RedPaletteColorLookupTableDescriptor[2],
        )
    elif data.SamplesPerPixel == 1:
        shared = (data.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
        return apply_modality_lut(
            stored, (shared.get("PixelValueTransformationSequence") or [data])[0]
        )
    else:
        bits = data.BitsStored
    return stored >> max(bits - 8, 0)


def decoded(path: Path) -> list[Pixels]:
    image = examined(path)
    wanted = image.slices if isinstance(image, ImageFile) else [unchecked(content(path))]
    with opened(Found(path.name, path, path.stat().st_size)) as stream:
        return dicom.read_slices(stream, wanted)


def assert_same(path: Path) -> None:
    with quiet():
        expected = by_another(path)
    pixels = decoded(path)
    found = np.stack([single.values for single in pixels]) if len(pixels) > 1 else pixels[0].values
    assert found.shape == expected.shape and np.allclose(found, expected, rtol=1e-6, atol=0)


def assert_decoder_is_right(name: str) -> None:
    """Captures are refused for what they may show; the decoder is held to them all the same."""
    if name in DAMAGED or has_frames_without_a_place(
        pydicom.dcmread(FILES[name], stop_before_pixels=True, force=True)
    ):
        with pytest.raises(Rejected, match="multi_frame|not_decodable|truncated"):
            decoded(FILES[name])
    else:
        assert_same(FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_decoded_as_pydicom_does_or_refused_for_a_known_reason(name: str) -> None:
    image = examined(FILES[name])
    if isinstance(image, ImageFile):
        assert name not in REFUSED
        assert_same(FILES[name])
    elif image.reason == "burned_in_annotation":
        data = pydicom.dcmread(FILES[name], stop_before_pixels=True, force=True)
        assert (
            "Secondary Capture" in data.SOPClassUID.name and data.get("BurnedInAnnotation") != "NO"
        )
        assert_decoder_is_right(name)
    elif image.reason == "multi_frame":
        assert has_frames_without_a_place(
            pydicom.dcmread(FILES[name], stop_before_pixels=True, force=True)
        )
    elif image.reason == "truncated" and name not in REFUSED:
        assert "PixelData" not in pydicom.dcmread(FILES[name], force=True)
    else:
        assert image.reason == REFUSED.get(name, image.reason) and image.reason in NO_IMAGE | set(
            REFUSED.values()
        )
        assert image.reason in REASONS


@pytest.mark.parametrize("syntax", ["expb", "rle"])
def test_a_palette_gives_the_same_colours_in_every_byte_order(syntax: str) -> None:
    name = f"OBXXXX1A_{syntax}.dcm"
    assert np.array_equal(decoded(FILES[name])[0].values, decoded(FILES["OBXXXX1A.dcm"])[0].values)
