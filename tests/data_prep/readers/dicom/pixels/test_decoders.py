"""Every decoder is held to a second one, and to what was written, over syntax, depth, sign, predictor and colour."""

import struct
import tempfile

import imagecodecs
import jpeg_ls
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from data_prep.readers.dicom.pixels.decoders import DECODERS
from data_prep.rejects import REASONS, Rejected
from tests.data_prep.made_dicom import as_bytes, colour, encapsulated, grey, read_pixels
from tests.data_prep.made_jpeg import JFIF, adobe, baseline, lossless, renamed

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
ROW, COLUMN = np.mgrid[:40, :48]
PICTURE = np.stack([180 + ROW // 2, 120 + COLUMN // 2, 90 + (ROW + COLUMN) // 4], axis=-1).astype(
    np.uint8
)
CLOSE = 3  # of 255: what baseline JPEG of quality 95 loses of that picture


def pattern(bits: int, signed: bool = False, samples: int = 1) -> np.ndarray:
    """Every edge of the range of `bits`, with jumps over nearly all of it."""
    full = 1 << bits
    values = (ROW * 7 + COLUMN * 3 + (ROW // 4 + COLUMN // 4) % 2 * full // 3) % full
    values = (
        np.stack([(values + full * place // 5) % full for place in range(3)], axis=-1)
        if samples == 3
        else values
    )
    values.flat[:2] = 0, full - 1
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    return (values - full // 2 * signed).astype(f"{'i' if signed else 'u'}{size}")


def described(bits: int, signed: bool) -> dict[str, int]:
    return {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}


def codes(values: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement in `bits`, as codecs that know no sign have it."""
    return (values.astype(int) % (1 << bits)).astype(f"u{values.itemsize}")


def by_gdcm(data: Dataset) -> np.ndarray:
    """What the GDCM in SimpleITK decodes."""
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        file.write(as_bytes(data))
        file.flush()
        return sitk.GetArrayFromImage(sitk.ReadImage(file.name))[0]


def read(data: Dataset) -> np.ndarray:
    return read_pixels(as_bytes(data)).values


def refused(data: Dataset) -> str:
    with pytest.raises(Rejected) as caught:
        read(data)
    assert caught.value.reason in REASONS
    return caught.value.reason


def test_each_syntax_has_one_named_decoder_that_pydicom_knows() -> None:
    for syntax, name in DECODERS.items():
        assert not name or name in get_decoder(syntax).available_plugins, syntax.name


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 7, 8, 9, 12, 15, 16])
@pytest.mark.parametrize(
    "syntax",
    [*NATIVE, RLELossless, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.name,
)
def test_what_was_written_without_loss_is_read_as_it_was(
    syntax: str, bits: int, signed: bool
) -> None:
    if bits == 1 and (signed or syntax == JPEGLSLossless):
        return  # one bit has no sign, and JPEG-LS has two at least
    stored = pattern(bits, signed)
    data = grey(stored, syntax, **described(bits, signed))
    assert np.array_equal(read(data), stored)
    if bits >= 8:  # GDCM reads no fewer
        assert np.array_equal(by_gdcm(data), stored)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [2, 8, 12, 16])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_of_every_predictor(predictor: int, bits: int, signed: bool) -> None:
    stored = pattern(bits, signed)
    syntax = JPEGLosslessSV1 if predictor == 1 else JPEGLossless
    data = encapsulated(
        grey(stored, **described(bits, signed)),
        syntax,
        lossless(codes(stored, bits), predictor, bits),
    )
    assert np.array_equal(read(data), stored)
    if bits >= 8:
        assert np.array_equal(by_gdcm(data), stored)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_in_colour_whatever_the_header_says_of_planes(
    predictor: int, planar: int
) -> None:
    stored = pattern(8, samples=3)
    data = encapsulated(
        colour(stored, PlanarConfiguration=planar), JPEGLossless, lossless(stored, predictor)
    )
    assert np.array_equal(read(data), stored) and np.array_equal(by_gdcm(data), stored)


@pytest.mark.parametrize(
    "predictor", range(1, 5)
)  # those of one neighbour or three: the others' halves depend on the sign
def test_lossless_jpeg_of_an_encoder_that_takes_samples_for_signed(predictor: int) -> None:
    """T.81 H.1.2.1: differences are modulo 2**16. pydicom/pylibjpeg-libjpeg#90: whatever is 128 or more came out as 255."""
    stored = pattern(8)
    data = encapsulated(grey(stored), JPEGLossless, lossless(stored, predictor, as_signed=True))
    assert np.array_equal(read(data), stored) and np.array_equal(by_gdcm(data), stored)


def test_baseline_jpeg_by_two_decoders() -> None:
    stored = (COLUMN * 4 + ROW).astype(np.uint8)
    data = encapsulated(grey(stored), JPEGBaseline8Bit, imagecodecs.jpeg8_encode(stored, level=98))
    assert (
        np.abs(read(data) - stored).max() <= CLOSE and np.abs(read(data) - by_gdcm(data)).max() <= 1
    )  # T.83 leaves a decoder that


@pytest.mark.parametrize("bits", [8, 12])
def test_extended_jpeg_by_two_decoders(bits: int) -> None:
    stored = (COLUMN * (1 << bits) // 60 + ROW).astype(np.uint8 if bits == 8 else np.uint16)
    stream = imagecodecs.jpeg8_encode(stored, level=98, bitspersample=bits)
    data = encapsulated(grey(stored, **described(bits, False)), JPEGExtended12Bit, stream)
    assert np.abs(read(data) - stored).max() <= 2 ** (bits - 7) and np.array_equal(
        read(data), by_gdcm(data)
    )


def test_a_stream_of_8_bits_in_16_allocated() -> None:
    stored = pattern(8).astype(np.uint16)
    data = encapsulated(grey(stored, **described(8, False)), JPEGLosslessSV1, lossless(stored))
    assert np.array_equal(read(data), stored)


def test_bits_of_a_stream_beyond_those_stored_are_no_values() -> None:
    """PS3.5 8.1.1: unused high bits, such as old overlays, come along where a whole word was compressed."""
    stored = pattern(12)
    data = encapsulated(
        grey(stored, **described(12, False)), JPEGLosslessSV1, lossless(stored | 0xA000, bits=16)
    )
    assert np.array_equal(read(data), stored)


@pytest.mark.parametrize(("bits", "stored_bits"), [(8, 12), (12, 16), (10, 12)])
@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, JPEGLSLossless], ids=lambda syntax: syntax.name
)
def test_a_sign_that_decoders_guess_differently_is_refused(
    syntax: str, bits: int, stored_bits: int
) -> None:
    """A stream of fewer bits than Bits Stored of a signed image: GDCM 3 and pydicom 3.0.2 extend the sign in some of these, not in others."""

    def made(values: np.ndarray) -> Dataset:
        words = values.astype(np.int16)
        stream = lossless(codes(words, bits), bits=bits)
        if syntax == JPEGLSLossless:
            stream = bytes(
                jpeg_ls.encode_array(
                    codes(values, bits).astype(np.uint8 if bits <= 8 else np.uint16)
                )
            )
        return encapsulated(grey(words, **described(stored_bits, True)), syntax, stream)

    assert refused(made(pattern(bits, True))) == "bad_bits"
    low = pattern(bits - 1).astype(np.int16)
    if syntax == JPEGLosslessSV1:  # no value that may be negative: every reading is the same
        assert np.array_equal(read(made(low)), low)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.name
)
def test_colour_whatever_the_header_says_of_planes(syntax: str, planar: int) -> None:
    """A codec has an order of its own. pydicom 3.0.2 cuts JPEG 2000 and JPEG into planes where Planar Configuration is 1."""
    stored = pattern(8, samples=3)
    data = colour(stored, syntax)
    data.PlanarConfiguration = planar
    assert np.array_equal(read(data), stored) and np.array_equal(by_gdcm(data), stored)


def test_a_photograph_whatever_the_header_says_of_planes() -> None:
    data = encapsulated(
        colour(PICTURE, PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=1),
        JPEGBaseline8Bit,
        baseline(PICTURE),
    )
    assert np.abs(read(data).astype(int) - PICTURE).max() <= CLOSE


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=lambda syntax: syntax.name,
)
def test_plain_colour_in_planes(syntax: str) -> None:
    stored = pattern(8, samples=3)
    data = colour(
        stored, syntax, PlanarConfiguration=1, PixelData=stored.transpose(2, 0, 1).tobytes()
    )
    assert np.array_equal(read(data), stored)


def test_plain_and_packed_ycbcr() -> None:
    """PS3.3 C.7.6.3.1.2: YBR_FULL_422 keeps every second Cb and Cr of a row."""
    spread = np.repeat(PICTURE[:, ::2], 2, axis=1)
    ycbcr = convert_color_space(spread, "RGB", "YBR_FULL")
    whole = colour(ycbcr, PhotometricInterpretation="YBR_FULL")
    pairs = np.stack(
        [ycbcr[:, ::2, 0], ycbcr[:, 1::2, 0], ycbcr[:, ::2, 1], ycbcr[:, ::2, 2]], axis=-1
    )
    thinned = colour(ycbcr, PhotometricInterpretation="YBR_FULL_422", PixelData=pairs.tobytes())
    for data in (whole, thinned, colour(ycbcr, RLELossless, PhotometricInterpretation="YBR_FULL")):
        assert np.abs(read(data).astype(int) - spread).max() <= 1


@pytest.mark.parametrize(
    ("markers", "rgb"),
    [
        (b"", False),
        (JFIF, False),
        (adobe(1), False),
        (JFIF + adobe(1), False),
        (adobe(0), True),
        (b"", True),
    ],
    ids=["nothing", "JFIF", "Adobe YCbCr", "JFIF and Adobe YCbCr", "Adobe RGB", "names"],
)
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    "syntax", [JPEGBaseline8Bit, JPEGExtended12Bit], ids=lambda syntax: syntax.name
)
def test_a_photograph_is_in_the_colours_that_its_stream_says(
    syntax: str, photometric: str, markers: bytes, rgb: bool
) -> None:
    """T.871 6.1, T.872 6.5.3. pydicom 3.0.2 with Pillow turns a stream with Adobe's marker into RGB twice."""
    data = encapsulated(
        colour(PICTURE, PhotometricInterpretation=photometric),
        syntax,
        baseline(PICTURE, markers, rgb),
    )
    if not markers and not rgb and photometric == "RGB":  # thinned out colours, which RGB never is
        assert refused(data) == "unclear_colours"
    else:
        assert np.abs(read(data).astype(int) - PICTURE).max() <= CLOSE


@pytest.mark.parametrize(("photometric", "rgb"), [("RGB", True), ("YBR_FULL", False)])
def test_a_stream_that_says_nothing_is_what_the_header_says(photometric: str, rgb: bool) -> None:
    stream = (
        renamed(baseline(PICTURE, rgb=True), b"\1\2\3") if rgb else baseline(PICTURE, subsampling=0)
    )
    assert (
        np.abs(
            read(
                encapsulated(
                    colour(PICTURE, PhotometricInterpretation=photometric), JPEGBaseline8Bit, stream
                )
            ).astype(int)
            - PICTURE
        ).max()
        <= CLOSE
    )


@pytest.mark.parametrize(
    ("markers", "names"),
    [(JFIF, b"RGB"), (JFIF + adobe(0), b"RGB"), (JFIF + adobe(0), b"\1\2\3"), (b"", b"rgb")],
)
def test_a_stream_that_contradicts_itself_is_refused(markers: bytes, names: bytes) -> None:
    stream = renamed(baseline(PICTURE, markers, rgb=True), names)
    data = encapsulated(
        colour(PICTURE, PhotometricInterpretation="YBR_FULL"), JPEGBaseline8Bit, stream
    )
    assert refused(data) == "unclear_colours"


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLSLossless], ids=lambda syntax: syntax.name)
def test_jfif_in_a_lossless_stream_is_ycbcr_only_where_the_header_agrees(
    syntax: str, photometric: str
) -> None:
    """T.871 is about lossy streams; pydicom 3.0.2 takes any for YCbCr."""
    stored = (
        convert_color_space(PICTURE, "RGB", "YBR_FULL") if photometric == "YBR_FULL" else PICTURE
    )
    stream = (
        lossless(stored)
        if syntax == JPEGLossless
        else bytes(jpeg_ls.encode_array(stored, interleave_mode=2))
    )
    plain, marked = (
        encapsulated(colour(stored, PhotometricInterpretation=photometric), syntax, content)
        for content in (stream, stream[:2] + JFIF + stream[2:])
    )
    assert np.abs(read(plain).astype(int) - PICTURE).max() <= 1
    if photometric == "RGB":
        assert refused(marked) == "unclear_colours"
    else:
        assert np.array_equal(read(marked), read(plain))


@pytest.mark.parametrize("interleave", [0, 1, 2])
@pytest.mark.parametrize("planar", [0, 1])
def test_jpeg_ls_in_every_interleave_mode(interleave: int, planar: int) -> None:
    stored = pattern(8, samples=3)
    stream = bytes(
        jpeg_ls.encode_array(
            stored if interleave else np.ascontiguousarray(stored.transpose(2, 0, 1)),
            interleave_mode=interleave,
        )
    )
    assert np.array_equal(
        read(encapsulated(colour(stored, PlanarConfiguration=planar), JPEGLSLossless, stream)),
        stored,
    )
    assert np.array_equal(
        imagecodecs.jpegls_decode(stream).reshape(stored.shape) if interleave else stored, stored
    )


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_nearly_lossless_jpeg_ls_by_two_decoders(bits: int, signed: bool) -> None:
    stored = pattern(bits, signed) // 2
    data = grey(stored, **described(bits, signed))
    data.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
    assert np.abs(read(data) - stored).max() <= 2 and np.array_equal(read(data), by_gdcm(data))


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_2000_whose_sign_is_not_the_headers(bits: int, signed: bool) -> None:
    """Many encoders write signed values as unsigned ones of the same bits."""
    stored = pattern(bits, signed)
    other = (
        codes(stored, bits)
        if signed
        else (stored.astype(int) - ((stored >> (bits - 1)).astype(int) << bits)).astype(
            f"i{stored.itemsize}"
        )
    )
    data = grey(other, JPEG2000Lossless, **described(bits, not signed))
    data.PixelRepresentation = int(signed)
    assert np.array_equal(read(data), stored) and np.array_equal(by_gdcm(data), stored)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_FULL"])
@pytest.mark.parametrize("transform", [False, True])
def test_jpeg_2000_with_and_without_its_own_colour_transform(
    photometric: str, transform: bool
) -> None:
    meant = photometric == "YBR_FULL" and not transform
    written = convert_color_space(PICTURE, "RGB", "YBR_FULL") if meant else PICTURE
    data = encapsulated(
        colour(PICTURE, PhotometricInterpretation=photometric),
        JPEG2000Lossless,
        imagecodecs.jpeg2k_encode(
            written, codecformat="j2k", level=0, reversible=True, mct=transform
        ),
    )
    if photometric == "YBR_FULL" and transform:
        assert refused(data) == "unclear_colours"
    else:
        assert np.abs(read(data).astype(int) - PICTURE).max() <= (1 if meant else 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_high_throughput_jpeg_2000_by_two_libraries(dtype: type) -> None:
    """Written by OpenJPH, read by OpenJPEG."""
    stored = pattern(8 * np.dtype(dtype).itemsize, np.dtype(dtype).kind == "i")
    assert np.array_equal(
        read(
            encapsulated(
                grey(stored), HTJ2KLossless, imagecodecs.htj2k_encode(stored, reversible=True)
            )
        ),
        stored,
    )
    photograph = encapsulated(
        colour(PICTURE, PhotometricInterpretation="YBR_RCT"),
        HTJ2KLossless,
        imagecodecs.htj2k_encode(PICTURE, reversible=True),
    )
    assert np.array_equal(read(photograph), PICTURE)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless], ids=lambda syntax: syntax.name)
def test_a_high_bit_above_the_stored_ones(syntax: str, signed: bool) -> None:
    """PS3.5 8.1.1 until 2014: 12 bits stored, High Bit 15 are the upper 12 of a word. pydicom 3.0.2 takes the lower ones."""
    stored = pattern(12, signed)
    data = grey(stored << 4, syntax)
    data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 15, int(signed)
    assert np.array_equal(read(data), stored)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, RLELossless], ids=lambda syntax: syntax.name
)
def test_a_high_bit_that_cannot_be_is_refused(syntax: str) -> None:
    def made(values: np.ndarray, **bits: int) -> Dataset:
        data = grey(values, syntax)
        for keyword, value in bits.items():
            setattr(data, keyword, value)
        return data

    assert refused(made(pattern(16), BitsStored=16, HighBit=11)) == "bad_bits"
    assert (
        refused(made(pattern(8), BitsStored=8, HighBit=15))
        == refused(made(pattern(16), BitsStored=17, HighBit=15))
        == "bad_bits"
    )
    assert (
        refused(made(pattern(12), BitsStored=12, HighBit=15)) == "bad_bits"
    )  # the values are in the lower bits after all
    data = encapsulated(
        grey(pattern(12), **described(12, False)), JPEGLosslessSV1, lossless(pattern(12), bits=12)
    )
    data.HighBit = 15
    assert refused(data) == "bad_bits"


