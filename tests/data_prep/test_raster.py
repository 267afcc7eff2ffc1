"""PNG, JPEG and TIFF files: values as written, or a reason."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import raster
from data_prep.image_file import ImageFile, Pixels
from data_prep.rejects import Rejected
from data_prep.sources import Found

PICTURE = np.random.default_rng(0).integers(0, 255, (12, 10, 3), np.uint8)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def header(content: bytes) -> ImageFile:
    return raster.read_header(io.BytesIO(content), Found("x", Path("x"), len(content)))


def pixels(content: bytes) -> Pixels:
    return raster.read_pixels(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_colours_come_back_as_written(kind: str) -> None:
    content = encode(Image.fromarray(PICTURE), kind)
    assert np.array_equal(pixels(content).values, PICTURE) and pixels(content).photograph
    assert (header(content).shape, header(content).facts.transfer_syntax) == ((12, 10), kind)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_kept(kind: str) -> None:
    grey = np.linspace(0, 60000, 120).reshape(12, 10).astype(np.uint16)
    content = encode(Image.fromarray(grey), kind)
    assert np.array_equal(pixels(content).values, grey) and not pixels(content).photograph


def test_a_palette_and_transparency_become_plain_rgb() -> None:
    assert np.array_equal(pixels(encode(Image.fromarray(PICTURE).convert("RGBA"), "PNG")).values, PICTURE)
    assert pixels(encode(Image.fromarray(PICTURE).quantize(8), "PNG")).photograph


def test_a_tiff_where_zero_is_white_is_inverted() -> None:
    grey = Image.fromarray(np.linspace(0, 60000, 120).reshape(12, 10).astype(np.uint16))
    content = encode(grey, "TIFF", tiffinfo={262: 0})
    assert pixels(content).inverted and header(content).facts.photometric == "MONOCHROME1"


def test_a_jpeg_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    assert pixels(encode(Image.fromarray(PICTURE), "JPEG", exif=exif)).values.shape == (10, 12, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_truncated_file_is_rejected(kind: str) -> None:
    content = encode(Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)), kind)
    with pytest.raises(Rejected, match="truncated|not_decodable"):
        pixels(content[: len(content) // 2])


def test_several_pages_are_rejected() -> None:
    image = Image.fromarray(PICTURE)
    with pytest.raises(Rejected, match="multi_frame"):
        header(encode(image, "TIFF", save_all=True, append_images=[image]))


def test_a_picture_too_large_to_decode_is_rejected_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "MAX_PIXELS", 100)
    with pytest.raises(Rejected, match="too_large"):
        header(encode(Image.fromarray(PICTURE), "PNG"))
