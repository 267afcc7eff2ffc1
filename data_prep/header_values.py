"""An element's value as what a reader asks for: one that is missing or cannot be read is missing, whatever is wrong with it."""

import math
from functools import cache

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import VR

from data_prep.image_file import shared
from data_prep.rejects import Rejected

tag_of = cache(Tag)


def value(data: Dataset, keyword: str) -> object:
    """As pydicom gives it. Asked for by tag: by keyword, each one that is missing would cost pydicom two exceptions."""
    element = data.get(tag_of(keyword))
    return None if element is None else element.value


def text(data: Dataset, keyword: str) -> str:
    """Empty where there is none."""
    try:
        found = value(data, keyword)
    except Exception:  # converting a malformed value may raise anything; to us it is missing
        return ""
    return "" if found is None else str(found).strip(" \0")


def whole(data: Dataset, keyword: str) -> int | None:
    """A whole number."""
    try:
        return int(value(data, keyword))  # type: ignore[arg-type]
    except Exception:  # as in text
        return None


def numbers(data: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None. Zero has no sign, so that equal tuples are the same to the bit, and shared."""
    try:
        found = value(data, keyword)
        several = tuple(float(number) + 0.0 for number in ([found] if count == 1 else found))  # type: ignore[arg-type, union-attr]
    except Exception:  # as in text
        return None
    return shared(several) if len(several) == count and all(map(math.isfinite, several)) else None


def items(data: Dataset, keyword: str) -> list[Dataset]:
    """Those of a sequence; none where it is missing. Raises Rejected where it is another kind of element."""
    element = data.get(tag_of(keyword))
    if element is None or element.is_empty:
        return []
    if element.VR != VR.SQ:
        raise Rejected("not_decodable", "another element where a sequence belongs")
    return list(element.value)
