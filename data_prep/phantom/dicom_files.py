"""DICOM as a hospital's archive exports it: radiographs (one file each) and CT series (one file a
slice).

The headers hold made-up identifiers of every kind that must never leave a hospital (names, numbers,
an institution, a free note, a private tag), each with the token ZZPHI. UIDs depend on the site and
the numbers alone, and no clock is read, so the bytes repeat.
"""

import io
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from data_prep.phantom.cohort import Patient
from data_prep.phantom.exported import ExportedFile
from data_prep.phantom.vendors import Scanner, Vendor

PRIVATE_GROUP, PRIVATE_CREATOR = 0x0009, "FEWSITE PHANTOM"


def radiograph_file(
    site: str, vendor: Vendor, patient: Patient, image: int, pixels: np.ndarray
) -> ExportedFile:
    """A CR or DX file of one radiograph (PS3.3 A.2 and A.26)."""
    unit = vendor.radiography
    header = _common(site, vendor, patient, image, unit.model)
    header.SOPClassUID = (
        DigitalXRayImageStorageForPresentation
        if unit.modality == "DX"
        else ComputedRadiographyImageStorage
    )
    header.ImageType = ["DERIVED", "PRIMARY"]
    header.Modality = unit.modality
    header.BodyPartExamined = "CHEST"
    header.ViewPosition = unit.view
    header.DistanceSourceToDetector = round(unit.source_distance * 10)
    header.ImagerPixelSpacing = [unit.pitch, unit.pitch]
    header.PixelSpacing = [unit.pitch, unit.pitch]
    if unit.modality == "DX":
        header.PresentationIntentType = "FOR PRESENTATION"
        header.PresentationLUTShape = "IDENTITY"
    header.RescaleType = "US"
    stored = _Stored(pixels, unit.photometric, unit.bits_stored, unit.slope, unit.intercept)
    return _file(site, vendor, patient, image, 1, header, stored)


def series_files(
    site: str, vendor: Vendor, patient: Patient, image: int, volume: np.ndarray, origin: np.ndarray
) -> list[ExportedFile]:
    """The CT files of one series (PS3.3 A.3).

    `volume`: HU, (slices, rows, columns); `origin`: mm, LPS, of its first voxel.
    """
    scanner = vendor.scanner
    lowest = -(2 ** (scanner.bits_stored - 1)) if scanner.signed else 0
    stored = (volume - scanner.intercept).clip(lowest, lowest + 2**scanner.bits_stored - 1)
    stored = stored.astype(np.int16 if scanner.signed else np.uint16)
    frame_of_reference = _uid(site, patient.number, image, "frame")
    files = []
    for index, pixels in enumerate(stored):
        header = _common(site, vendor, patient, image, scanner.model)
        header.SOPClassUID = CTImageStorage
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.Modality = "CT"
        header.BodyPartExamined = "CHEST"
        header.FrameOfReferenceUID = frame_of_reference
        _place(header, scanner, origin, index)
        files.append(
            _file(
                site,
                vendor,
                patient,
                image,
                index + 1,
                header,
                _Stored(pixels, "MONOCHROME2", scanner.bits_stored, 1.0, scanner.intercept),
            )
        )
    return files


@dataclass(frozen=True)
class _Stored:
    """Stored values and how to read them."""

    pixels: np.ndarray  # (rows, columns)
    photometric: str
    bits_stored: int
    slope: float
    intercept: float


def _common(site: str, vendor: Vendor, patient: Patient, image: int, model: str) -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    date = f"{patient.year}{1 + patient.number % 12:02d}{1 + (patient.number * 7 + image) % 28:02d}"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = date
    header.StudyTime = f"{8 + patient.number % 10:02d}{patient.number * 13 % 60:02d}00"
    header.AccessionNumber = f"ZZPHI{patient.identifier[-6:]}{image}"
    header.Manufacturer = vendor.manufacturer
    header.ManufacturerModelName = model
    header.InstitutionName = f"ZZPHI General Hospital {site}"
    header.ReferringPhysicianName = "REFERRER-ZZPHI^IDA"
    header.StudyDescription = "Chest ZZPHI for Dr Referrer"
    header.PatientName = patient.name
    header.PatientID = patient.identifier
    header.PatientBirthDate = f"{patient.year - patient.age}0101"
    header.PatientSex = patient.sex
    header.PatientAge = f"{patient.age:03d}Y"
    header.PatientComments = "ZZPHI asked for a copy"
    header.StudyInstanceUID = _uid(site, patient.number, image, "study")
    header.SeriesInstanceUID = _uid(site, patient.number, image, "series")
    header.StudyID = str(image)
    header.SeriesNumber = 1
    header.BurnedInAnnotation = "NO"
    header.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True).add_new(
        0x01, "LO", f"ZZPHI {patient.name}"
    )
    return header


def _place(header: Dataset, scanner: Scanner, origin: np.ndarray, index: int) -> None:
    """The plane of one axial slice (PS3.3 C.7.6.2)."""
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    position = origin + [0, 0, index * scanner.spacing]
    header.ImagePositionPatient = [round(float(place), 3) for place in position]
    header.SliceLocation = header.ImagePositionPatient[2]
    header.PixelSpacing = [scanner.pitch, scanner.pitch]
    header.SliceThickness = scanner.thickness
    header.SpacingBetweenSlices = scanner.spacing
    header.ConvolutionKernel = scanner.kernel
    header.KVP = 120
    header.RescaleType = "HU"


def _file(
    site: str,
    vendor: Vendor,
    patient: Patient,
    image: int,
    instance: int,
    header: Dataset,
    stored: _Stored,
) -> ExportedFile:
    header.SOPInstanceUID = _uid(site, patient.number, image, instance)
    header.InstanceNumber = instance
    header.RescaleSlope = stored.slope
    header.RescaleIntercept = stored.intercept
    header.file_meta = FileMetaDataset()
    compressed = vendor.transfer_syntax == RLELossless
    header.file_meta.TransferSyntaxUID = UID(
        ExplicitVRLittleEndian if compressed else vendor.transfer_syntax
    )
    header.set_pixel_data(
        stored.pixels, stored.photometric, stored.bits_stored, generate_instance_uid=False
    )
    if compressed:
        header.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    header.save_as(buffer, enforce_file_format=True)
    path = _path(vendor, patient, image, instance, header)
    keys = {
        keyword: str(header[keyword].value)
        for keyword in ("PatientID", "SeriesInstanceUID", "SOPInstanceUID")
    }
    return ExportedFile(path, buffer.getvalue(), keys)


def _path(vendor: Vendor, patient: Patient, image: int, instance: int, header: Dataset) -> str:
    if vendor.layout == "nested":
        return f"{patient.identifier}/ST{image:04d}/IM{instance:05d}"
    if vendor.layout == "uids":
        return f"{header.SOPInstanceUID}.dcm"
    return (
        f"{patient.identifier}_{image}.dcm"
        if header.Modality != "CT"
        else f"{patient.identifier}_{image}/{instance:04d}.dcm"
    )


def _uid(*parts: str | int) -> str:
    """A UID that depends on `parts` alone."""
    return generate_uid(entropy_srcs=["fewsite phantom", *(f"/{part}" for part in parts)])
