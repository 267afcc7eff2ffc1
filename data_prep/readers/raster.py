"""PNG, JPEG, TIFF, BMP and JPEG 2000 files. Any doubt is a Rejected with its reason."""

import math
import re
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from data_prep.exports.kinds import HEAD
from data_prep.exports.sources import Found, opened
from data_prep.privacy.identifying_values import (
    MOST_BYTES,
    MOST_TEXT,
    PICTURE,
    IdentifyingValues,
)
from data_prep.readers.base import Reader
from data_prep.readers.dicom.checks import MAX_PIXELS
from data_prep.readers.dicom.pixels.codestream import check_picture, jpeg_2000_sample
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile, Pixels, shared
from data_prep.readers.quiet import quiet
from data_prep.rejects import Rejected, not_decodable

PNG, JPEG, TIFF, BMP, JPEG2000 = "png", "jpeg", "tiff", "bmp", "jpeg2000"
BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes of the header behind the first 14
JP2 = b"\0\0\0\x0cjP  "  # how the file format of T.800 I begins
CUT_SHORT = ("truncated", "broken data stream")  # in what Pillow says
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "JPEG2000")
GREY_MODES = ("1", "L", "LA", "I", "F", "I;16", "I;16L", "I;16B")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
TIFF_PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # TIFF 6.0, PhotometricInterpretation
# TIFF 6.0, Adobe's notes.
TIFF_REDUCED, TIFF_SIDES, TIFF_DESCRIPTION, TIFF_MAKE, TIFF_TILE, TIFF_SUBFILES = (
    254,
    (256, 257),
    270,
    271,
    322,
    330,
)
BIG_TIFF = 43
SLIDES = ("Aperio", "Hamamatsu")  # how the description or the make of a slide's scanner begins
# TIFF 6.0, BitsPerSample and SampleFormat.
TIFF_BITS, TIFF_FORMAT, UNSIGNED, SIGNED = (
    258,
    339,
    1,
    2,
)


class Raster(Reader):
    """Pictures that Pillow reads, one image a file."""

    kinds = (PNG, JPEG, TIFF, BMP, JPEG2000)
    endings = (
        *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"),
        *(".jp2", ".j2k", ".jpf", ".jpx", ".jph"),
    )

    def sniff(self, head: bytes) -> str | None:
        return _kind(head)

    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        return read_header(stream, found)

    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        kind = _kind(stream.read(HEAD))
        stream.seek(0)
        if kind == JPEG2000:
            values.add_printable(PICTURE, _jpeg_2000_boxes(stream))
        else:
            _add_metadata(values, stream)

    def pixels(self, images: Sequence[ImageFile]) -> list[Pixels]:
        (image,) = images
        with opened(image.identity.found) as stream:
            return [read_pixels(stream)]  # of another shape than the header's where EXIF turns it


def _kind(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff") and head[3:4] != b"\xf7":  # that one is JPEG-LS
        return JPEG
    if head.startswith(b"\xff\x4f\xff\x51"):  # a codestream alone, T.800 A.4.1
        return JPEG2000
    if head.startswith(JP2 + b"\r\n\x87\n") and head[20:24] != b"mjp2":  # that one is a film, T.802
        return JPEG2000
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):  # TIFF 6.0 and BigTIFF
        return TIFF
    bitmap = head.startswith(b"BM") and len(head) >= 18
    return BMP if bitmap and struct.unpack("<I", head[14:18])[0] in BMP_HEADERS else None


def _add_metadata(values: IdentifyingValues, stream: BinaryIO) -> None:
    image = Image.open(stream, formats=FORMATS)
    found: list[Any] = [*image.info.values(), *image.getexif().values()]
    for value in found:
        if isinstance(value, str):
            values.add(PICTURE, value)
        elif isinstance(value, bytes) and len(value) <= MOST_BYTES:
            values.add_printable(PICTURE, value)


def _jpeg_2000_boxes(stream: BinaryIO) -> bytes:
    """What lies around the codestream (T.800 I.4), and the codestream's comments (A.9.2).

    XML, UUIDs and what else is written there.
    """
    content = stream.read()
    texts, place = [], 0
    while content.startswith(JP2) and place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if length == 1:
            length = struct.unpack_from(">Q", content, place + 8)[0]
        end = place + length if length else len(content)
        if kind != b"jp2c":
            texts.append(content[place + 8 : min(end, place + MOST_TEXT)])
        place = max(end, place + 8)
    for comment in re.finditer(rb"\xff\x64(..)", content, re.DOTALL):
        size = struct.unpack(">H", comment[1])[0]
        texts.append(content[comment.end() : comment.end() + size - 2])
    return b"\0".join(texts)


