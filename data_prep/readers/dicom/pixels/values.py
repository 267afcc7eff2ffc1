"""Stored values of a DICOM image -> values as it means them: grey after the modality LUT, or RGB of
8 bits (PS3.3 C.7.6.3, C.11.1).
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import (
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from data_prep.readers.dicom.header import numbers, text, whole
from data_prep.readers.dicom.pixels import native, palette
from data_prep.readers.image_file import Pixels, shared
from data_prep.rejects import Rejected

LOSSLESS = (
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
)
GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")


def values_of(data: Dataset, header: Dataset, stored: np.ndarray) -> Pixels:
    """What stored values of one frame mean. `header`: the frame's own. Raises Rejected."""
    photometric = text(data, "PhotometricInterpretation")
    if photometric == PALETTE:
        return Pixels(_eight_bits(palette.colours(stored, data), palette.bits(data)))
    if photometric not in GREY:
        return Pixels(_eight_bits(stored, whole(data, "BitsStored") or 8))
    rescaled = bool(header.get("ModalityLUTSequence")) or "RescaleSlope" in header
    return Pixels(
        _rescaled(header, stored),
        native.valid(stored, padding(data)),
        photometric == "MONOCHROME1",
        rescaled,
        _outside_stated_range(data, stored),
    )


def _rescaled(data: Dataset, stored: np.ndarray) -> np.ndarray:
    """Stored values after the modality LUT (PS3.3 C.11.1), float32. Raises Rejected."""
    if data.get("ModalityLUTSequence"):
        values = apply_modality_lut(stored, data).astype(np.float32)
    else:
        values = native.rescaled(stored, scaling(data))
    if not np.isfinite(values).all():
        raise Rejected("not_finite")
    return values


def scaling(data: Dataset) -> tuple[float, float] | None:
    """Rescale Slope and Intercept; None where there is no slope. Raises Rejected."""
    if "RescaleSlope" not in data:
        return None
    slope, intercept = numbers(data, "RescaleSlope", 1), numbers(data, "RescaleIntercept", 1)
    if not slope or slope[0] == 0 or not intercept:
        raise Rejected("bad_rescale")
    return shared((slope[0], intercept[0]))


def padding(data: Dataset) -> tuple[int, int] | None:
    """Pixel Padding Value, and the other end of its range."""
    value, limit = whole(data, "PixelPaddingValue"), whole(data, "PixelPaddingRangeLimit")
    return None if value is None else (value, value if limit is None else limit)


def _outside_stated_range(data: Dataset, stored: np.ndarray) -> bool:
    """Whether a losslessly compressed image has values beyond Smallest and Largest Image Pixel
    Value (PS3.3 C.7.6.3).
    """
    low, high = whole(data, "SmallestImagePixelValue"), whole(data, "LargestImagePixelValue")
    if data.file_meta.TransferSyntaxUID not in LOSSLESS or low is None or high is None:
        return False
    low, high = np.array([low, high], np.int64).astype(stored.dtype)  # as with padding
    return bool(low < high and (stored.min() < low or stored.max() > high))


def _eight_bits(colour: np.ndarray, bits: int) -> np.ndarray:
    """(rows, columns, 3) of `bits` as uint8: colours are relative to full scale, so the low bits
    go.

    Raises Rejected if they are all.
    """
    kept = (colour >> max(bits - 8, 0)).astype(np.uint8)
    if np.ptp(colour) and not np.ptp(kept):
        raise Rejected("colours_lost")
    return kept
