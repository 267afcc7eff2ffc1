"""What DICOM headers say by the elements of data_prep/readers/dicom/meaning.py, in a form in which
equal values compare equal.
"""

from collections.abc import Hashable, Sequence
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from data_prep.readers.dicom import frames
from data_prep.readers.dicom.header import parse, text, value
from data_prep.readers.dicom.meaning import (
    PEPOLAR,
    PRIVATE,
    PULSE_SEQUENCE,
    SIEMENS,
    SIEMENS_CSA,
    STANDARD,
    STATED_VOLUMES,
    USER_DATA_12,
    Element,
)
from data_prep.readers.quiet import quiet

# A time of day starts anew at midnight.
DATE_OF = {
    "AcquisitionTime": "AcquisitionDate",
    "ContentTime": "ContentDate",
}
STANDARD_MORE = tuple(element for element in STANDARD if not element.scanned)


def read_more(stream: BinaryIO, wanted: Sequence[int | None]) -> list[dict[str, Hashable]]:
    """What the elements say that tell volumes apart and that no scan asks for, of some frames of a
    file or of its one image.

    Raises Rejected.
    """
    with quiet():
        data = parse(stream, force=True, stop_before_pixels=True)
        headers = frames.frame_headers(data) if data.get("PerFrameFunctionalGroupsSequence") else []
        stated = {name: _plain(value(data, name)) for name in STATED_VOLUMES}
        of_file = _read_more(data)
        of_frames = [
            {name: found for name, found in _read_more(header).items() if found is not None}
            for header in headers
        ]
        return [
            stated
            | of_file
            | (of_frames[frame] if frame is not None and frame < len(of_frames) else {})
            for frame in wanted
        ]


def reverses_rows(stream: BinaryIO) -> bool:
    """Whether a file is of a sequence that writes some volumes with reversed rows, and says so in
    private elements alone.

    Raises Rejected.
    """
    with quiet():
        data = parse(stream, force=True, stop_before_pixels=True)
        blocks = _private_blocks(data)
        return (
            PEPOLAR in str(_private(data, blocks, *PULSE_SEQUENCE)).lower()
            and _private(data, blocks, *USER_DATA_12) != 0
        )


def comparable(data: Dataset, element: Element) -> Hashable:
    """What a header says by an element, so that equal values compare equal; what is missing or
    malformed says nothing.
    """
    try:
        found = _plain(value(data, element.name))
        if element.name in DATE_OF and found is not None:
            found = text(data, DATE_OF[element.name]), found
    except Exception:  # as in header.text
        found = None
    if element.name == "EchoTime" and found == 0:  # enhanced objects say so where there is no echo
        found = None
    return element.absent if found is None else found


def _read_more(data: Dataset) -> dict[str, Hashable]:
    blocks = _private_blocks(data)
    packed = (
        _packed(data)
        if SIEMENS_CSA in {creator for _, creator in blocks}
        and SIEMENS not in {creator for _, creator in blocks}
        else {}
    )
    values = {element.name: comparable(data, element) for element in STANDARD_MORE}
    for element in PRIVATE:
        if element.field:
            values[element.name] = packed.get(element.field)
        elif element.private is not None:
            values[element.name] = _private(data, blocks, *element.private)
    return values


def _packed(data: Dataset) -> dict[str, Hashable]:
    """The fields of Siemens' private header; those that older software says nowhere else."""
    from nibabel.nicom import csareader  # warns as it is imported, here where callers are quiet

    try:
        return {
            name: _plain(tag["items"])
            for name, tag in csareader.get_csa_header(data)["tags"].items()
        }
    except Exception:  # as in header.text
        return {}


def _private_blocks(data: Dataset) -> dict[tuple[int, str], int]:
    """Group and creator -> where the maker's block begins (PS3.5 7.8.1)."""
    blocks: dict[tuple[int, str], int] = {}
    for tag in data.keys():  # noqa: SIM118 - a data set iterates over elements
        if tag.is_private_creator:
            try:
                blocks.setdefault(
                    (tag.group, str(data[tag].value).strip(" \0")),
                    tag.group << 16 | tag.element << 8,
                )
            except Exception:  # as in header.text
                continue
    return blocks


def _private(
    data: Dataset, blocks: dict[tuple[int, str], int], group: int, creator: str, byte: int
) -> Hashable:
    block = blocks.get((group, creator))
    try:
        element = None if block is None else data.get(Tag(block | byte))
        return None if element is None else _plain(element.value)
    except Exception:  # as in header.text
        return None


def _plain(found: object) -> Hashable:
    """A number, text or tuple of them; None where there is nothing. Zero has no sign."""
    if found is None or isinstance(found, bytes):
        return found or None
    if isinstance(found, int | float):
        return float(found) + 0.0
    if isinstance(found, MultiValue | list | tuple):
        return tuple(map(_plain, found)) or None
    words = str(found).strip(" \0").upper()
    if words[:1].isdigit():  # a time, or a number that its maker wrote as text
        try:
            return float(words)
        except ValueError:
            pass
    return words or None
