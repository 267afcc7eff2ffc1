"""JPEG streams with known samples that no encoder at hand writes: lossless ones of any predictor, and markers that say what is wanted."""

import io
import struct

import numpy as np
from PIL import Image

JFIF = b"\xff\xe0" + struct.pack(">H5s2BB2H2B", 16, b"JFIF\0", 1, 1, 0, 1, 1, 0, 0)
CATEGORIES = 17  # of differences, T.81 table H.2, each with a code of five bits


def adobe(transform: int) -> bytes:
    """T.872 6.5.3."""
    return b"\xff\xee" + struct.pack(">H5s3HB", 14, b"Adobe", 100, 0, 0, transform)


def lossless(
    samples: np.ndarray, predictor: int = 1, bits: int = 8, as_signed: bool = False
) -> bytes:
    """T.81 H, process 14, of (rows, columns) or (rows, columns, 3). `as_signed`: by an encoder that takes samples for signed numbers."""
    values = np.atleast_3d(samples).astype(int)
    if as_signed:
        values = (values + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
    rows, columns, count = values.shape
    left, above, corner = (
        np.pad(values, ((1, 0), (1, 0), (0, 0)))[part]
        for part in (np.s_[1:, :-1], np.s_[:-1, 1:], np.s_[:-1, :-1])
    )
    predicted = [
        None,
        left,
        above,
        corner,
        left + above - corner,
        left + ((above - corner) >> 1),
        above + ((left - corner) >> 1),
        (left + above) >> 1,
    ][predictor].copy()
    predicted[0], predicted[:, 0] = left[0], above[:, 0]
    predicted[0, 0] = 1 << (bits - 1)
    coded = []
    differences = (values - predicted + 32767) % 65536 - 32767  # H.1.2.1: modulo 2**16
    for difference in differences.ravel().tolist():
        category = abs(difference).bit_length()
        bits_after = (
            f"{difference + (difference < 0) * ((1 << category) - 1):0{category}b}"
            if 0 < category < 16
            else ""
        )  # H.1.2.2
        coded.append(f"{category:05b}" + bits_after)
    stream = "".join(coded)
    stream += "1" * (-len(stream) % 8)
    packed = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")
    components = b"".join(bytes([number, 0x11, 0]) for number in range(1, count + 1))
    scanned = b"".join(bytes([number, 0]) for number in range(1, count + 1))
    return (
        b"\xff\xd8\xff\xc3"
        + struct.pack(">HBHHB", 8 + 3 * count, bits, rows, columns, count)
        + components
        + b"\xff\xc4"
        + struct.pack(">HB", 19 + CATEGORIES, 0)
        + bytes([0, 0, 0, 0, CATEGORIES] + [0] * 11)
        + bytes(range(CATEGORIES))
        + b"\xff\xda"
        + struct.pack(">HB", 6 + 2 * count, count)
        + scanned
        + bytes([predictor, 0, 0])
        + packed
        + b"\xff\xd9"
    )


def baseline(
    picture: np.ndarray, markers: bytes = b"", rgb: bool = False, subsampling: int = 2
) -> bytes:
    """Pillow's JPEG of (rows, columns, 3) with `markers` in place of its own. `rgb`: without a transform, components named R, G and B."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(
        stream, "JPEG", quality=95, **({"keep_rgb": True} if rgb else {"subsampling": subsampling})
    )
    content, place = stream.getvalue(), 2
    while 0xE0 <= content[place + 1] <= 0xEF:  # T.81 B.2.4.6: application segments
        place += 2 + struct.unpack_from(">H", content, place + 2)[0]
    return content[:2] + markers + content[place:]


def renamed(stream: bytes, names: bytes) -> bytes:
    """A stream of three components under other names than R, G and B."""
    at = stream.index(b"\xff\xc0") + 10
    scan = stream.index(b"\xff\xda") + 5
    content = bytearray(stream)
    content[at : at + 9 : 3], content[scan : scan + 6 : 2] = names, names
    return bytes(content)
