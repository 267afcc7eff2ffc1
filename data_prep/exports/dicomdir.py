"""The files that a DICOMDIR names (PS3.3 F), to notice those that an export lacks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from data_prep.readers.dicom.objects import Object, object_of
from data_prep.readers.quiet import quiet
from data_prep.rejects import Rejected

FILE_ID = "dicomdir"  # PS3.10 8.6: a directory is told by its name, in capitals
VERSION = re.compile(r";\d+$")  # ISO 9660 7.5, shown by some systems
ADDED = (".gz", ".bz2", ".xz", ".dcm", ".dicom", ".ima")  # to names that PS3.10 8.5 gives no ending


@dataclass(frozen=True, slots=True)
class Named:
    """What a directory says of a file.

    `path`: from the directory's own folder; UIDs, empty where it does not say them.
    """

    path: str
    image: bool
    series: str
    instance: str
    sop_class: str


def is_dicomdir(name: str) -> bool:
    return as_on_a_disc(name.rpartition("/")[2]) == FILE_ID


def as_on_a_disc(name: str) -> str:
    """A path without what systems and people change of it: case, a version, and endings of packers
    and of DICOM.
    """
    name = VERSION.sub("", name.casefold())
    while name.endswith(ADDED):
        name = name.rpartition(".")[0]
    return name.rstrip(".")


def named_files(stream: BinaryIO) -> list[Named]:
    """Raises Rejected if the directory cannot be read."""
    with quiet():
        try:
            directory = pydicom.dcmread(stream, specific_tags=["DirectoryRecordSequence"])
            stored = directory.get_item("DirectoryRecordSequence")
            # pydicom takes a sequence that ends early for a short one.
            whole = (
                not isinstance(stored, RawDataElement) or len(stored.value or b"") == stored.length
            )
            records = list(directory.DirectoryRecordSequence)
            named = [
                _named(record, series)
                for record, series in zip(records, _series_of(records), strict=True)
                if record.get("ReferencedFileID") and record.get("RecordInUseFlag") != 0
            ]  # 0: no longer in use
        # A malformed file makes pydicom raise nearly anything, and the text may quote a value.
        except Exception:
            raise Rejected("damaged_directory") from None
    if not whole:
        raise Rejected("damaged_directory")
    return named


def instance_of(stream: BinaryIO) -> str:
    """The SOP Instance UID of a DICOM file; empty where it has none or is none."""
    with quiet():
        try:
            data = pydicom.dcmread(
                stream, specific_tags=["SOPInstanceUID"], stop_before_pixels=True, force=True
            )
            return str(data.get("SOPInstanceUID", ""))
        except Exception:  # as above; what the file is, its own reading will say
            return ""


def _named(record: Dataset, series: str) -> Named:
    parts, sop_class = record.ReferencedFileID, str(record.get("ReferencedSOPClassUIDInFile", ""))
    image = (
        record.get("DirectoryRecordType") == "IMAGE" and object_of(sop_class) is not Object.NO_IMAGE
    )
    instance = str(record.get("ReferencedSOPInstanceUIDInFile", ""))
    return Named(
        parts if isinstance(parts, str) else "/".join(parts), image, series, instance, sop_class
    )


def _series_of(records: Sequence[Dataset]) -> list[str]:
    """The series UID that each record lies under: as offsets link them (PS3.3 F.2.2.2) or, where
    none leads there, in their order.
    """
    places = {record.seq_item_tell: at for at, record in enumerate(records)}
    linked: dict[int, str] = {}
    for record in records:
        if record.get("DirectoryRecordType") == "SERIES":
            at = places.get(record.get("OffsetOfReferencedLowerLevelDirectoryEntity"))
            while at is not None and at not in linked:
                linked[at] = str(record.get("SeriesInstanceUID", ""))
                at = places.get(records[at].get("OffsetOfTheNextDirectoryRecord"))
    series, last = [], ""
    for at, record in enumerate(records):
        last = (
            str(record.get("SeriesInstanceUID", ""))
            if record.get("DirectoryRecordType") == "SERIES"
            else last
        )
        series.append(linked.get(at, last))
    return series