@pytest.mark.parametrize("high", [11, 15])
def test_an_overlay_in_unused_bits_is_left_out(high: int) -> None:
    """PS3.5 8.1.2, until 2004: Overlay Bits Allocated is that of the pixels, Overlay Bit Position is one of the unused."""
    stored, overlay = pattern(12), (ROW % 3 == 0).astype(np.uint16)
    word = stored | overlay << 15 if high == 11 else stored << 4 | overlay
    data = grey(word, BitsStored=12, HighBit=high)
    for element, value in (
        (0x0010, 40),
        (0x0011, 48),
        (0x0100, 16),
        (0x0102, 15 if high == 11 else 0),
    ):
        data.add_new((0x6000, element), "US", value)
    assert np.array_equal(read(data), stored)


def frames_of(values: list[np.ndarray], content: bytes, syntax: str = RLELossless) -> Dataset:
    data = encapsulated(grey(values[0]), syntax, b"\0\0")
    data.PixelData, data.NumberOfFrames = content, len(values)
    return data


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("has_bot", [False, True])
def test_a_frame_in_several_fragments(fragments: int, has_bot: bool) -> None:
    """PS3.5 A.4, with an offset table and without."""
    stored = pattern(8)
    frame = bytes(jpeg_ls.encode_array(stored))
    data = frames_of(
        [stored],
        encapsulate(
            [frame + b"\0" * (len(frame) % 2)], fragments_per_frame=fragments, has_bot=has_bot
        ),
        JPEGLSLossless,
    )
    assert np.array_equal(read(data), stored)


