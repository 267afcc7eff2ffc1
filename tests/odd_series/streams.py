"""Compressed pixels that decoders read differently, or warn of though nothing is wrong."""

import struct
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    MRImageStorage,
    RLELossless,
    UltrasoundImageStorage,
    VLPhotographicImageStorage,
)

from tests.data_prep.made_jpeg import JFIF, adobe, baseline, lossless
from tests.odd_series.case import Right, odd
from tests.odd_series.made import header, save, with_pixels

ROW, COLUMN = np.mgrid[:48, :64]
GREY = ((5 * ROW + 3 * COLUMN + 90 * ((ROW // 8 + COLUMN // 8) % 2)) % 256).astype(np.uint8)
COLOURS = np.stack([180 + ROW // 2, 120 + COLUMN // 2, 90 + (ROW + COLUMN) // 4], axis=-1).astype(
    np.uint8
)


def ultrasound(
    shown: np.ndarray, syntax: str, frame: bytes, number: int = 1, **elements: object
) -> Dataset:
    return compressed(
        with_pixels(
            header(UltrasoundImageStorage, "US", number, BurnedInAnnotation="NO"), shown, **elements
        ),
        syntax,
        frame,
    )


def photograph(syntax: str, frame: bytes, photometric: str, planar: int = 0) -> Dataset:
    data = with_pixels(
        header(VLPhotographicImageStorage, "XC", BurnedInAnnotation="NO"),
        COLOURS[..., 0],
        SamplesPerPixel=3,
        PhotometricInterpretation=photometric,
        PlanarConfiguration=planar,
    )
    return compressed(data, syntax, frame)


def compressed(data: Dataset, syntax: str, frame: bytes) -> Dataset:
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    return data


def rle(shown: np.ndarray, tail: bytes) -> bytes:
    content = shown.tobytes()
    packed = b"".join(
        bytes([len(part) - 1]) + part
        for part in (content[at : at + 128] for at in range(0, len(content), 128))
    )
    return struct.pack("<16I", 1, 64, *[0] * 14) + packed + tail


def as_ycbcr(stream: bytes) -> np.ndarray:
    """A stream's samples, taken for YCbCr, in RGB."""
    return convert_color_space(
        imagecodecs.jpeg8_decode(stream, colorspace="YCBCR", outcolorspace="YCBCR"),
        "YBR_FULL",
        "RGB",
    )


@odd
def lossless_jpeg(folder: Path) -> Right:
    """Process 14 with predictors 1 and 6. T.81 H."""
    save(ultrasound(GREY, JPEGLosslessSV1, lossless(GREY)), folder / "1.dcm")
    save(ultrasound(GREY[::-1].copy(), JPEGLossless, lossless(GREY[::-1], 6), 2), folder / "2.dcm")
    return Right((GREY, GREY[::-1]))


@odd
def lossless_jpeg_of_an_encoder_with_signed_samples(folder: Path) -> Right:
    """Its differences leave the range of the samples and come back modulo 2**16 (T.81 H.1.2.1). pydicom/pylibjpeg-libjpeg#90, pydicom/pydicom#1644."""
    save(ultrasound(GREY, JPEGLosslessSV1, lossless(GREY, as_signed=True)), folder / "1.dcm")
    return Right((GREY,))


@odd
def lossless_jpeg_of_signed_samples_and_every_predictor(folder: Path) -> Right:
    """Predictors 5 to 7 halve, and half of a wrapped sample is another: what is right must not depend on where a decoder wraps. T.81 table H.1."""
    deep = GREY.astype(np.uint16) * 16
    for predictor in range(2, 8):
        stream = lossless(GREY + predictor, predictor, as_signed=True)
        save(
            ultrasound(GREY + predictor, JPEGLossless, stream, predictor),
            folder / f"{predictor}.dcm",
        )
        stream = lossless(deep + predictor, predictor, 12, as_signed=True)
        save(
            ultrasound(
                deep + predictor, JPEGLossless, stream, 10 + predictor, BitsStored=12, HighBit=11
            ),
            folder / f"deep{predictor}.dcm",
        )
    return Right(
        (
            *(GREY + predictor for predictor in range(2, 8)),
            *(deep + predictor for predictor in range(2, 8)),
        )
    )


@odd
def jpeg_of_12_bits(folder: Path) -> Right:
    """Process 4: flat fields, which lose nothing. T.81 F."""
    flat = np.where(COLUMN < 32, 1000, 3000).astype(np.uint16)
    save(
        ultrasound(
            flat,
            JPEGExtended12Bit,
            imagecodecs.jpeg8_encode(flat, level=100, bitspersample=12),
            BitsStored=12,
            HighBit=11,
        ),
        folder / "1.dcm",
    )
    return Right(
        (imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(flat, level=100, bitspersample=12)),)
    )


@odd
def rle_whose_padding_reads_as_a_run(folder: Path) -> Right:
    """Bytes of padding after the last run. PS3.5 G.3.1; pydicom/pydicom#1438 (786,433 bytes for 786,432)."""
    save(ultrasound(GREY, RLELossless, rle(GREY, b"\0\0")), folder / "1.dcm")
    save(
        ultrasound(GREY[::-1].copy(), RLELossless, rle(GREY[::-1], b"\0\0\0\0"), 2),
        folder / "2.dcm",
    )
    return Right((GREY, GREY[::-1]))


@odd
def rle_that_holds_more_than_its_header_says(folder: Path) -> Right:
    """Another run after the last pixel, or a row that the header does not have: what came before may be shifted as well."""
    save(ultrasound(GREY, RLELossless, rle(GREY, b"\1\7\7")), folder / "1.dcm")
    save(ultrasound(GREY[1:].copy(), RLELossless, rle(GREY, b""), 2), folder / "2.dcm")
    return Right(rejects={"decode_warning": 2})


@odd
def a_jfif_photograph_whose_header_says_rgb(folder: Path) -> Right:
    """JFIF is YCbCr (T.871 6.1). pydicom/pydicom#2280, pydicom/pylibjpeg-libjpeg#29 (green pictures)."""
    stream = baseline(COLOURS, JFIF)
    save(photograph(JPEGBaseline8Bit, stream, "RGB"), folder / "1.dcm")
    return Right((as_ycbcr(stream),))


@odd
def an_adobe_photograph(folder: Path) -> Right:
    """YCbCr by Adobe's marker and by its header. pydicom 3.0.2 with Pillow turns it into RGB twice. T.872 6.5.3."""
    stream = baseline(COLOURS, adobe(1))
    save(photograph(JPEGBaseline8Bit, stream, "YBR_FULL_422"), folder / "1.dcm")
    return Right((as_ycbcr(stream),))


@odd
def a_photograph_in_rgb(folder: Path) -> Right:
    """RGB by Adobe's marker and by its header. T.872 6.5.3."""
    stream = baseline(COLOURS, adobe(0), rgb=True)
    save(photograph(JPEGBaseline8Bit, stream, "RGB"), folder / "1.dcm")
    return Right((imagecodecs.jpeg8_decode(stream, colorspace="RGB", outcolorspace="RGB"),))


@odd
def a_photograph_that_is_rgb_and_ycbcr(folder: Path) -> Right:
    """JFIF, and components named R, G and B: both cannot be (T.871 6.1), and decoders take one or the other."""
    save(
        photograph(JPEGBaseline8Bit, baseline(COLOURS, JFIF, rgb=True), "YBR_FULL"),
        folder / "1.dcm",
    )
    return Right(rejects={"unclear_colours": 1})


@odd
def a_thinned_out_photograph_whose_header_says_rgb(folder: Path) -> Right:
    """No marker says anything, and every second colour is left out, as only YCbCr has it. PS3.5 8.2.1; pydicom gives green pictures."""
    save(photograph(JPEGBaseline8Bit, baseline(COLOURS), "RGB"), folder / "1.dcm")
    return Right(rejects={"unclear_colours": 1})


@odd
def colour_by_plane_in_a_codec_with_its_own_order(folder: Path) -> Right:
    """Planar Configuration 1 beside JPEG 2000, whose order is its own (PS3.5 8.2.4). pydicom 3.0.2 cuts the pixels into planes."""
    save(
        photograph(
            JPEG2000Lossless,
            imagecodecs.jpeg2k_encode(COLOURS, codecformat="j2k", level=0, reversible=True),
            "YBR_RCT",
            planar=1,
        ),
        folder / "1.dcm",
    )
    return Right((COLOURS,))


@odd
def a_stream_with_fewer_bits_than_a_signed_header(folder: Path) -> Right:
    """A lossless JPEG of 12 bits for 16 stored and signed: GDCM takes its highest bit for a sign, pydicom does not."""
    words = np.where(COLUMN < 32, 5, 3000).astype(np.int16)
    data = with_pixels(header(MRImageStorage, "MR"), words)
    save(compressed(data, JPEGLosslessSV1, lossless(words, bits=12)), folder / "1.dcm")
    return Right(rejects={"bad_bits": 1})


@odd
def a_stream_with_fewer_bits_and_no_value_that_may_be_negative(folder: Path) -> Right:
    """Its sound neighbour: every reading gives the same."""
    words = np.where(COLUMN < 32, 5, 2000).astype(np.int16)
    save(
        compressed(
            with_pixels(header(MRImageStorage, "MR"), words),
            JPEGLosslessSV1,
            lossless(words, bits=12),
        ),
        folder / "1.dcm",
    )
    return Right((words,))


@odd
def more_bytes_than_pixels(folder: Path) -> Right:
    """Bytes after the last pixel may be ignored (PS3.5 8.1.1), and a Number of Frames of 0 is one of a single image."""
    data = with_pixels(header(MRImageStorage, "MR"), GREY)
    data.PixelData += bytes(10)
    save(data, folder / "1.dcm")
    other = with_pixels(header(MRImageStorage, "MR", 2), GREY[::-1].copy(), NumberOfFrames=0)
    save(other, folder / "2.dcm")
    return Right((GREY, GREY[::-1]))
