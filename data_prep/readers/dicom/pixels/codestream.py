"""Whether a compressed image can be what its header promises, asked before a decoder allocates
that.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO

from pydicom.uid import JPEG2000, JPEG2000TransferSyntaxes, RLELossless

from data_prep.rejects import Rejected

RLE_RATIO = 64  # PS3.5 G.3: two bytes stand for 128 at most
# T.800 A.4.1 and A.5.1: start of codestream, then the size of image and tiles.
J2K_SIZE = b"\xff\x4f\xff\x51"
J2K_DEPTH = 42  # from there to the first component's bits - 1, and 128 if it is signed
J2K_CODING = 0x52  # T.800 A.6.1: coding style default
TILE_BYTES = 14  # T.800 A.4.2 and A.4.3: each tile has a header of at least that
# T.81 B.1.1.3: start of frame; T.87 C.1: of JPEG-LS.
JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
# T.81 F.1.2 and G.1.2: a byte holds 8 blocks of 8 x 8 pixels at most, each with one bit for its
# mean.
JPEG_PIXELS = 512
JPEG_ALONE = frozenset(range(0xD0, 0xD9)) | {0x01}  # T.81 B.1.1.3: markers without a length
J2K_SEARCHED = 2**20  # bytes before the codestream of a JP2 file: colour profiles and metadata
BMP_RUNS, BMP_RUN = (1, 2), 128  # BI_RLE8 and BI_RLE4; pixels in a byte
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # PNG 11.2.2: samples a pixel, by colour type
PNG_PASSES = {
    0: ((0, 0, 1, 1),),
    1: (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ),
}
CHUNK = 2**20


def check_frame(frame: bytes, syntax: str, rows: int, columns: int, sample_bytes: int) -> None:
    """`sample_bytes`: of one pixel, all samples.

    Raises Rejected where the frame cannot hold the header's image.
    """
    if syntax == RLELossless:
        if rows * columns * sample_bytes > RLE_RATIO * len(frame):
            raise Rejected("truncated", "a compressed image that is too short for its header")
        return
    try:
        stated = _jpeg_2000_size(frame) if syntax in JPEG2000TransferSyntaxes else _jpeg_size(frame)
    except (struct.error, IndexError, ZeroDivisionError):
        raise Rejected("not_decodable", "a compressed image that does not say its size") from None
    if stated != (rows, columns):
        raise Rejected("not_decodable", "a compressed image of another size than its header's")


def check_picture(stream: BinaryIO, kind: str, rows: int, columns: int) -> None:
    """The same of a picture's file.

    Pillow fills missing rows of a JPEG or PNG without a word, and makes room for what a BMP or JPEG
    2000 promises. Raises Rejected.
    """
    if kind == "JPEG2000":
        stream.seek(0)
        content = stream.read()
        check_frame(content, JPEG2000, rows, columns, 1)
        if rows * columns > JPEG_PIXELS * len(content):  # it could be, of nothing but one grey
            raise Rejected("truncated", "a compressed image that is too short for its header")
        return
    if kind == "PNG":
        try:
            whole = _png_is_whole(stream)
        except (struct.error, KeyError, zlib.error) as error:
            raise Rejected("not_decodable", type(error).__name__) from None
    elif kind == "BMP":
        whole = _bmp_is_whole(stream, rows * columns)
    else:
        whole = kind != "JPEG" or rows * columns <= JPEG_PIXELS * stream.seek(0, 2)
    if not whole:
        raise Rejected("truncated", "a compressed image that is too short for its header")


def _jpeg_size(stream: bytes) -> tuple[int, int]:
    """Rows and columns. Raises IndexError or struct.error where no marker says them."""
    return next(
        struct.unpack_from(">HH", segment, 1)
        for marker, segment in jpeg_segments(stream)
        if marker in JPEG_SIZES
    )


def jpeg_segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment before the pixels.

    Raises IndexError or struct.error where there is none (any more).
    """
    place = 2
    while True:
        if stream[place] != 0xFF:
            raise IndexError
        marker = stream[place + 1]
        if marker == 0xFF or marker in JPEG_ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        length = struct.unpack_from(">H", stream, place + 2)[0]
        yield marker, stream[place + 4 : place + 2 + length]
        place += 2 + length


