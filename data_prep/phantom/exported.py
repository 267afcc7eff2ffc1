"""A file of a hospital's export, before it is written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportedFile:
    """One file, and the identifiers in it that a labels table may go by."""

    path: str  # relative to the site's root, with /
    content: bytes
    keys: dict[str, str]  # DICOM keyword -> value
