"""One PNG, JPEG or TIFF file. Any doubt is a Rejected with its reason."""

import math
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from data_prep.codestream import check_picture
from data_prep.dicom import MAX_PIXELS
from data_prep.image_file import Facts, ImageFile, Pixels, shared
from data_prep.quiet import quiet
from data_prep.rejects import Rejected, not_decodable
from data_prep.sources import Found

FORMATS = ("PNG", "JPEG", "TIFF")
GREY_MODES = ("1", "L", "LA", "I", "F", "I;16", "I;16L", "I;16B")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
TIFF_PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # TIFF 6.0, PhotometricInterpretation
TIFF_BITS, TIFF_FORMAT, UNSIGNED, SIGNED = 258, 339, 1, 2  # TIFF 6.0, BitsPerSample and SampleFormat


def read_header(stream: BinaryIO, found: Found) -> ImageFile:
    """Format and size, without decoding. Raises Rejected. Dots an inch are a printer's, so no spacing is read."""
    with quiet():
        image = _open(stream)
        photometric = "RGB" if image.mode in COLOUR_MODES else "MONOCHROME1" if _inverted(image) else "MONOCHROME2"
        return ImageFile(found, image.format.lower(), shared((image.height, image.width)), shared(Facts(image.format, photometric)))


def read_pixels(stream: BinaryIO) -> Pixels:
    """Decode, upright by its EXIF orientation: grey values, or RGB of 8 bits. Raises Rejected."""
    with quiet() as caught:
        image = _open(stream)
        check_picture(stream, image.format, image.height, image.width)
        try:
            inverted = _inverted(image)
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1  # before Pillow turns it and forgets
            upright = ImageOps.exif_transpose(image)
            if upright.mode in COLOUR_MODES:
                pixels = Pixels(np.asarray(upright.convert("RGB")), turned=turned)
            else:
                values = np.asarray(upright.convert("L") if upright.mode in ("1", "LA") else upright).astype(np.float32)
                pixels = Pixels(values, inverted=inverted, rescaled=False, turned=turned)
        except (OSError, SyntaxError, EOFError) as error:
            raise Rejected("truncated" if "truncated" in str(error) else "not_decodable", type(error).__name__) from None
        except Exception as error:  # codecs raise several kinds on damaged files, and their texts may quote metadata
            raise not_decodable(error) from None
        if any(issubclass(warning.category, UserWarning) for warning in caught):
            raise Rejected("decode_warning")
    if not np.isfinite(pixels.values).all():
        raise Rejected("not_finite")
    return pixels


def _open(stream: BinaryIO) -> Image.Image:
    try:
        image = Image.open(stream, formats=FORMATS)
        frames = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError:
        raise Rejected("too_large") from None
    except Exception as error:  # as in read_pixels
        raise not_decodable(error) from None
    if math.prod(image.size) > MAX_PIXELS:
        raise Rejected("too_large")
    if frames > 1:
        raise Rejected("multi_frame")
    if image.mode not in GREY_MODES + COLOUR_MODES or _misread(image):
        raise Rejected("unsupported_pixels")
    return image


def _misread(image: Image.Image) -> bool:
    """Whether Pillow gives other values than are written: grey of 16 bits with transparency as 8, or a wrong sign."""
    tags = getattr(image, "tag_v2", {})
    sample = (tags.get(TIFF_BITS, (1,))[0], tags.get(TIFF_FORMAT, (UNSIGNED,))[0])
    return sample in ((32, UNSIGNED), (8, SIGNED)) or any(tile[3] == "LA;16B" for tile in image.tile)


def _inverted(image: Image.Image) -> bool:
    """Whether zero is white. Pillow turns such TIFF files round itself up to 8 bits, but not 16."""
    return image.mode.startswith(("I", "F")) and getattr(image, "tag_v2", {}).get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
