"""JPEG (T.81) as a decoder on pydicom's contract: Pillow for Baseline, imagecodecs for 12 bits and
lossless; samples as the stream has them.

pydicom's own plugin for Pillow lets libjpeg turn a stream with an Adobe marker into RGB and then
turns it again.
"""

import io
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from data_prep.readers.dicom.pixels.codestream import JPEG_SIZES, jpeg_segments
from data_prep.rejects import Rejected

DECODER_DEPENDENCIES = {
    JPEGBaseline8Bit: ("pillow",),
    JPEGExtended12Bit: ("imagecodecs",),
    JPEGLossless: ("imagecodecs",),
    JPEGLosslessSV1: ("imagecodecs",),
}
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit)
APP0, APP14 = 0xE0, 0xEE
ADOBE_TRANSFORM = (
    11  # its place in the marker, which libjpeg does not look at where that is shorter
)
# T.81 table H.1: predictors from 5 on halve what they predict from, and half of a wrapped sample is
# another.
START_OF_SCAN, HALVING = (
    0xDA,
    5,
)
MOST_BITS = 16  # of a lossless sample
# To libjpeg small letters are no names, to pydicom they are.
NAMES_ALONE = {
    b"RGB": {"RGB"},
    b"rgb": {"RGB", "YBR"},
}


def is_available(uid: str) -> bool:
    """As pydicom asks its plugins."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """One frame's samples, colour by pixel.

    Raises ValueError where they do not fit in Bits Allocated.
    """
    colour = runner.samples_per_pixel == 3
    if colour:
        # PS3.5 8.2.1 asks a header for that, but a stream's order is its own.
        runner.set_option("planar_configuration", 0)
    stated = colour_space(src) if colour and runner.transfer_syntax in LOSSY else ""
    if stated == "RGB":
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    elif stated:
        runner.set_option("photometric_interpretation", PhotometricInterpretation.YBR_FULL)
    # Pillow notices a stream that ends early, which libjpeg by itself does not.
    if runner.transfer_syntax == JPEGBaseline8Bit:
        image = Image.open(io.BytesIO(src), formats=("JPEG",))
        if colour and stated != "RGB":
            image.draft("YCbCr", image.size)  # no conversion, of whatever the three are
        samples = np.asarray(image)
    else:
        # The same on both sides: no conversion.
        space = {"colorspace": "RGB", "outcolorspace": "RGB"} if colour else {}
        samples = _samples(src, space)
    if samples.dtype.itemsize * 8 > runner.bits_allocated:
        raise ValueError("samples of more bits than Bits Allocated")
    return samples.astype(f"<u{runner.bits_allocated // 8}").tobytes()


def _samples(stream: bytes, space: dict[str, Any]) -> np.ndarray:
    """Samples of a stream of 12 bits or a lossless one.

    Raises ValueError where an encoder's arithmetic cannot be told.

    An encoder that takes samples for signed numbers is right modulo their bits, whatever wraps;
    with a predictor that halves only if nothing does. So such a stream is decoded as one of 16
    bits, which differs from it by the first prediction alone (T.81 H.1.2.1).
    """
    frame = next(segment for marker, segment in jpeg_segments(stream) if marker in JPEG_SIZES)
    predictor = next(
        segment[-3] for marker, segment in jpeg_segments(stream) if marker == START_OF_SCAN
    )
    if predictor < HALVING or frame[0] == MOST_BITS:
        return imagecodecs.jpeg8_decode(stream, **space)
    half = 1 << (frame[0] - 1)
    wide = imagecodecs.jpeg8_decode(
        stream.replace(frame, bytes([MOST_BITS]) + frame[1:], 1), **space
    )
    samples = wide.astype(np.int32) - ((1 << (MOST_BITS - 1)) - half)
    lowest, highest = int(samples.min()), int(samples.max())
    if not (0 <= lowest <= highest < 2 * half or -half <= lowest <= highest < half):
        raise ValueError("samples beyond their bits")
    return (samples % (2 * half)).astype(np.uint8 if frame[0] <= 8 else np.uint16)


def colour_space(stream: bytes) -> str:
    """What a lossy stream of three components says that it is: YBR, RGB, or empty where it says
    nothing.

    Raises Rejected.
    """
    spaces, subsampled = what_it_says(stream)
    if len(spaces) > 1 or (subsampled and spaces == {"RGB"}):
        raise Rejected("unclear_colours")
    return spaces.pop() if spaces else "YBR" if subsampled else ""


def check_colour(stream: bytes, photometric: str) -> None:
    """Raise Rejected where a stream cannot be what it and its header say that it is."""
    if what_it_says(stream) == (set(), True) and photometric == "RGB":
        raise Rejected(
            "unclear_colours",
            "a compressed image whose colours are thinned out, as only YCbCr is, while its header "
            "says RGB",
        )
    colour_space(stream)


def what_it_says(stream: bytes) -> tuple[set[str], bool]:
    """What a stream says of its colours, as libjpeg takes it, and whether some are subsampled.

    JFIF is YCbCr (T.871 6.1), Adobe's transform 0 none and 1 YCbCr (T.872 6.5.3), components named
    R, G and B are those.
    """
    spaces = set()
    for marker, segment in jpeg_segments(stream):
        if marker == APP0 and segment.startswith(b"JFIF\0"):
            spaces.add("YBR")
        elif marker == APP14 and segment.startswith(b"Adobe") and len(segment) > ADOBE_TRANSFORM:
            spaces.add("YBR" if segment[ADOBE_TRANSFORM] else "RGB")
        elif marker in JPEG_SIZES:
            names = segment[6::3]
            spaces |= NAMES_ALONE.get(names, set()) if names.isupper() or not spaces else set()
            return spaces, len(set(segment[7::3])) > 1
    return spaces, False