def test_an_extended_offset_table() -> None:
    stored = pattern(8)
    frame = bytes(jpeg_ls.encode_array(stored))
    data = frames_of([stored], b"", JPEGLSLossless)
    data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = (
        encapsulate_extended([frame + b"\0" * (len(frame) % 2)])
    )
    assert np.array_equal(read(data), stored)


def rle(values: np.ndarray, tail: bytes) -> bytes:
    """One segment of literal runs, then `tail`."""
    content = values.tobytes()
    packed = b"".join(
        bytes([len(part) - 1]) + part
        for part in (content[at : at + 128] for at in range(0, len(content), 128))
    )
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + packed + tail
    return frame + b"\0" * (len(frame) % 2)


@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0", b"\0\0\0\0", b"\xff\xff"])
def test_rle_with_padding_that_reads_as_a_run_is_sound(tail: bytes) -> None:
    """PS3.5 G.3.1; pydicom/pydicom#1438."""
    assert np.array_equal(
        read(encapsulated(grey(pattern(8)), RLELossless, rle(pattern(8), tail))), pattern(8)
    )


@pytest.mark.parametrize("tail", [b"\1\7\7", b"\0\7", b"\xfe\7"])
def test_rle_with_more_than_padding_is_refused(tail: bytes) -> None:
    assert (
        refused(encapsulated(grey(pattern(8)), RLELossless, rle(pattern(8), tail)))
        == "decode_warning"
    )


