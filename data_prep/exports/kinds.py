"""Files that hold other files, told by their first bytes and never by their names."""

import re
import struct
import tarfile
from enum import StrEnum

HEAD = 540  # bytes: a NIfTI-2 header, the longest start that is looked at
UNREAD_ENDINGS = (  # of images that fewsite does not read
    *(".gif", ".webp", ".heic", ".avif", ".psd", ".mnc", ".svs", ".ndpi"),
    *(".mp4", ".avi", ".mov", ".mpg", ".mpeg"),
)
VOXEL_ENDINGS = (
    ".img",
    ".img.gz",
    ".raw",
    ".zraw",
    ".brik",
    ".brik.gz",
)  # of files that hold voxels and no header
TEXT_ENDINGS = (
    ".txt",
    ".csv",
    ".tsv",
    ".log",
    ".json",
    ".xml",
    ".htm",
    ".html",
    ".pdf",
    ".rtf",
    ".md",
    ".yaml",
    ".yml",
    ".ini",
    ".cfg",
    ".doc",
    ".docx",
    ".xls",
    ".xlsx",
    ".md5",
    ".sha1",
    ".sha256",
    ".bval",
    ".bvec",
)


class Kind(StrEnum):
    """What is no image: files that hold others, and all that no reader knows."""

    ZIP = "zip"
    TAR = "tar"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    EMPTY = "empty"
    OTHER = "other"


def sniff(head: bytes) -> Kind:
    """The kind of a file that starts with `head` (HEAD bytes, or all of a shorter file)."""
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
