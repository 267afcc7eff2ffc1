"""Pixels of any kind -> (channel, *space) uint8 of the agreed size."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from data_prep.readers.image_file import Pixels
from data_prep.settings import Convert, Intensity
from data_prep.volumes.intensity import ends, without_bias
from data_prep.volumes.resample import spaced, stretched

FULL = 255.0
LEAST_RANGE = 1e-36  # FULL divided by less is no float32


def standardise(
    pixels: Pixels, convert: Convert, modality: str, spacing: Sequence[float] | None = None
) -> np.ndarray:
    """(channel, *convert.size) uint8.

    Photographs keep their colours; all else becomes grey as `modality` says.

    `spacing`: mm, of a volume's slices, rows and columns; needed where convert.spacing is set.
    Raises Rejected.
    """
    if pixels.photograph:
        image = Image.fromarray(pixels.values).convert("L" if convert.channels == 1 else "RGB")
        resized = np.asarray(image.resize(_across(convert), Image.Resampling.BILINEAR))
        return np.ascontiguousarray(
            resized[None] if resized.ndim == 2 else resized.transpose(2, 0, 1)
        )
    how = convert.intensity_of(modality)
    grey = _to_grey(pixels, how)
    if grey.ndim == 2:
        # Pillow's filter widens with the reduction, so that it averages.
        grey = np.asarray(Image.fromarray(grey).resize(_across(convert), Image.Resampling.BILINEAR))
    elif convert.spacing:
        grey = spaced(grey, convert.size, spacing, convert.spacing, _dark(grey, how))
    else:
        grey = stretched(grey, convert.size)
    rounded = np.clip(np.rint(grey), 0, FULL).astype(np.uint8)
    return np.repeat(rounded[None], convert.channels, axis=0)


def _to_grey(pixels: Pixels, how: Intensity) -> np.ndarray:
    """float32 from 0, dark, to 255, bright; padding is dark."""
    sign = -1.0 if pixels.inverted else 1.0
    values = without_bias(pixels.values, pixels.valid) if how.n4 else pixels.values
    values = -values if pixels.inverted else values
    known = values if pixels.valid is None else values[pixels.valid]
    low, high = ends(known, how, sign)
    # Nearly all of the image is one value: its whole range is what there is to show.
    if high <= low:
        low, high = known.min(), known.max()
    with np.errstate(over="ignore"):
        grey = values - low  # from here in place: a volume's copies cost more than the arithmetic
        grey *= FULL / max(high - low, LEAST_RANGE)
    grey = np.clip(grey, 0, FULL, out=grey).astype(np.float32, copy=False)
    if pixels.valid is not None:
        grey[~pixels.valid] = _dark(grey[pixels.valid], how)
    return grey


def _dark(grey: np.ndarray, how: Intensity) -> float:
    """The grey of what lies outside an image: a window's lower end, else the image's own darkest,
    which a z-score may leave above 0.
    """
    return 0.0 if how.window else float(grey.min())


def _across(convert: Convert) -> tuple[int, int]:
    """Columns and rows, as Pillow takes a plane's size."""
    rows, columns = convert.size
    return columns, rows
