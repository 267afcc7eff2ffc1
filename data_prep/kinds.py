"""What a file is, by its first bytes and never by its name."""

import re
import struct
import tarfile
from enum import StrEnum

HEAD = 540  # bytes: a NIfTI-2 header, the longest start that is looked at
DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
IMAGE_ENDINGS = (*DICOM_ENDINGS, ".nii", ".nii.gz", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nrrd", ".nhdr", ".mha", ".mhd")
NRRD_MAGIC = b"NRRD000"  # and the version
METAIMAGE = re.compile(rb"\A(?=\s*[A-Za-z]+[ \t]*=)[^\0]*?^NDims[ \t]*=[ \t]*\d", re.MULTILINE)  # it has no magic, only fields


class Kind(StrEnum):
    DICOM = "dicom"
    BARE_DICOM = "bare_dicom"  # may be DICOM without preamble; only parsing tells
    NIFTI = "nifti"
    NIFTI_PAIR = "nifti_pair"
    NRRD = "nrrd"
    METAIMAGE = "metaimage"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
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
    if head[128:132] == b"DICM":  # PS3.10 7.1
        return Kind.DICOM
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):  # TIFF 6.0 and BigTIFF
        return Kind.TIFF
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return Kind.ZIP
    if head.startswith(b"\x1f\x8b"):
        return Kind.GZIP
    if re.match(rb"BZh[1-9]1AY&SY", head):
        return Kind.BZIP2
    if head.startswith(b"\xfd7zXZ\0"):
        return Kind.XZ
    if nifti := _nifti(head):
        return nifti
    if _starts_like_a_tar(head):
        return Kind.TAR
    if head.startswith(NRRD_MAGIC):
        return Kind.NRRD
    if METAIMAGE.match(head):
        return Kind.METAIMAGE
    return Kind.BARE_DICOM if _starts_like_an_element(head) else Kind.OTHER


def named_like_an_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS)


def named_like_another_format(name: str) -> bool:
    """Whether a name is an image's that is no DICOM."""
    return named_like_an_image(name) and not name.lower().endswith(DICOM_ENDINGS)


def _nifti(head: bytes) -> Kind | None:
    """NIfTI-1: 348 first, magic at 344. NIfTI-2: 540 first, magic at 4. In either byte order."""
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 4 else set()
    magic = head[344:348] if 348 in sizes else head[4:8] if 540 in sizes else b""
    if magic[:3] in (b"n+1", b"n+2"):
        return Kind.NIFTI
    return Kind.NIFTI_PAIR if magic[:3] in (b"ni1", b"ni2") else None


def _starts_like_a_tar(head: bytes) -> bool:
    """By the first header's checksum: the oldest tars have no magic."""
    if not re.match(rb" *[0-7]+[ \0]", head[148:156]):  # tarfile takes no digits for 0, which signed bytes of an image may add up to
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], tarfile.ENCODING, "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _starts_like_an_element(head: bytes) -> bool:
    """Whether the first tag is of group 0002 or 0008, as a data set without preamble begins (in either byte order)."""
    if len(head) < 8:
        return False
    return any(struct.unpack(order + "H", head[:2])[0] in (0x0002, 0x0008) and struct.unpack(order + "H", head[2:4])[0] <= 0x0018
               for order in "<>")
