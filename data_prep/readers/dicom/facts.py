"""What a DICOM header says of an image: facts that may be told, and how its slices lie (PS3.3)."""

from pydicom.dataset import Dataset

from data_prep.privacy.age_and_sex import age_from_dicom, sex, understood
from data_prep.privacy.deidentify import equipment, modality, study_year
from data_prep.readers.dicom.comparable import comparable
from data_prep.readers.dicom.header import numbers as _numbers
from data_prep.readers.dicom.header import tag_of as _tag
from data_prep.readers.dicom.header import text as _text
from data_prep.readers.dicom.header import whole as _whole
from data_prep.readers.dicom.meaning import SCANNED, STATED
from data_prep.readers.dicom.units import units
from data_prep.readers.image_file import Facts, Place, Rectangle, shared

# Whatever in a header names a person, a place or a visit: a maker's name that shares a piece with
# one of these is dropped.
IDENTIFYING = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "DeviceSerialNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "RequestingPhysician",
    "OperatorsName",
    "ResponsiblePerson",
)


def facts_of(
    data: Dataset, syntax: str, spacing: tuple[float, ...] | None, its_units: str | None
) -> Facts:
    identifying = [_text(data, keyword) for keyword in IDENTIFYING]
    study_date = _text(data, "StudyDate")
    age, age_read = understood(
        age_from_dicom, _text(data, "PatientAge"), _text(data, "PatientBirthDate"), study_date
    )
    patient_sex, sex_read = understood(sex, _text(data, "PatientSex"))
    return shared(
        Facts(
            transfer_syntax=syntax,
            photometric=_text(data, "PhotometricInterpretation"),  # as check_image knows
            modality=modality(_text(data, "Modality")),
            manufacturer=equipment(_text(data, "Manufacturer"), identifying),
            model=equipment(_text(data, "ManufacturerModelName"), identifying),
            age=age,
            sex=patient_sex,
            study_year=study_year(study_date),
            spacing=spacing,
            units=its_units,
            unread=("age",) * (not age_read) + ("sex",) * (not sex_read),
        )
    )


def spacing_of(data: Dataset) -> tuple[float, ...] | None:
    return next(
        (
            found
            for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
            if (found := _numbers(data, keyword, 2)) and min(found) > 0
        ),
        None,
    )


def regions_of(data: Dataset) -> Rectangle | None:
    """What all ultrasound regions span (PS3.3 C.8.5.5); None where there is none or one says no
    place.

    Makers differ in whether Max is the last pixel of a region or the next one: it is left out, so
    that no pixel beside one is kept.
    """
    try:
        corners = [
            [
                int(region[f"RegionLocation{corner}"].value)
                for corner in ("MinY0", "MinX0", "MaxY1", "MaxX1")
            ]
            for region in data.SequenceOfUltrasoundRegions
        ]
    except Exception:  # as in header.text
        return None
    if not corners:
        return None
    tops, lefts, bottoms, rights = zip(*corners, strict=True)
    return min(tops), min(lefts), max(bottoms) - min(tops), max(rights) - min(lefts)


def place_of(whole: Dataset, data: Dataset, grey: bool) -> Place:
    """`whole`: the file's header; `data`: its image's, or one frame's own."""
    its_units = units(whole, data) if grey else None
    meant = (
        its_units
        if _tag("RescaleSlope") in data or not grey
        else units(whole, data, as_if_rescaled=True)
    )
    return Place(
        _numbers(data, "ImagePositionPatient", 3),
        _numbers(data, "ImageOrientationPatient", 6),
        "LOCALIZER" in _text(data, "ImageType").upper(),
        stated=_whole(data, "ImagesInAcquisition") or _whole(data, "NumberOfSlices"),
        stack=_text(data, "StackID"),
        meaning=shared((*(comparable(data, element) for element in STATED), meant or "")),
        moments=shared(tuple(comparable(data, element) for element in SCANNED)),
        number=_whole(data, "InstanceNumber"),
        times=_whole(data, "NumberOfTemporalPositions"),
        between=_numbers(data, "SpacingBetweenSlices", 1),
        units=its_units,
    )
