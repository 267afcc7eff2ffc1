"""DICOM elements that a site's file may name, by keyword or tag, to match images by or to tell
patients apart (PS3.6).
"""

import re

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.tag import Tag

from data_prep.site_file import Labels

BY_TAG = re.compile(r"\(([0-9A-Fa-f]{4}), ?([0-9A-Fa-f]{4})\)")
FIRST_GROUP = 0x0008  # those before belong to messages, files and directories, not to images
# PS3.5 6.2: text and whole numbers. Equal fractions may be written differently, so they tell
# nothing apart.
PLAIN_VRS = (
    "AE",
    "AS",
    "CS",
    "DA",
    "DT",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "SL",
    "SS",
    "ST",
    "SV",
    "TM",
    "UC",
    "UI",
    "UL",
    "UR",
    "US",
    "UT",
    "UV",
)


def keyword_of(name: str) -> str:
    """The keyword of an element that is named by keyword or as (gggg,eeee).

    Raises ValueError that says why it cannot serve.
    """
    numbers = BY_TAG.fullmatch(name)
    number = tag_for_keyword(name) if numbers is None else int(numbers[1] + numbers[2], 16)
    if number is None:
        raise ValueError("no keyword or tag of the DICOM dictionary")
    tag = Tag(number)
    if tag.is_private:
        raise ValueError("a private element, whose meaning each maker changes at will")
    if not dictionary_has_tag(tag) or not keyword_for_tag(tag) or tag.group < FIRST_GROUP:
        raise ValueError("no element of an image in the DICOM dictionary")
    if dictionary_VR(tag) == "SQ":
        raise ValueError("a sequence, which holds many values")
    if dictionary_VR(tag) not in PLAIN_VRS:
        raise ValueError("an element of other than text or whole numbers")
    return keyword_for_tag(tag)


def kind_of(name: str | None) -> str:
    """The value representation of the element that a name stands for; empty for a file's place, or
    a column of its own.
    """
    try:
        tag = tag_for_keyword(keyword_of(name or ""))
    except ValueError:
        return ""
    return "" if tag is None else dictionary_VR(tag)


def asked_of(labels: Labels) -> tuple[str, ...]:
    """The keywords of the elements that a site's labels need of every header."""
    asked = []
    for name in filter(None, (labels.match, labels.patient)):
        try:
            asked.append(keyword_of(name))
        except ValueError:  # a file's place, or a column of the table
            continue
    return tuple(asked)
