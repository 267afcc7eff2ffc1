"""PNG, JPEG and TIFF files: values as written, or a reason."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.as_nifti import TOLD, write_nifti
from data_prep.decode import Planned
from data_prep.exports.sources import Found
from data_prep.readers import raster
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.rejects import Rejected

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
    assert (header(content).header.shape, header(content).header.facts.transfer_syntax) == (
        (12, 10),
        kind,
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_kept(kind: str) -> None:
    grey = np.linspace(0, 60000, 120).reshape(12, 10).astype(np.uint16)
    content = encode(Image.fromarray(grey), kind)
    assert np.array_equal(pixels(content).values, grey) and not pixels(content).photograph


def test_a_palette_and_transparency_become_plain_rgb() -> None:
    assert np.array_equal(
        pixels(encode(Image.fromarray(PICTURE).convert("RGBA"), "PNG")).values, PICTURE
    )
    assert pixels(encode(Image.fromarray(PICTURE).quantize(8), "PNG")).photograph


def test_a_tiff_where_zero_is_white_is_inverted() -> None:
    grey = Image.fromarray(np.linspace(0, 60000, 120).reshape(12, 10).astype(np.uint16))
    content = encode(grey, "TIFF", tiffinfo={262: 0})
    assert pixels(content).inverted and header(content).header.facts.photometric == "MONOCHROME1"


def test_a_jpeg_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    assert pixels(encode(Image.fromarray(PICTURE), "JPEG", exif=exif)).values.shape == (10, 12, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_truncated_file_is_rejected(kind: str) -> None:
    content = encode(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)), kind
    )
    with pytest.raises(Rejected, match="truncated|not_decodable"):
        pixels(content[: len(content) // 2])


def test_several_pages_are_rejected() -> None:
    image = Image.fromarray(PICTURE)
    with pytest.raises(Rejected, match="multi_frame"):
        header(encode(image, "TIFF", save_all=True, append_images=[image]))


def test_a_picture_too_large_to_decode_is_rejected_by_its_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(raster, "MAX_PIXELS", 100)
    with pytest.raises(Rejected, match="too_large"):
        header(encode(Image.fromarray(PICTURE), "PNG"))


def png(bits: int, colour_type: int, rows: np.ndarray) -> bytes:
    """A PNG of kinds that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], bits, colour_type, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4)])
def test_colours_of_sixteen_bits_keep_their_high_bytes(colour_type: int, channels: int) -> None:
    rows = np.random.default_rng(0).integers(0, 65535, (6, 5, channels)).astype(">u2")
    assert np.array_equal(pixels(png(16, colour_type, rows)).values, rows[..., :3] >> 8)


def test_grey_of_sixteen_bits_with_transparency_is_rejected_since_pillow_halves_it() -> None:
    with pytest.raises(Rejected, match="unsupported_pixels"):
        header(png(16, 4, np.ones((6, 5, 2), ">u2")))


@pytest.mark.parametrize(("bits", "sample", "dtype"), [(32, 1, "<u4"), (8, 2, "i1")])
def test_a_tiff_whose_signs_pillow_gets_wrong_is_rejected(
    bits: int, sample: int, dtype: str
) -> None:
    data = np.ones((2, 2), dtype).tobytes()
    tags = [
        (256, 2),
        (257, 2),
        (258, bits),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 2),
        (279, len(data)),
        (339, sample),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags
    )
    with pytest.raises(Rejected, match="unsupported_pixels"):
        header(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_turned_upright_too(kind: str) -> None:
    grey = np.linspace(0, 60000, 120).reshape(12, 10).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert np.array_equal(
        pixels(encode(Image.fromarray(grey), kind, exif=exif)).values, np.rot90(grey, -1)
    )


def test_an_eight_bit_tiff_where_zero_is_white_comes_out_bright_side_up() -> None:
    grey = np.ascontiguousarray(PICTURE[..., 0])
    content = encode(Image.fromarray(grey), "TIFF", tiffinfo={262: 0})
    assert (255 - grey).tobytes() in content  # Pillow turns it round as it writes
    assert np.array_equal(pixels(content).values, grey) and not pixels(content).inverted


def test_a_picture_that_pillow_takes_for_a_bomb_is_too_large() -> None:
    with pytest.raises(Rejected, match="too_large"):
        header(encode(Image.new("1", (20000, 20000)), "PNG"))


def test_a_grey_picture_of_ct_is_flagged_as_one_without_a_rescale(tmp_path: Path) -> None:
    for modality, mode, flagged in (("CT", "L", True), ("CT", "RGB", False), ("MR", "L", False)):
        path = tmp_path / f"{modality}{mode}.png"
        path.write_bytes(encode(Image.fromarray(PICTURE).convert(mode), "PNG"))
        image = examine(Found(path.name, path, path.stat().st_size))
        row = dict.fromkeys((*TOLD, "spacing")) | {"modality": modality}
        told = write_nifti(Planned("", (image,), row), path.stem, tmp_path)
        assert ("no_rescale" in told["flags"]) == flagged
