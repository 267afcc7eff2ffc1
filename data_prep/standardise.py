"""Pixels of any kind -> (channel, *space) uint8 of the agreed size."""

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

from data_prep.image_file import Pixels
from data_prep.smooth import smooth_where_read
from workspace.settings import Convert

FULL = 255.0
BLUR_A_REDUCTION = 0.5  # standard deviation in voxels for each voxel that a reduction merges beyond one, as scikit-image's resize


def standardise(pixels: Pixels, convert: Convert, modality: str) -> np.ndarray:
    """(channel, *convert.size) uint8. Photographs keep their colours; all else is windowed, by modality or by percentiles."""
    if pixels.photograph:
        image = Image.fromarray(pixels.values).convert("L" if convert.channels == 1 else "RGB")
        resized = np.asarray(image.resize(tuple(convert.size[::-1]), Image.Resampling.BILINEAR))
        return np.ascontiguousarray(resized[None] if resized.ndim == 2 else resized.transpose(2, 0, 1))
    grey = _resize(_to_grey(pixels, convert.window.get(modality), convert.percentiles), tuple(convert.size))
    rounded = np.clip(np.rint(grey), 0, FULL).astype(np.uint8)
    return np.repeat(rounded[None], convert.channels, axis=0)


def _to_grey(pixels: Pixels, window: tuple[float, float] | None, percentiles: tuple[float, float]) -> np.ndarray:
    """float32 from 0, dark, to 255, bright; padding is dark. `window` is in the file's own units."""
    sign = -1.0 if pixels.inverted else 1.0
    values = -pixels.values if pixels.inverted else pixels.values
    known = values if pixels.valid is None else values[pixels.valid]
    low, high = sorted(sign * end for end in window) if window else np.percentile(known, percentiles)
    if high <= low:  # nearly all of the image is one value: its whole range is what there is to show
        low, high = known.min(), known.max()
    grey = values - low  # from here in place: a volume's copies cost more than the arithmetic
    grey *= FULL / max(high - low, np.finfo(np.float32).tiny)
    grey = np.clip(grey, 0, FULL, out=grey).astype(np.float32, copy=False)
    if pixels.valid is not None:
        grey[~pixels.valid] = 0
    return grey


def _resize(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Stretch to `size` in one interpolation that averages where it shrinks."""
    if image.ndim == 2:
        # Pillow's filter widens with the reduction, so that it averages.
        return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    factors = [new / old for new, old in zip(size, image.shape, strict=True)]
    places = [(np.arange(new) + 0.5) * (old / new) - 0.5 for new, old in zip(size, image.shape, strict=True)]
    smooth = smooth_where_read(image, [BLUR_A_REDUCTION * max(1 / factor - 1, 0) for factor in factors], places)
    return zoom(smooth, factors, order=1, mode="nearest", grid_mode=True)
