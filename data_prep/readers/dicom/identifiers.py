"""All that a DICOM file says of a person, for the search through the outputs (PS3.5 6.2)."""

from collections.abc import Iterator
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID_dictionary

from data_prep.privacy.identifying_values import (
    DATE,
    META,
    MOST_BYTES,
    NESTED,
    NUMBER,
    PERSON,
    PRIVATE,
    TEXT,
    UID,
    IdentifyingValues,
)

NUMBERS = (
    "PatientID",
    "OtherPatientIDs",
    "IssuerOfPatientID",
    "AccessionNumber",
    "AdmissionID",
    "StudyID",
    "ServiceEpisodeID",
    "DeviceSerialNumber",
    "MedicalRecordLocator",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "PlateID",
    "DetectorID",
)
MAKERS = ("Manufacturer", "ManufacturerModelName")  # typed fields that fewsite writes
# Text of free content. CS, coded, is no free text outside of private elements, and numbers and
# times alone identify nobody.
TEXT_VRS = ("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT")
BYTES_VRS = ("OB", "OW", "UN")


def add_elements(values: IdentifyingValues, stream: BinaryIO, asked: tuple[str, ...]) -> None:
    """`asked`: keywords of elements that are identifying whatever their kind."""
    data = dcmread(stream, force=True)
    for element in _elements(data):
        if element.keyword in MAKERS:
            values.makers.update(_texts(element))
        else:
            _add_element(values, element, NUMBER if element.keyword in NUMBERS else TEXT)
        for text in _texts(element) if element.keyword in asked else ():
            values.add(NUMBER, text)
    for element in _elements(data.file_meta):
        _add_element(values, element, META)


def _elements(data: Dataset) -> Iterator[DataElement]:
    """The elements that can be read: one that is malformed does not hide the others."""
    # A data set iterates over its elements, and fails at the first that is malformed.
    for tag in sorted(data.keys()):
        try:
            yield data[tag]
        except Exception:  # converting a malformed value may raise anything
            continue


def _add_element(values: IdentifyingValues, element: DataElement, kind: str) -> None:
    """`kind`: of text in this place.

    Sequences are entered; what lies in a private element is private however deep.
    """
    if element.tag.is_private:
        if element.tag.is_private_creator:
            return
        kind = PRIVATE
    if element.VR == "SQ":
        for item in element.value:
            for inner in _elements(item):
                nested = NUMBER if inner.keyword in NUMBERS else NESTED
                _add_element(values, inner, PRIVATE if kind == PRIVATE else nested)
    elif element.VR in BYTES_VRS:
        may_hold_text = kind in (PRIVATE, META) or element.VR == "UN"
        if may_hold_text and element.value and len(element.value) <= MOST_BYTES:
            values.add_printable(kind, bytes(element.value))
    elif (
        element.VR in (*TEXT_VRS, "PN", "UI", "DA", "DT") or element.VR == "CS" and kind == PRIVATE
    ):
        _add_text(values, element, kind)


def _add_text(values: IdentifyingValues, element: DataElement, kind: str) -> None:
    for text in _texts(element):
        match element.VR:
            case "PN":
                values.add(PERSON, text)
            case "UI":
                if text not in UID_dictionary:
                    values.add(UID, text)
            case "DA" | "DT":
                values.add(DATE, text[:8])
            case _:
                for line in text.splitlines():
                    values.add(kind, line)


def _texts(element: DataElement) -> list[str]:
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    return [str(one).strip(" \0") for one in values if one is not None]
