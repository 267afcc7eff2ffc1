"""Compressed images that promise more than they hold are refused before anything of that size is allocated."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from data_prep.readers import raster
from data_prep.rejects import Rejected
from tests.data_prep.made_dicom import as_bytes, encapsulated, grey, read_pixels
from tests.data_prep.mutants import PHOTOGRAPH, PIXELS, picture

FLAT = PIXELS[0]
MEMORY = 2**21  # bytes, where the lies below ask for 8 MB and more


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(pixels: np.ndarray, rows: int, interlaced: bool = False) -> bytes:
    """A grey PNG of `pixels`, whose header says that it has `rows`."""
    passes = [pixels]
    if interlaced:
        passes = [
            pixels[top::down, left::right]
            for left, top, right, down in (
                (0, 0, 8, 8),
                (4, 0, 8, 8),
                (0, 4, 4, 8),
                (2, 0, 4, 4),
                (0, 2, 2, 4),
                (1, 0, 2, 2),
                (0, 1, 1, 2),
            )
        ]
    lines = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    header = struct.pack(">2I5B", pixels.shape[1], rows, 8, 0, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def refusal(read: Callable[[], object]) -> Rejected:
    """Why it is refused, having allocated next to nothing."""
    tracemalloc.start()
    try:
        with pytest.raises(Rejected) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    return caught.value


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 61)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_whole_png_is_read(shape: tuple[int, int], interlaced: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert np.array_equal(
        raster.read_pixels(io.BytesIO(png(pixels, len(pixels), interlaced))).values, pixels
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_of_any_kind_is_whole(mode: str) -> None:
    image = (
        Image.fromarray(FLAT)
        if mode == "I;16"
        else Image.fromarray(PHOTOGRAPH[:, :37]).convert(mode)
    )
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert raster.read_pixels(stream).values.shape[:2] == (image.height, image.width)


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_with_rows_missing_is_refused_not_filled(interlaced: bool) -> None:
    rejected = refusal(
        lambda: raster.read_pixels(io.BytesIO(png(PHOTOGRAPH[..., 0], 2**17, interlaced)))
    )
    assert rejected.reason == "truncated"


def test_a_jpeg_that_is_too_short_for_its_header_is_refused() -> None:
    content = picture("JPEG", PHOTOGRAPH[..., 0])
    start = content.index(b"\xff\xc0") + 5
    rejected = refusal(
        lambda: raster.read_pixels(
            io.BytesIO(content[:start] + struct.pack(">HH", 65500, 2000) + content[start + 4 :])
        )
    )
    assert rejected.reason == "truncated"


@pytest.mark.parametrize(
    ("syntax", "marker", "skip", "stated"),
    [
        (JPEG2000Lossless, b"\xff\x51", 6, struct.pack(">2I", 4096, 4096)),
        (JPEG2000Lossless, b"\xff\x51", 22, struct.pack(">2I", 1, 1)),  # tiles of one pixel each
        (JPEGLSLossless, b"\xff\xf7", 5, struct.pack(">2H", 4096, 4096)),
    ],
)
def test_a_frame_of_another_size_than_its_header_is_refused(
    syntax: str, marker: bytes, skip: int, stated: bytes
) -> None:
    data = grey(FLAT, syntax)
    stream = next(generate_frames(data.PixelData, number_of_frames=1))
    place = stream.index(marker) + skip
    content = as_bytes(
        encapsulated(data, syntax, stream[:place] + stated + stream[place + len(stated) :])
    )
    rejected = refusal(lambda: read_pixels(content))
    assert rejected.reason in ("not_decodable", "truncated") and rejected.found.startswith(
        "a compressed image"
    )


def test_an_rle_frame_that_is_too_short_for_its_header_is_refused() -> None:
    data = grey(FLAT, RLELossless)
    data.Rows = data.Columns = 4096
    rejected = refusal(lambda: read_pixels(as_bytes(data)))
    assert (rejected.reason, rejected.found) == (
        "truncated",
        "a compressed image that is too short for its header",
    )
