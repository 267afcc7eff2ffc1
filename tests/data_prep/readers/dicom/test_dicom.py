"""DICOM files: every syntax gives the values that were written, and every doubt is a reason."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from data_prep.exports.sources import Found
from data_prep.readers.dicom import file as dicom
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.rejects import Rejected
from tests.data_prep.made_dicom import (
    NATIVE,
    as_bytes,
    colour,
    encapsulated,
    grey,
    ramp,
    read_pixels,
    volume,
)


def header(content: bytes, **options: bool) -> ImageFile:
    return dicom.read_header(io.BytesIO(content), Found("x", Path("x"), len(content)), **options)


def pixels(content: bytes) -> Pixels:
    return read_pixels(content, header(content))


def reason(content: bytes) -> str:
    with pytest.raises(Rejected) as caught:
        pixels(content)
    return caught.value.reason


@pytest.mark.parametrize(
    "syntax",
    [*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.name,
)
def test_every_lossless_syntax_gives_the_values_that_were_written(syntax: str) -> None:
    content = as_bytes(grey(ramp(48, 40), syntax))  # JPEG 2000's encoder refuses smaller ones
    assert np.array_equal(pixels(content).values, ramp(48, 40))
    assert header(content).header.facts.transfer_syntax == syntax


@pytest.mark.parametrize(
    ("syntax", "stated", "doubtful"),
    [
        (JPEG2000Lossless, (0, 4000), False),
        (JPEG2000Lossless, (0, 3999), True),
        (JPEG2000Lossless, (1, 4000), True),
        (RLELossless, (1, 4000), True),
        (JPEG2000Lossless, (0, 0), False),
        (ExplicitVRLittleEndian, (0, 3999), False),
    ],
)
def test_values_outside_the_range_that_the_file_states_are_doubtful_where_compression_loses_nothing(
    syntax: str, stated: tuple[int, int], doubtful: bool
) -> None:
    data = grey(ramp(48, 40), syntax)
    data.SmallestImagePixelValue, data.LargestImagePixelValue = stated
    assert pixels(as_bytes(data)).doubtful == doubtful


def test_signed_values_are_rescaled_slice_by_slice() -> None:
    stored = (ramp().astype(np.int32) - 2000).astype(np.int16)
    content = as_bytes(grey(stored, RescaleSlope=2, RescaleIntercept=-24))
    assert np.array_equal(pixels(content).values, stored * 2.0 - 24)


def test_dirty_bits_above_the_stored_ones_are_ignored() -> None:
    clean = np.linspace(-2000, 2000, 120).reshape(12, 10).astype(np.int16)
    dirty = ((clean.view(np.uint16) & 0x0FFF) | 0x3000).view(np.int16)
    assert np.array_equal(pixels(as_bytes(grey(dirty, BitsStored=12, HighBit=11))).values, clean)


def test_lossless_jpeg_is_read_like_its_uncompressed_twin() -> None:
    twin = pydicom.dcmread(get_testdata_file("SC_rgb_jpeg_gdcm.dcm"))
    assert twin.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    decoded = read_pixels(Path(get_testdata_file("SC_rgb_jpeg_gdcm.dcm")).read_bytes()).values
    assert tuple(decoded[5, 50]) == (255, 0, 0)  # the file's first bar is red


def baseline(frame_end: int | None = None) -> tuple[bytes, np.ndarray]:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32] = (200, 40, 40)
    picture[:, 32:] = (40, 40, 200)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95, subsampling=0)
    data = colour(picture, PhotometricInterpretation="YBR_FULL")
    return as_bytes(encapsulated(data, JPEGBaseline8Bit, stream.getvalue()[:frame_end])), picture


def test_baseline_jpeg_in_ybr_becomes_rgb() -> None:
    content, picture = baseline()
    decoded = pixels(content)
    assert decoded.photograph
    assert np.abs(decoded.values.astype(int) - picture)[:, [5, 50]].max() <= 4


def test_a_jpeg_stream_cut_short_is_truncated() -> None:
    assert reason(baseline(frame_end=-40)[0]) == "truncated"


def test_planar_colour_is_read_plane_by_plane() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    data = colour(picture, PlanarConfiguration=1)
    data.PixelData = picture.transpose(2, 0, 1).tobytes()
    assert np.array_equal(pixels(as_bytes(data)).values, picture)


def test_palette_colour_becomes_rgb() -> None:
    indices = np.array([[0, 1], [2, 3]], np.uint8)
    data = grey(indices, PhotometricInterpretation="PALETTE COLOR")
    for name, table in {
        "Red": [0, 255, 0, 9],
        "Green": [0, 0, 255, 8],
        "Blue": [5, 6, 7, 8],
    }.items():
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(data, f"{name}PaletteColorLookupTableData", bytes(table))
    assert pixels(as_bytes(data)).values.tolist() == [
        [[0, 0, 5], [255, 0, 6]],
        [[0, 255, 7], [9, 8, 8]],
    ]


def test_monochrome1_is_marked_as_inverted() -> None:
    assert pixels(as_bytes(grey(ramp(), PhotometricInterpretation="MONOCHROME1"))).inverted
    assert not pixels(as_bytes(grey(ramp()))).inverted


def test_padding_is_masked_also_where_its_sign_is_written_wrongly() -> None:
    stored = (ramp().astype(np.int32) - 2000).astype(np.int16)
    stored[0, :4] = -2048
    decoded = pixels(as_bytes(grey(stored, PixelPaddingValue=-2048)))
    assert decoded.valid is not None and np.array_equal(decoded.valid, stored != -2048)
    wrong_sign = grey(stored)
    wrong_sign.add_new("PixelPaddingValue", "US", 63488)
    assert np.array_equal(pixels(as_bytes(wrong_sign)).valid, stored != -2048)


def test_a_file_without_preamble_is_read_when_its_class_is_known() -> None:
    data = grey(ramp(), pydicom.uid.ImplicitVRLittleEndian)
    stream = io.BytesIO()
    del data.file_meta
    pydicom.dcmwrite(stream, data, implicit_vr=True, little_endian=True)
    assert header(stream.getvalue(), bare=True).header.shape == (12, 10)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    "syntax", [*NATIVE, RLELossless, JPEGLSLossless], ids=lambda syntax: syntax.name
)
def test_a_truncated_file_is_rejected_wherever_it_ends(syntax: str, keep: float) -> None:
    content = as_bytes(
        grey(np.random.default_rng(0).integers(0, 4000, (40, 40), np.uint16), syntax)
    )
    assert reason(content[: int(len(content) * keep)]) in {
        "truncated",
        "not_decodable",
        "unknown_sop_class",
    }


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned_in_annotation"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "burned_in_annotation"),
        ({"SOPClassUID": SegmentationStorage}, "derived_object"),
        ({"SOPClassUID": "1.2.3"}, "unknown_sop_class"),
        ({"NumberOfFrames": 2}, "multi_frame"),
        ({"SamplesPerPixel": 2}, "unsupported_pixels"),
        ({"PhotometricInterpretation": "<b>"}, "unsupported_pixels"),
        ({"SOPInstanceUID": ""}, "no_instance_uid"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "bad_rescale"),
        ({"RescaleSlope": 1}, "bad_rescale"),
    ],
)
def test_a_doubtful_header_is_rejected_for_its_reason(
    elements: dict[str, object], expected: str
) -> None:
    assert reason(as_bytes(grey(ramp(), **elements))) == expected


def test_a_capture_that_says_it_shows_no_annotation_is_read() -> None:
    content = as_bytes(
        grey(ramp(), SOPClassUID=SecondaryCaptureImageStorage, BurnedInAnnotation="NO")
    )
    assert np.array_equal(pixels(content).values, ramp())


def test_an_unknown_transfer_syntax_is_named_only_if_it_is_public() -> None:
    public = as_bytes(encapsulated(grey(ramp()), MPEG2MPML, b"x"))
    private = MPEG2MPML.replace("10008", "99999")
    hidden = public.replace(MPEG2MPML.encode(), private.encode())
    for content, shown in ((public, MPEG2MPML), (hidden, "a private transfer syntax")):
        with pytest.raises(Rejected, match="unknown_transfer_syntax") as caught:
            header(content)
        assert caught.value.found == shown


def test_a_file_that_is_no_longer_the_one_scanned_is_rejected() -> None:
    before, after = as_bytes(grey(ramp())), as_bytes(grey(ramp(), SOPInstanceUID="1.2.9"))
    with pytest.raises(Rejected, match="file_changed"):
        read_pixels(after, header(before))


def test_facts_pass_their_gates_or_are_missing() -> None:
    facts = header(
        as_bytes(
            grey(
                ramp(),
                Manufacturer="ACME Scanners",
                ManufacturerModelName="Doe 3000",
                Modality="<script>",
                PatientAge="097Y",
                PatientSex="F",
                PixelSpacing=[0.7, 0.5],
            )
        )
    ).header.facts
    assert (facts.manufacturer, facts.model, facts.modality) == ("ACME Scanners", None, "OT")
    assert (facts.age, facts.sex, facts.study_year, facts.spacing) == (90.0, "F", 2019, (0.7, 0.5))


def test_an_overlong_decimal_string_is_read() -> None:
    content = as_bytes(grey(ramp(), PixelSpacing=[0.25, 0.5])).replace(b"0.25\\0.5", b"0.250\\.5")
    assert header(content).header.facts.spacing == (0.25, 0.5)


def test_nothing_is_printed_about_a_malformed_value(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    content = as_bytes(grey(ramp(), StudyDate="20190615")).replace(b"20190615", b"ZZPHI-17")
    assert header(content).header.facts.study_year is None
    assert "ZZPHI" not in "".join(capfd.readouterr()) + "".join(
        str(warning.message) for warning in recwarn
    )


def test_what_the_slices_of_a_series_have_in_common_is_held_once_and_zero_has_no_sign() -> None:
    first, second = volume(2)
    second.ImageOrientationPatient = [1, -0.0, 0, 0, 1, -0.0]
    one, other = header(as_bytes(first)), header(as_bytes(second))
    assert (
        one.header.facts is other.header.facts
        and one.header.shape is other.header.shape
        and one.header.place.meaning is other.header.place.meaning
        and one.header.place.orientation is other.header.place.orientation
    )
    assert (
        one.identity.elements["SeriesInstanceUID"] is other.identity.elements["SeriesInstanceUID"]
        and one.header.place.position != other.header.place.position
    )
    assert repr(other.header.place.orientation) == repr((1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