def unsigned_bits(frame: bytes, syntax: str) -> int | None:
    """Bits a sample of a stream that does not say their sign, or says that there is none; None of
    one that is signed.
    """
    if syntax in JPEG2000TransferSyntaxes:
        depth = frame[frame.index(J2K_SIZE) + J2K_DEPTH]
        return None if depth & 0x80 else depth + 1
    return next(segment[0] for marker, segment in jpeg_segments(frame) if marker in JPEG_SIZES)


def has_colour_transform(frame: bytes) -> bool:
    """Whether a JPEG 2000 decoder gives RGB, by undoing the multiple component transform (T.800
    A.6.1 and G).
    """
    return next(
        bool(segment[4])
        for marker, segment in jpeg_segments(frame[frame.index(J2K_SIZE) :])
        if marker == J2K_CODING
    )


def rle_is_padded(frame: bytes, length: int, filling: bytes) -> bool:
    """Whether what follows the `length` bytes that each segment of an RLE frame stands for is
    filling alone (PS3.5 G.3.1 and G.5).
    """
    count, *starts = struct.unpack_from("<16I", frame)
    for start, end in pairwise([*starts[:count], len(frame)]):
        segment, place, made = frame[start:end], 0, 0
        while made < length and place < len(segment):
            head = segment[place]
            made += head + 1 if head < 128 else 257 - head if head > 128 else 0
            place += head + 2 if head < 128 else 2 if head > 128 else 1
        if made != length or segment[place:].strip(filling):
            return False
    return True


def _jpeg_2000_size(frame: bytes) -> tuple[int, int]:
    # It may be wrapped in a JP2 file.
    start = frame.index(J2K_SIZE) if J2K_SIZE in frame else len(frame)
    right, bottom, left, top, width, height, tile_left, tile_top = struct.unpack_from(
        ">8I", frame, start + 8
    )
    tiles = math.ceil((right - tile_left) / width) * math.ceil((bottom - tile_top) / height)
    if tiles * TILE_BYTES > len(frame):
        raise Rejected("truncated", "a compressed image that is too short for its tiles")
    return bottom - top, right - left


def jpeg_2000_sample(stream: BinaryIO) -> tuple[int, bool]:
    """Bits of the first component, and whether it has a sign (T.800 A.5.1). Raises Rejected."""
    stream.seek(0)
    content = stream.read(J2K_SEARCHED)
    try:
        stated = content[content.index(J2K_SIZE) + 42]
    except (ValueError, IndexError):
        raise Rejected(
            "not_decodable", "a compressed image that does not say its samples"
        ) from None
    return (stated & 0x7F) + 1, stated > 0x7F


def _bmp_is_whole(stream: BinaryIO, pixels: int) -> bool:
    """Whether there is a byte for as many pixels as its packing allows: run lengths make 255 of
    two, others no more than 8 of one.
    """
    stream.seek(14)
    header = stream.read(20)
    packed = (
        len(header) == 20
        and struct.unpack("<I", header[:4])[0] >= 40
        and struct.unpack("<I", header[16:])[0] in BMP_RUNS
    )
    return pixels <= (BMP_RUN if packed else 8) * stream.seek(0, 2)


def _png_is_whole(stream: BinaryIO) -> bool:
    """Whether there are as many bytes of pixels as the header promises (PNG 5.3, 7.2 and 8.1)."""
    stream.seek(8 + 8)
    columns, rows, depth, colour, _, _, interlace = struct.unpack(">2I5B", stream.read(13))
    missing = 0
    for left, top, right, down in PNG_PASSES[interlace]:
        pixels, lines = math.ceil((columns - left) / right), math.ceil((rows - top) / down)
        missing += (
            lines * (1 + math.ceil(pixels * PNG_SAMPLES[colour] * depth / 8))
            if pixels > 0 and lines > 0
            else 0
        )
    stream.seek(4, 1)
    unpacker = zlib.decompressobj()
    while missing > 0 and len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        packed = stream.read(length) if kind == b"IDAT" else b""
        while packed and missing > 0 and not unpacker.eof:
            missing -= len(unpacker.decompress(packed, CHUNK))
            packed = unpacker.unconsumed_tail
        stream.seek(4 if kind == b"IDAT" else length + 4, 1)
    return missing <= 0
