"""What a file's name says that it was meant to be. What it is, its content says."""

from data_prep.readers.dicom_file import DICOM_ENDINGS
from data_prep.readers.registry import image_endings

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


def named_like_an_image(name: str) -> bool:
    return name.lower().endswith((*image_endings(), *UNREAD_ENDINGS))


def named_like_another_format(name: str) -> bool:
    """Whether a name is an image's that is no DICOM."""
    return named_like_an_image(name) and not name.lower().endswith(DICOM_ENDINGS)


def named_like_text(name: str) -> bool:
    """Whether a name is no slice's: a text's, or one that is hidden."""
    hidden = name.rpartition("/")[2].startswith(".") and not named_like_an_image(name)
    return name.lower().endswith(TEXT_ENDINGS) or hidden


def named_like_voxels(name: str) -> bool:
    return name.lower().endswith(VOXEL_ENDINGS)
