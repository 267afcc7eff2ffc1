"""What a file is, by its first bytes: empty, one that holds others, or perhaps DICOM.

What images are, readers tell (data_prep/readers/registry.py).
"""

import re
import struct
import tarfile
from enum import StrEnum

HEAD = 540  # bytes: a NIfTI-2 header, the longest start that is looked at


class Kind(StrEnum):
    """What is no image: empty files, those that hold others, and all that no reader knows."""

    ZIP = "zip"
    TAR = "tar"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    EMPTY = "empty"
    OTHER = "other"


def sniff(head: bytes) -> Kind:
    """Whether a file that starts with `head` (HEAD bytes, or all) holds others, or is empty.

    OTHER of images, too.
    """
    if not head:
        return Kind.EMPTY
    if has_dicom_preamble(head):  # whose first 128 bytes may be anything
        return Kind.OTHER
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return Kind.ZIP
    if head.startswith(b"\x1f\x8b"):
        return Kind.GZIP
    if re.match(rb"BZh[1-9]1AY&SY", head):
        return Kind.BZIP2
    if head.startswith(b"\xfd7zXZ\0"):
        return Kind.XZ
    return Kind.TAR if _starts_like_a_tar(head) else Kind.OTHER


def _starts_like_a_tar(head: bytes) -> bool:
    """By the first header's checksum: the oldest tars have no magic."""
    # tarfile takes no digits for 0, which signed bytes of an image may add up to.
    if not re.match(rb" *[0-7]+[ \0]", head[148:156]):
        return False
    # The name at the start is text. Images are not: a NIfTI's free text lies where the checksum is.
    if b"\0" in head[:100].rstrip(b"\0") and head[257:262] != b"ustar":
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], tarfile.ENCODING, "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def has_dicom_preamble(head: bytes) -> bool:
    """PS3.10 7.1."""
    return head[128:132] == b"DICM"


def starts_like_dicom(head: bytes) -> bool:
    """Whether the first tag is of group 0002 or 0008, as a data set without preamble begins.

    In either byte order. Only parsing tells whether it is one.
    """
    if len(head) < 8:
        return False
    starts = (struct.unpack(order + "HH", head[:4]) for order in "<>")
    return any(group in (0x0002, 0x0008) and element <= 0x0018 for group, element in starts)