def read_header(stream: BinaryIO, found: Found) -> ImageFile:
    """Format and size, without decoding.

    Raises Rejected. Dots an inch are a printer's, so no spacing is read.
    """
    with quiet():
        image = _open(stream)
        form = _format(image)
        photometric = (
            "RGB"
            if image.mode in COLOUR_MODES
            else "MONOCHROME1"
            if _inverted(image)
            else "MONOCHROME2"
        )
        shape, facts = shared((image.height, image.width)), shared(Facts(form, photometric))
        return ImageFile(Identity(found), Header(form.lower(), shape, facts))


def read_pixels(stream: BinaryIO) -> Pixels:
    """Decode, upright by its EXIF orientation: grey values, or RGB of 8 bits. Raises Rejected."""
    with quiet() as caught:
        image = _open(stream)
        check_picture(stream, _format(image), image.height, image.width)
        try:
            inverted = _inverted(image)
            # Before Pillow turns it and forgets.
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            upright = ImageOps.exif_transpose(image)
            if upright.mode in COLOUR_MODES:
                pixels = Pixels(np.asarray(upright.convert("RGB")), turned=turned)
            else:
                values = np.asarray(
                    upright.convert("L") if upright.mode in ("1", "LA") else upright
                ).astype(np.float32)
                if image.format == "JPEG2000":
                    values = _samples(values, stream)
                pixels = Pixels(values, inverted=inverted, rescaled=False, turned=turned)
        except (OSError, SyntaxError, EOFError) as error:
            raise Rejected(
                "truncated" if any(word in str(error) for word in CUT_SHORT) else "not_decodable",
                type(error).__name__,
            ) from None
        # Codecs raise several kinds on damaged files, and their texts may quote metadata.
        except Exception as error:
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
        raise Rejected("slide" if _is_slide(stream) else "too_large") from None
    except Exception as error:  # as in read_pixels
        raise Rejected("slide") if _is_slide(stream) else not_decodable(error) from None
    slide = frames > 1 and image.format == "TIFF" and _is_slide(stream)
    if math.prod(image.size) > MAX_PIXELS:
        raise Rejected("slide" if slide else "too_large")
    if frames > 1:
        raise Rejected("slide" if slide else "multi_frame")
    if image.mode not in GREY_MODES + COLOUR_MODES or _misread(image, stream):
        raise Rejected("unsupported_pixels")
    return image


def _format(image: Image.Image) -> str:
    """Pillow's name of it, which an image that was opened from a file has."""
    return image.format or ""


def _is_slide(stream: BinaryIO) -> bool:
    """Whether a TIFF holds one picture at several sizes, as scanners of slides write it."""
    try:
        first = _directory(stream, None)
        second = _directory(stream, first.next) if first.next else None
    except Exception:  # Pillow raises several kinds on malformed files
        return False
    scanner = any(
        str(first.get(tag, "")).startswith(SLIDES) for tag in (TIFF_DESCRIPTION, TIFF_MAKE)
    )
    if scanner or TIFF_SUBFILES in first:
        return True
    if not second:  # there is none, or an empty one
        return False
    smaller = TIFF_TILE in first and any(first[side] != second[side] for side in TIFF_SIDES)
    return smaller or bool(second.get(TIFF_REDUCED, 0) & 1)


def _directory(stream: BinaryIO, place: int | None) -> ImageFileDirectory_v2:
    """A TIFF's directory at `place`, or its first."""
    stream.seek(0)
    start = stream.read(8)
    directory = ImageFileDirectory_v2(
        start + stream.read(8) if start[2] == BIG_TIFF or start[3] == BIG_TIFF else start
    )
    stream.seek(directory.next if place is None else place)
    directory.load(stream)
    return directory


def _samples(values: np.ndarray, stream: BinaryIO) -> np.ndarray:
    """The values that a grey JPEG 2000 holds: Pillow stretches them to 8 or 16 bits, and makes
    signed ones unsigned.
    """
    bits, signed = jpeg_2000_sample(stream)
    return values / 2 ** ((8 if bits <= 8 else 16) - bits) - (2 ** (bits - 1) if signed else 0)


def _misread(image: Image.Image, stream: BinaryIO) -> bool:
    """Whether Pillow gives other values than are written: grey of 16 bits with transparency as 8, a
    wrong sign, no more than 16 bits.
    """
    tags = getattr(image, "tag_v2", {})
    if image.format == "JPEG2000" and image.mode in GREY_MODES:
        return jpeg_2000_sample(stream)[0] > 16
    sample = (tags.get(TIFF_BITS, (1,))[0], tags.get(TIFF_FORMAT, (UNSIGNED,))[0])
    return sample in ((32, UNSIGNED), (8, SIGNED)) or any(
        tile[3] == "LA;16B" for tile in getattr(image, "tile", ())
    )


def _inverted(image: Image.Image) -> bool:
    """Whether zero is white. Pillow turns such TIFF files round itself up to 8 bits, but not 16."""
    return (
        image.mode.startswith(("I", "F"))
        and getattr(image, "tag_v2", {}).get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
    )


READERS = (Raster(),)
