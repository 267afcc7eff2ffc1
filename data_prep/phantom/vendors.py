"""The vendors: what each one's machines do to the same anatomy, and how its archive exports the
images. All names are made up.

Pixels are coarse (2 to 3 mm) to keep a phantom small. Quanta are fewer than the 10^5 that a real
detector would gather in such a pixel, so that noise still shows. Scatter-to-primary ratios run from
a good grid to none, CT noise from 14 to 28 HU.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from data_prep.phantom.vocabulary import ABBREVIATED, CAPITALISED, CODED, PLAIN
from workspace.errors import Problem, Refusal


@dataclass(frozen=True)
class RadiographyUnit:
    """A projection radiography unit and the processing that its maker is known for."""

    model: str
    modality: Literal["DX", "CR"]
    view: Literal["PA", "AP"]
    source_distance: float  # cm from the focal spot to the detector
    rows: int
    columns: int
    pitch: float  # mm between pixels
    quanta: float  # detected in a pixel that nothing covers
    scatter: float  # scatter-to-primary ratio behind the body
    heel: float  # relative loss of intensity from the cathode's to the anode's edge
    focal_blur: float  # mm, standard deviation: blurs the signal only
    detector_blur: float  # mm, standard deviation: blurs signal and noise alike
    sharpening: float  # weight of the unsharp mask
    curve: Literal["linear", "sigmoid", "shoulder"]  # display contrast
    bits_allocated: Literal[8, 16]
    bits_stored: int
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    slope: float  # of the modality rescale
    intercept: float


@dataclass(frozen=True)
class Scanner:
    """A CT scanner and its reconstruction kernel."""

    model: str
    rows: int
    columns: int
    slices: int
    pitch: float  # mm between pixels
    spacing: float  # mm between slices
    thickness: float  # mm
    noise: float  # HU, standard deviation in water at 100 % dose
    kernel: str
    kernel_blur: float  # mm, standard deviation
    kernel_sharpening: float  # weight of the unsharp mask
    bits_stored: int
    signed: bool
    intercept: float  # HU at stored value 0


@dataclass(frozen=True)
class Vendor:
    """One vendor's machines and the shape of its archive's export."""

    manufacturer: str
    files: Literal["dicom", "nifti"]
    transfer_syntax: str  # DICOM UID; empty for NIfTI
    layout: Literal[
        "nested", "uids", "named"
    ]  # folders and files without extension; files named by UID; files named by patient
    match: str  # what the labels table goes by in 2D: a DICOM keyword, or file
    match_series: str  # the same in 3D
    words: dict[str, str]  # finding -> how the labels table writes it
    radiography: RadiographyUnit
    scanner: Scanner


VENDORS = {
    "apex": Vendor(
        manufacturer="Apex Imaging",
        files="dicom",
        transfer_syntax=ExplicitVRLittleEndian,
        layout="nested",
        match="SOPInstanceUID",
        match_series="SeriesInstanceUID",
        words=PLAIN,
        radiography=RadiographyUnit(
            model="Apex DR 500",
            modality="DX",
            view="PA",
            source_distance=180.0,
            rows=152,
            columns=152,
            pitch=2.35,
            quanta=60_000,
            scatter=0.35,
            heel=0.12,
            focal_blur=0.6,
            detector_blur=0.7,
            sharpening=0.7,
            curve="sigmoid",
            bits_allocated=16,
            bits_stored=12,
            photometric="MONOCHROME2",
            slope=1.0,
            intercept=0.0,
        ),
        scanner=Scanner(
            model="Apex CT 64",
            rows=72,
            columns=72,
            slices=24,
            pitch=2.5,
            spacing=3.0,
            thickness=3.0,
            noise=18.0,
            kernel="STANDARD",
            kernel_blur=1.6,
            kernel_sharpening=0.3,
            bits_stored=12,
            signed=False,
            intercept=-1024.0,
        ),
    ),
    "borealis": Vendor(
        manufacturer="Borealis Medical",
        files="dicom",
        transfer_syntax=RLELossless,
        layout="uids",
        match="SOPInstanceUID",
        match_series="SeriesInstanceUID",
        words=ABBREVIATED,
        radiography=RadiographyUnit(
            model="Borealis CR 2",
            modality="CR",
            view="PA",
            source_distance=180.0,
            rows=160,
            columns=144,
            pitch=2.3,
            quanta=18_000,
            scatter=0.6,
            heel=0.25,
            focal_blur=0.9,
            detector_blur=2.0,
            sharpening=0.0,
            curve="linear",
            bits_allocated=16,
            bits_stored=10,
            photometric="MONOCHROME1",
            slope=4.0,
            intercept=-64.0,
        ),
        scanner=Scanner(
            model="Borealis Spiral",
            rows=64,
            columns=64,
            slices=26,
            pitch=2.7,
            spacing=2.8,
            thickness=3.2,
            noise=28.0,
            kernel="B70s",
            kernel_blur=1.0,
            kernel_sharpening=1.2,
            bits_stored=16,
            signed=True,
            intercept=0.0,
        ),
    ),
    "cygnus": Vendor(
        manufacturer="Cygnus Health",
        files="dicom",
        transfer_syntax=DeflatedExplicitVRLittleEndian,
        layout="named",
        match="file",
        match_series="PatientID",
        words=CAPITALISED,
        radiography=RadiographyUnit(
            model="Cygnus Mobile",
            modality="CR",
            view="AP",
            source_distance=115.0,
            rows=136,
            columns=136,
            pitch=2.65,
            quanta=8_000,
            scatter=1.1,
            heel=0.3,
            focal_blur=1.6,
            detector_blur=1.4,
            sharpening=0.4,
            curve="shoulder",
            bits_allocated=16,
            bits_stored=14,
            photometric="MONOCHROME2",
            slope=0.25,
            intercept=100.0,
        ),
        scanner=Scanner(
            model="Cygnus One",
            rows=64,
            columns=64,
            slices=20,
            pitch=3.0,
            spacing=4.0,
            thickness=4.0,
            noise=14.0,
            kernel="SOFT",
            kernel_blur=3.0,
            kernel_sharpening=0.0,
            bits_stored=13,
            signed=False,
            intercept=-1000.0,
        ),
    ),
    "dorado": Vendor(
        manufacturer="Dorado Systems",
        files="nifti",
        transfer_syntax="",
        layout="named",
        match="file",
        match_series="file",
        words=CODED,
        radiography=RadiographyUnit(
            model="Dorado Flat",
            modality="DX",
            view="PA",
            source_distance=150.0,
            rows=128,
            columns=144,
            pitch=2.5,
            quanta=30_000,
            scatter=0.5,
            heel=0.2,
            focal_blur=1.0,
            detector_blur=1.1,
            sharpening=1.4,
            curve="shoulder",
            bits_allocated=8,
            bits_stored=8,
            photometric="MONOCHROME2",
            slope=1.0,
            intercept=0.0,
        ),
        scanner=Scanner(
            model="Dorado 16",
            rows=80,
            columns=72,
            slices=22,
            pitch=2.4,
            spacing=3.5,
            thickness=3.5,
            noise=24.0,
            kernel="LUNG",
            kernel_blur=1.2,
            kernel_sharpening=0.7,
            bits_stored=16,
            signed=True,
            intercept=0.0,
        ),
    ),
}


def vendor_named(name: str, where: str) -> Vendor:
    """The vendor that params.yaml names. Raises Refusal, with the known names, for another."""
    if name not in VENDORS:
        close = difflib.get_close_matches(name, VENDORS, n=1)
        raise Refusal(
            Problem(
                where,
                repr(name),
                f"one of {', '.join(VENDORS)}",
                f"write {close[0] if close else 'one of them'}",
            )
        )
    return VENDORS[name]
