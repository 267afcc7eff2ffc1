"""Compressed or plain pixel data -> stored values, by one named decoder a transfer syntax (PS3.5 8
and A).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from warnings import WarningMessage

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from data_prep.readers.dicom.header import whole
from data_prep.readers.dicom.pixels import jpeg
from data_prep.readers.dicom.pixels.codestream import (
    check_frame,
    has_colour_transform,
    rle_is_padded,
    unsigned_bits,
)
from data_prep.rejects import Rejected, not_decodable

OURS = "fewsite"  # pydicom's name for the plugin in jpeg.py
# pydicom would try another decoder after a failure, and a lenient one may accept what a strict one
# refused.
DECODERS = {
    ImplicitVRLittleEndian: "",
    ExplicitVRLittleEndian: "",
    ExplicitVRBigEndian: "",
    DeflatedExplicitVRLittleEndian: "",
    RLELossless: "pydicom",
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1), OURS),
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    **dict.fromkeys(
        (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K), "pylibjpeg"
    ),
}
ENCAPSULATED = frozenset(syntax for syntax, decoder in DECODERS.items() if decoder)
END_OF_IMAGE = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike
FILLING = (
    b"\0\xff"  # bytes after it that bring a frame to even length; PS3.5 A.4 wants 0, some write 255
)
NO_PIXELS = "no pixel data: it ends before them, or was sent without"
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

# Harmless where check_frames found nothing but padding.
RLE_SURPLUS = "The decoded RLE segment contains non-conformant padding"
# pydicom 3.0.2's words where it reads something odd and the values are right all the same.
HARMLESS = (
    # After the last pixel, which PS3.5 8.1.1 lets a reader ignore.
    "bytes of excess padding to be removed",
    # T.871 6.1: JFIF is YCbCr, and it is read as that.
    "contains a JFIF APP marker which indicates it should be 'YBR_FULL",
    # As libjpeg and its users take them.
    "codestream uses component IDs that indicate it should be 'RGB'",
    # 0 or nothing, where the pixels are as many as one frame's.
    "'Number of Frames' is invalid, assuming 1 frame",
    "'Number of Frames' is non-conformant",  # the same
    # By chance: the fragments were followed and the streams looked at.
    "matches the expected number for uncompressed data",
    RLE_SURPLUS,
)

for _syntax in jpeg.DECODER_DEPENDENCIES:
    if OURS not in get_decoder(_syntax).available_plugins:
        get_decoder(_syntax).add_plugin(OURS, (jpeg.__name__, "decode_frame"))


def check_frames(data: Dataset, syntax: str, shape: tuple[int, int]) -> None:
    """Raise Rejected where compressed frames end early, are of another size than the header's or
    are not what it says.
    """
    if not any(keyword in data for keyword in PIXEL_KEYWORDS):
        raise Rejected("truncated", NO_PIXELS)
    if syntax not in ENCAPSULATED:
        return
    sample_bytes = max((whole(data, "BitsAllocated") or 8) // 8, 1)
    samples = whole(data, "SamplesPerPixel") or 1
    try:
        for frame in generate_frames(
            data.PixelData, number_of_frames=whole(data, "NumberOfFrames") or 1
        ):
            if syntax != RLELossless and not frame.rstrip(FILLING).endswith(END_OF_IMAGE):
                raise Rejected("truncated", "a compressed image without its end marker")
            check_frame(frame, syntax, *shape, samples * sample_bytes)
            if samples > 1:
                _check_colour(frame, syntax, str(data.PhotometricInterpretation))
    except Rejected:
        raise
    except Exception as error:  # the fragments themselves may be damaged
        raise not_decodable(error) from None


def check_warnings(caught: Iterable[WarningMessage], data: Dataset, shape: tuple[int, int]) -> None:
    """Raise Rejected where a decoder warned of what may be damage."""
    warned = [str(warning.message) for warning in caught]
    if any(not re.search("|".join(map(re.escape, HARMLESS)), text) for text in warned):
        raise Rejected("decode_warning")
    if any(RLE_SURPLUS in text for text in warned):
        frames = generate_frames(
            data.PixelData, number_of_frames=whole(data, "NumberOfFrames") or 1
        )
        if not all(rle_is_padded(frame, shape[0] * shape[1], FILLING) for frame in frames):
            raise Rejected("decode_warning")


def stored_frames(data: Dataset, syntax: str, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """Stored values of some frames, in the order of `indices`: (rows, columns), or (rows, columns,
    3) in RGB.

    Raises Rejected.
    """
    # A file without meta header has none, and the decoder asks for it.
    data.file_meta.TransferSyntaxUID = UID(syntax)
    below = bits_below(data)
    # PS3.5 8.2: a codestream's samples have no place in a word.
    if below and syntax in ENCAPSULATED and syntax != RLELossless:
        raise Rejected("bad_bits", "a High Bit that a compressed image cannot have")
    options = {"bits_stored": data.BitsStored + below} if below else {}
    if syntax in JPEG2000TransferSyntaxes:
        options["planar_configuration"] = (
            0  # the order of what the decoder gives, whatever the header says
        )
    sign = _doubtful_sign(data, syntax)
    for frame in iter_pixels(
        data, indices=indices, decoding_plugin=DECODERS[UID(syntax)], **options
    ):
        if below and (frame & ((1 << below) - 1)).any() and not _has_overlay_in_pixels(data):
            raise Rejected("bad_bits", "values below the bits that High Bit says are stored")
        if sign and (frame & sign).any():
            raise Rejected(
                "bad_bits", "signed values in a compressed image of fewer bits than Bits Stored"
            )
        yield frame >> below if below else frame


def bits_below(data: Dataset) -> int:
    """Unused bits below the stored ones: 0 unless High Bit is other than Bits Stored - 1, as old
    files may have it (PS3.5 8.1.1).

    Raises Rejected where the stored bits do not fit.
    """
    high, stored, allocated = (
        whole(data, keyword) for keyword in ("HighBit", "BitsStored", "BitsAllocated")
    )
    if high is None or stored is None or allocated is None or high == stored - 1:
        return 0
    if not 0 < stored <= high < allocated:
        raise Rejected("bad_bits", f"High Bit {high} with {stored} of {allocated} bits stored")
    return high - (stored - 1)


def _doubtful_sign(data: Dataset, syntax: str) -> int:
    """The highest bit of a stream without signs that has fewer bits than a signed image's Bits
    Stored, else 0.

    A sample that has it may be large or negative: GDCM and pydicom, which both guess, disagree.
    """
    if (
        syntax not in ENCAPSULATED
        or syntax == RLELossless
        or not whole(data, "PixelRepresentation")
    ):
        return 0
    bits = unsigned_bits(
        next(generate_frames(data.PixelData, number_of_frames=whole(data, "NumberOfFrames") or 1)),
        syntax,
    )
    return 1 << (bits - 1) if bits and bits < data.BitsStored else 0


def _check_colour(frame: bytes, syntax: str, photometric: str) -> None:
    """Raise Rejected where a stream and its header disagree on what its colours are."""
    if syntax in jpeg.LOSSY:
        jpeg.check_colour(frame, photometric)
    elif syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        # T.871 speaks of lossy streams, pydicom takes it of all.
        if "YBR" in jpeg.what_it_says(frame)[0] and "YBR" not in photometric:
            raise Rejected("unclear_colours")
    elif (
        syntax in JPEG2000TransferSyntaxes
        and photometric.startswith("YBR_FULL")
        and has_colour_transform(frame)
    ):
        raise Rejected(
            "unclear_colours", "a compressed image that decodes to RGB, while its header says YCbCr"
        )


def _has_overlay_in_pixels(data: Dataset) -> bool:
    """Whether an overlay lies in unused bits, as it may until 2004: Overlay Bits Allocated is then
    that of the pixels (PS3.5 8.1.2).
    """
    return any(
        (group, 0x0100) in data and data[group, 0x0100].value != 1
        for group in range(0x6000, 0x6020, 2)
    )
