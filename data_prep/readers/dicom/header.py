"""One element of a DICOM header, or nothing where it is missing or malformed."""

import math
import struct
import zlib
from functools import cache
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import VR

from data_prep.privacy.same_value import one_form
from data_prep.readers.image_file import shared
from data_prep.rejects import Rejected, not_decodable

UNDECODED = (
    "\ufffd"  # what pydicom puts in the place of bytes that the Specific Character Set has not
)

tag_of = cache(Tag)


def parse(stream: BinaryIO, **options: object) -> Dataset:
    """A file's data set. Raises Rejected."""
    try:
        return pydicom.dcmread(stream, **options)  # type: ignore[arg-type]
    except (EOFError, zlib.error, struct.error):
        raise Rejected("truncated") from None
    # A malformed file makes pydicom raise nearly anything, and the text may quote a value.
    except Exception as error:
        raise not_decodable(error) from None


def value(data: Dataset, keyword: str | int) -> Any:
    """An element's value.

    Most are missing in most headers, and to pydicom each of those would cost an exception or two.
    """
    tag = tag_of(keyword)
    known = data.keys()  # `in data` would make a tag of the tag
    return data[tag].value if tag in known else None


def text(data: Dataset, keyword: str) -> str:
    """An element's value as text; empty where it is missing or cannot be read."""
    try:
        found = value(data, keyword)
    except Exception:  # converting a malformed value may raise anything; to us it is missing
        return ""
    return _shown(found)


def _shown(found: object) -> str:
    return "" if found is None else str(found).strip(" \0")


def identifier(data: Dataset, keyword: str) -> str:
    """As text, in the form that all ways to write it share; several values with the backslash that
    parts them (PS3.5 6.4).

    Empty also where letters cannot be decoded: two patients' values might look the same.
    """
    try:
        found = value(data, keyword)
    except Exception:  # as in text
        return ""
    shown = "\\".join(map(str, found)) if isinstance(found, MultiValue) else _shown(found)
    return "" if UNDECODED in shown else one_form(shown, dictionary_VR(tag_of(keyword)))


def sop_class_of(data: Dataset) -> str:
    return text(data, "SOPClassUID") or text(data.file_meta, "MediaStorageSOPClassUID")


def whole(data: Dataset, keyword: str) -> int | None:
    """An element's value as a whole number, or None."""
    try:
        return int(value(data, keyword))
    except Exception:  # as in text
        return None


def numbers(data: Dataset, keyword: str | int, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None.

    Zero has no sign, so that equal tuples are the same to the bit, and shared.
    """
    try:
        found = value(data, keyword)
        read = tuple(float(number) + 0.0 for number in ([found] if count == 1 else found))
    except Exception:  # as in text
        return None
    return shared(read) if len(read) == count and all(map(math.isfinite, read)) else None


def items(data: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is missing or malformed."""
    try:
        return checked_items(data, keyword)
    except Exception:  # as in text
        return []


def checked_items(data: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is missing.

    Raises Rejected where it is another kind of element.
    """
    element = data.get(tag_of(keyword))
    if element is None or element.is_empty:
        return []
    if element.VR != VR.SQ:
        raise Rejected("not_decodable", "another element where a sequence belongs")
    return list(element.value)
