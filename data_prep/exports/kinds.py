"""What a file is, by its first bytes and never by its name."""

import re
import struct
import tarfile
from enum import StrEnum

HEAD = 540  # bytes: a NIfTI-2 header, the longest start that is looked at
DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
IMAGE_ENDINGS = (
    *DICOM_ENDINGS,
    ".nii",
    ".nii.gz",
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".nrrd",
    ".nhdr",
    ".mha",
    ".mhd",
    ".mgh",
    ".mgz",
    ".mgh.gz",
    ".bmp",
    ".jp2",
    ".j2k",
    ".jpf",
    ".jpx",
    ".jph",
    ".gif",
    ".webp",
    ".heic",
    ".avif",
    ".psd",
    ".mnc",
    ".svs",
    ".ndpi",
    ".mp4",
    ".avi",
    ".mov",
    ".mpg",
    ".mpeg",
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
BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes of the header behind the first 14
MGH_HEADER = 284  # bytes; voxels follow
MGH_TYPES = range(11)
NRRD_MAGIC = b"NRRD000"  # and the version
METAIMAGE = re.compile(
    rb"\A(?=\s*[A-Za-z]+[ \t]*=)[^\0]*?^NDims[ \t]*=[ \t]*\d", re.MULTILINE
)  # it has no magic, only fields


class Kind(StrEnum):
    DICOM = "dicom"
    BARE_DICOM = "bare_dicom"  # may be DICOM without preamble; only parsing tells
    NIFTI = "nifti"
    NIFTI_PAIR = "nifti_pair"
    ANALYZE = "analyze"
    MGH = "mgh"
    NRRD = "nrrd"
    METAIMAGE = "metaimage"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    BMP = "bmp"
    JPEG2000 = "jpeg2000"
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
    if head.startswith(b"\xff\xd8\xff") and head[3:4] != b"\xf7":  # that one is JPEG-LS
        return Kind.JPEG
    if head.startswith(b"\xff\x4f\xff\x51") or (
        head.startswith(b"\0\0\0\x0cjP  \r\n\x87\n") and head[20:24] != b"mjp2"
    ):
        return Kind.JPEG2000  # T.800 A.4.1 and I.5.1; mjp2: a film, T.802
    if (
        head.startswith(b"BM")
        and len(head) >= 18
        and struct.unpack("<I", head[14:18])[0] in BMP_HEADERS
    ):
        return Kind.BMP
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
    if _starts_like_mgh(head):
        return Kind.MGH
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


def named_like_text(name: str) -> bool:
    """Whether a name is no slice's: a text's, or one that is hidden."""
    return name.lower().endswith(TEXT_ENDINGS) or (
        name.rpartition("/")[2].startswith(".") and not named_like_an_image(name)
    )


def named_like_voxels(name: str) -> bool:
    return name.lower().endswith(VOXEL_ENDINGS)


def _nifti(head: bytes) -> Kind | None:
    """NIfTI-1: 348 first, magic at 344. NIfTI-2: 540 first, magic at 4. In either byte order. Analyze 7.5: 348 first, no magic."""
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 4 else set()
    magic = head[344:348] if 348 in sizes else head[4:8] if 540 in sizes else b""
    if magic[:3] in (b"n+1", b"n+2"):
        return Kind.NIFTI
    if magic[:3] in (b"ni1", b"ni2"):
        return Kind.NIFTI_PAIR
    dimensions = (
        {struct.unpack(order + "h", head[40:42])[0] for order in "<>"}
        if 348 in sizes and len(head) >= 348
        else set()
    )
    return Kind.ANALYZE if dimensions & set(range(1, 8)) else None


def _starts_like_mgh(head: bytes) -> bool:
    """Version 1, four sizes, a type and whether the direction is known, all big-endian."""
    if len(head) < MGH_HEADER:
        return False
    version, *sizes, kind, _, known = struct.unpack(">7ih", head[:30])
    return version == 1 and min(sizes) > 0 and kind in MGH_TYPES and known in (0, 1)


def _starts_like_a_tar(head: bytes) -> bool:
    """By the first header's checksum: the oldest tars have no magic."""
    if not re.match(
        rb" *[0-7]+[ \0]", head[148:156]
    ):  # tarfile takes no digits for 0, which signed bytes of an image may add up to
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
    return any(
        struct.unpack(order + "H", head[:2])[0] in (0x0002, 0x0008)
        and struct.unpack(order + "H", head[2:4])[0] <= 0x0018
        for order in "<>"
    )
