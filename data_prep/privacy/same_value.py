"""One value written in several ways is one value: each is brought to one form before it is compared
or hashed.

What differs without meaning: Unicode's composed and decomposed letters (UAX 15), spaces and NULs
that pad a value (PS3.5 6.2), and a person's name with its empty last components and groups (PS3.5
6.2.1). Upper and lower case differ (PS3.4 C.2.2.2.1).
"""

import re
import unicodedata
from typing import Final

PERSON = "PN"
WHOLE_NUMBERS = ("IS", "SL", "SS", "SV", "UL", "US", "UV")
PARTS_A_NAME = "^"  # of components; no other value is likely to hold one
FORM: Final = "NFC"
# a NUL, and marks without width, which cells copied from web pages and PDFs hold
UNSEEN = "\0\u200b\u200e\u200f\u2060\ufeff"
PADDING = re.compile(rf"\A[\s{UNSEEN}]+|[\s{UNSEEN}]+\Z")


def one_form(value: str, kind: str = "") -> str:
    """The form that all ways to write a value share.

    `kind`: its value representation, empty where it is not known.

    Several values are parted by backslashes (PS3.5 6.4). Plain text without padding stays as it is.
    """
    return "\\".join(_one(single, kind) for single in one_text(value).split("\\"))


def one_text(text: str) -> str:
    """Text of one Unicode form, padding and all: for tables and for paths, where a space may tell
    two files apart.
    """
    return unicodedata.normalize(FORM, text)


def _one(value: str, kind: str) -> str:
    value = _unpadded(value)
    if kind in WHOLE_NUMBERS:
        return _whole(value)
    if kind == PERSON or PARTS_A_NAME in value:
        groups = (
            "^".join(map(_unpadded, group.split("^"))).rstrip("^") for group in value.split("=")
        )
        return "=".join(groups).rstrip("=")
    return value


def _unpadded(value: str) -> str:
    return PADDING.sub("", value)


def _whole(value: str) -> str:
    try:
        return str(int(value))
    except ValueError:  # no number, so it is its own only form
        return value
