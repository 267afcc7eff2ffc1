"""The files that a DICOMDIR names (PS3.3 F), to notice those that an export lacks."""

from typing import BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement

from data_prep.quiet import quiet
from data_prep.rejects import Rejected

FILE_ID = "DICOMDIR"  # PS3.10 8.6: a directory is told by its name; a mounted disc may show it in lower case


def is_dicomdir(name: str) -> bool:
    return name.rpartition("/")[2].upper() == FILE_ID


def named_files(stream: BinaryIO) -> list[str]:
    """Their paths from the directory's own folder, as it writes them. Raises Rejected if it cannot be read."""
    with quiet():
        try:
            directory = pydicom.dcmread(stream, specific_tags=["DirectoryRecordSequence"])
            stored = directory.get_item("DirectoryRecordSequence")
            # pydicom takes a sequence that ends early for a short one.
            whole = not isinstance(stored, RawDataElement) or len(stored.value or b"") == stored.length
            named = [record.ReferencedFileID for record in directory.DirectoryRecordSequence
                     if record.get("ReferencedFileID") and record.get("RecordInUseFlag") != 0]  # 0: no longer in use
        except Exception:  # a malformed file makes pydicom raise nearly anything, and the text may quote a value
            raise Rejected("damaged_directory") from None
    if not whole:
        raise Rejected("damaged_directory")
    return [parts if isinstance(parts, str) else "/".join(parts) for parts in named]
