"""Where a file's pixel data lies, and that all of it is there, without decoding it (PS3.5 7.1,
A.4).
"""

import struct
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from data_prep.readers.dicom.pixels.decoders import NO_PIXELS
from data_prep.readers.dicom.pixels.frame_bytes import PixelData
from data_prep.rejects import Rejected

PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, PIXEL_DATA)  # float, double and integer pixel data
ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD  # PS3.5 7.5
UNDEFINED_LENGTH = 0xFFFFFFFF
# PS3.5 7.1.2: a 32-bit length after two reserved bytes.
LONG_FORM = (
    b"OB",
    b"OD",
    b"OF",
    b"OL",
    b"OV",
    b"OW",
    b"UN",
)


def follows(stream: BinaryIO, data: Dataset, syntax: str) -> bool:
    """Whether `stream`, which is left where it stands, goes on with pixel data; of a deflated file
    whether its header speaks of them.
    """
    if syntax == DeflatedExplicitVRLittleEndian:
        return "Rows" in data
    place = stream.tell()
    tag = stream.read(4)
    stream.seek(place)
    if len(tag) < 4:
        return False
    group, element = struct.unpack(("<" if data.original_encoding[1] else ">") + "HH", tag)
    return group << 16 | element in PIXEL_TAGS


def locate(stream: BinaryIO, data: Dataset) -> PixelData:
    """Follow the lengths of the pixel data that `stream` stands at, to its end.

    Raises Rejected if the file ends before.
    """
    implicit, little = data.original_encoding
    order = "<" if little else ">"
    header = stream.read(12)
    if len(header) < 12:
        raise Rejected("truncated", NO_PIXELS)
    group, element = struct.unpack(order + "HH", header[:4])
    if group << 16 | element not in PIXEL_TAGS:
        raise Rejected("truncated", NO_PIXELS)
    if implicit:
        length, start = struct.unpack(order + "I", header[4:8])[0], stream.tell() - 4
    elif header[4:6] in LONG_FORM:
        length, start = struct.unpack(order + "I", header[8:12])[0], stream.tell()
    else:
        raise Rejected("not_decodable", "a pixel data element of another kind")
    end = stream.seek(0, 2)
    if length != UNDEFINED_LENGTH:
        if start + length > end:
            raise Rejected("truncated", f"{end - start} of {length} bytes of pixels")
        return PixelData(start, length, group << 16 | element == PIXEL_DATA, start + length == end)
    place = start
    items: list[tuple[int, int]] = []
    while place + 8 <= end:
        stream.seek(place)
        group, element, length = struct.unpack("<HHI", stream.read(8))
        if group << 16 | element == SEQUENCE_END:
            return PixelData(start, None, True, place + 8 == end, tuple(items))
        if group << 16 | element != ITEM:
            raise Rejected("not_decodable", "pixel data that is no sequence of fragments")
        items.append((place, place + 8 + length))
        place += 8 + length
    raise Rejected("truncated", "encapsulated pixel data without its end")