def test_rle_of_more_rows_than_the_header_has_is_refused() -> None:
    assert (
        refused(encapsulated(grey(pattern(8)[:-1]), RLELossless, rle(pattern(8), b"")))
        == "decode_warning"
    )


def test_a_compressed_length_that_is_by_chance_that_of_plain_pixels_is_sound() -> None:
    stored = np.where(COLUMN < 9, 5, 200).astype(np.uint8)
    stream = bytes(jpeg_ls.encode_array(stored))
    items = 2 * 8  # an empty offset table and the fragment's own head
    assert np.array_equal(
        read(
            encapsulated(
                grey(stored), JPEGLSLossless, stream + bytes(stored.size - items - len(stream))
            )
        ),
        stored,
    )


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [(JPEGBaseline8Bit, baseline(PICTURE)), (JPEGLosslessSV1, lossless(PICTURE[..., 0]))],
)
def test_a_stream_that_ends_early_is_refused(syntax: str, stream: bytes) -> None:
    data = encapsulated(
        (colour if syntax == JPEGBaseline8Bit else grey)(
            PICTURE if syntax == JPEGBaseline8Bit else PICTURE[..., 0]
        ),
        syntax,
        stream[: len(stream) * 2 // 3],
    )
    assert refused(data) in ("truncated", "unclear_colours")
