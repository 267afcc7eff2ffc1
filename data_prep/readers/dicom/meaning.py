"""Which elements say what a slice's values mean, which tell one volume of a place from the next,
and which may vary within a volume.

One row an element, with its source: PS3.3 for the standard's own. Makers' private elements have
other sources: pydicom's private dictionary, PixelMed's and GDCM's, the makers' conformance
statements and the notes of dcm2niix (rordenlab/dcm2niix, BSD).
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an element is for.

    Whatever tells volumes apart may vary within one, so it is asked only where slices lie at one
    place.
    """

    SAME = "the same all through a volume"
    TELLS = "may tell volumes of the same places apart"
    VARIES = "may vary within a volume, and tells nothing"


class Order(StrEnum):
    """In which order an element's values are taken."""

    NUMBER = "by Instance Number"  # names and directions have no order of their own
    VALUE = "by value"
    # Times by a patient's heart.
    RANK = "by value, where values differ from place to place: by their order at each place"
    # When an image was made says less.
    CLOCK = "as RANK, if the volumes are taken one after the other or place by place"


@dataclass(frozen=True)
class Element:
    """One row.

    `name`: its keyword; `private`: group, creator and the last byte of a private element; `field`:
    one of those that it packs.

    `tolerance`: values as near as this are one; `absent`: what a header means that does not say it.
    `scanned`: read of every header; the others only of slices that share a place and that those
    leave together.
    """

    name: str
    role: Role
    source: str
    order: Order = Order.NUMBER
    tolerance: float = 0.0
    absent: object = None
    scanned: bool = False
    private: tuple[int, str, int] | None = None
    field: str = ""


def _same(
    name: str,
    source: str,
    order: Order = Order.NUMBER,
    tolerance: float = 0.0,
    absent: object = None,
) -> Element:
    return Element(name, Role.SAME, source, order, tolerance, absent, scanned=True)


def _tells(
    name: str,
    source: str,
    order: Order = Order.VALUE,
    tolerance: float = 0.0,
    scanned: bool = False,
) -> Element:
    return Element(name, Role.TELLS, source, order, tolerance, scanned=scanned)


def _private(
    name: str,
    group: int,
    creator: str,
    byte: int,
    source: str,
    order: Order = Order.NUMBER,
    tolerance: float = 0.0,
    field: str = "",
) -> Element:
    return Element(
        name, Role.TELLS, source, order, tolerance, private=(group, creator, byte), field=field
    )


UNIT_VECTOR = 1e-3  # per component: directions are written with four digits or more
TIME = 1.0  # ms

# The first two order the volumes of a series; those that no number orders come by Instance Number.
STATED = (
    _same(
        "EchoTime",
        "PS3.3 C.8.3.1.1, ms; 0 in enhanced objects of no echo",
        Order.VALUE,
        tolerance=0.02,
    ),
    _same(
        "DiffusionBValue",
        "PS3.3 C.8.13.5.9, s/mm2; absent where there is no diffusion weighting",
        Order.VALUE,
        tolerance=1.0,
        absent=0.0,
    ),
    _same("ImageType", "PS3.3 C.7.6.1.1.2"),
    _same("ComplexImageComponent", "PS3.3 C.8.13.3.1.1: magnitude, phase, real, imaginary"),
    _same("ConvolutionKernel", "PS3.3 C.8.2.1, C.8.9.1"),
    _same("KVP", "PS3.3 C.8.2.1, kV", tolerance=1.0),
    _same("FilterType", "PS3.3 C.8.2.1: the filter in the beam"),
    _same("FrameOfReferenceUID", "PS3.3 C.7.4.1: positions are comparable only in one"),
    _same("ScanningSequence", "PS3.3 C.8.3.1.1.1"),
    _same("SequenceVariant", "PS3.3 C.8.3.1.1.1"),
    _same("Units", "PS3.3 C.8.9.1.1.3: of PET"),
    _same("RescaleType", "PS3.3 C.11.1.1.2"),
    _same("ReconstructionAlgorithm", "PS3.3 C.8.15.3.7: filtered back projection or iterative"),
    _same("DataType", "PS3.3 C.8.24.6.3: of ultrasound, such as tissue or flow"),
)
SAME = (*STATED, _same("units", "data_prep/readers/dicom/units.py, from several elements together"))

# In the order in which they are trusted.
STANDARD = (
    _tells("TemporalPositionIdentifier", "PS3.3 C.8.3.1, C.7.6.16.2.2.6", scanned=True),
    _tells(
        "DimensionIndexValues",
        "PS3.3 C.7.6.17.1, those that do not say where in a volume a frame lies",
        scanned=True,
    ),
    _tells("AcquisitionNumber", "PS3.3 C.7.6.1", scanned=True),
    _tells("TriggerTime", "PS3.3 C.8.3.1, ms after the heartbeat", Order.RANK, scanned=True),
    _tells("FrameReferenceTime", "PS3.3 C.8.9.4, C.8.3.1: ms after the series began", Order.RANK),
    _tells("InversionTime", "PS3.3 C.8.3.1, ms", Order.RANK, tolerance=TIME),
    _tells("DiffusionGradientOrientation", "PS3.3 C.8.13.5.9", Order.NUMBER, tolerance=UNIT_VECTOR),
    _tells("ASLContext", "PS3.3 C.8.13.5.14: label, control, M0", Order.NUMBER),
    _tells("FlipAngle", "PS3.3 C.8.3.1, degrees", tolerance=0.1),
    _tells("RepetitionTime", "PS3.3 C.8.3.1, ms", tolerance=TIME),
    _tells(
        "DiffusionDirectionality",
        "PS3.3 C.8.13.5.9: of a trace image beside directions",
        Order.NUMBER,
    ),
    _tells("VelocityEncodingDirection", "PS3.3 C.8.13.5.11", Order.NUMBER, tolerance=UNIT_VECTOR),
    _tells("ASLPulseTrainDuration", "PS3.3 C.8.13.5.14, ms"),
    _tells("MagnetizationTransfer", "PS3.3 C.8.13.5.6", Order.NUMBER),
    _tells(
        "ScanOptions", "PS3.3 C.8.3.1: such as magnetisation transfer in classic MR", Order.NUMBER
    ),
    _tells(
        "SequenceName",
        "PS3.3 C.8.3.1: of Siemens, b-value and direction, also where private elements are gone",
        Order.NUMBER,
    ),
    _tells("ReceiveCoilName", "PS3.3 C.8.3.1: images of single coils", Order.NUMBER),
    _tells("ContrastBolusAgent", "PS3.3 C.7.6.4: before and after it was given", Order.NUMBER),
    _tells("EchoNumbers", "PS3.3 C.8.3.1"),
    _tells("NominalPercentageOfCardiacPhase", "PS3.3 C.7.6.18.1.1.1"),
    _tells("NominalPercentageOfRespiratoryPhase", "PS3.3 C.7.6.16.2.17"),
    _tells("NominalCardiacTriggerDelayTime", "PS3.3 C.7.6.16.2.7, ms", Order.RANK),
    _tells("NominalRespiratoryTriggerDelayTime", "PS3.3 C.7.6.16.2.17, ms", Order.RANK),
    _tells("CardiacCyclePosition", "PS3.3 C.7.6.16.2.2", Order.NUMBER),
    _tells("RespiratoryCyclePosition", "PS3.3 C.7.6.16.2.2", Order.NUMBER),
    _tells("TemporalPositionTimeOffset", "PS3.3 C.7.6.16.2.18, s", Order.RANK),
    _tells("FrameReferenceDateTime", "PS3.3 C.7.6.16.2.2", Order.CLOCK),
    _tells("AcquisitionDateTime", "PS3.3 C.7.6.1", Order.CLOCK),
    _tells("AcquisitionTime", "PS3.3 C.7.6.1, on Acquisition Date", Order.CLOCK),
    _tells("ContentTime", "PS3.3 C.7.6.1, on Content Date", Order.CLOCK),
    _tells("ImageIndex", "PS3.3 C.8.9.4.1.9: of PET, from one time slice to the next", Order.CLOCK),
)

PHILIPS, PHILIPS_MR, PHILIPS_MR_5 = (
    "Philips Imaging DD 001",
    "Philips MR Imaging DD 001",
    "Philips MR Imaging DD 005",
)
GE_ACQUISITION, GE_PARAMETERS = "GEMS_ACQU_01", "GEMS_PARM_01"
SIEMENS, SIEMENS_XA, SIEMENS_CSA = "SIEMENS MR HEADER", "SIEMENS MR SDI 02", "SIEMENS CSA HEADER"
TOSHIBA_CT, UNITED = "TOSHIBA_MEC_CT3", "Image Private Header"
_PYDICOM, _DCM2NIIX = "pydicom's private dictionary", "dcm2niix, console/nii_dicom.cpp"
PRIVATE = (
    _private(
        "PhilipsLabelType", 0x2005, PHILIPS_MR_5, 0x29, f"{_DCM2NIIX}: CONTROL or LABEL of ASL"
    ),
    _private(
        "PhilipsPhaseNumber",
        0x2001,
        PHILIPS,
        0x08,
        f"{_PYDICOM}: of the heart, or the delays of one label",
        Order.VALUE,
    ),
    _private(
        "PhilipsDiffusionBFactor", 0x2001, PHILIPS, 0x03, _PYDICOM, Order.VALUE, tolerance=1.0
    ),
    _private(
        "PhilipsImageType", 0x2005, PHILIPS_MR, 0x11, "dcm2niix, Philips/README.md: M, P, R, I"
    ),
    _private(
        "PhilipsDynamicScanBeginTime", 0x2005, PHILIPS_MR, 0xA0, f"{_DCM2NIIX}, s", Order.RANK
    ),
    _private(
        "PhilipsDiffusionDirectionRL", 0x2005, PHILIPS_MR, 0xB0, _PYDICOM, tolerance=UNIT_VECTOR
    ),
    _private(
        "PhilipsDiffusionDirectionAP", 0x2005, PHILIPS_MR, 0xB1, _PYDICOM, tolerance=UNIT_VECTOR
    ),
    _private(
        "PhilipsDiffusionDirectionFH", 0x2005, PHILIPS_MR, 0xB2, _PYDICOM, tolerance=UNIT_VECTOR
    ),
    _private("PhilipsDiffusionBValueNumber", 0x2005, PHILIPS_MR_5, 0x12, _DCM2NIIX, Order.VALUE),
    _private(
        "PhilipsGradientOrientationNumber", 0x2005, PHILIPS_MR_5, 0x13, _DCM2NIIX, Order.VALUE
    ),
    _private(
        "GEImageType",
        0x0043,
        GE_PARAMETERS,
        0x2F,
        f"{_PYDICOM}: 0 to 3 are magnitude, phase, real, imaginary",
        Order.VALUE,
    ),
    _private(
        "GEVasCollapseFlag",
        0x0043,
        GE_PARAMETERS,
        0x30,
        "rordenlab/dcm2niix#690: what an image is, such as a field map",
    ),
    _private(
        "GEBValue",
        0x0043,
        GE_PARAMETERS,
        0x39,
        "GE's conformance statement: the first of Slop_int_6 to 9",
    ),
    _private(
        "GEDiffusionDirectionX",
        0x0019,
        GE_ACQUISITION,
        0xBB,
        f"{_DCM2NIIX}: user data 20",
        tolerance=UNIT_VECTOR,
    ),
    _private(
        "GEDiffusionDirectionY",
        0x0019,
        GE_ACQUISITION,
        0xBC,
        f"{_DCM2NIIX}: user data 21",
        tolerance=UNIT_VECTOR,
    ),
    _private(
        "GEDiffusionDirectionZ",
        0x0019,
        GE_ACQUISITION,
        0xBD,
        f"{_DCM2NIIX}: user data 22",
        tolerance=UNIT_VECTOR,
    ),
    _private("GECardiacPhaseNumber", 0x0019, GE_ACQUISITION, 0xD7, _PYDICOM, Order.VALUE),
    _private("SiemensBValue", 0x0019, SIEMENS, 0x0C, _PYDICOM, Order.VALUE, tolerance=1.0),
    _private(
        "SiemensDiffusionGradientDirection", 0x0019, SIEMENS, 0x0E, _PYDICOM, tolerance=UNIT_VECTOR
    ),
    _private(
        "SiemensCSABValue",
        0x0029,
        SIEMENS_CSA,
        0x10,
        "nibabel's csareader",
        Order.VALUE,
        tolerance=1.0,
        field="B_value",
    ),
    _private(
        "SiemensCSADirection",
        0x0029,
        SIEMENS_CSA,
        0x10,
        "nibabel's csareader",
        tolerance=UNIT_VECTOR,
        field="DiffusionGradientDirection",
    ),
    _private("SiemensCoil", 0x0051, SIEMENS, 0x0F, f"{_DCM2NIIX}: of images of single coils"),
    _private("SiemensTimeAfterStart", 0x0019, SIEMENS, 0x16, _PYDICOM, Order.CLOCK),
    _private("SiemensTimeAfterStartXA", 0x0021, SIEMENS_XA, 0x04, _DCM2NIIX, Order.CLOCK),
    _private(
        "ToshibaCardiacPhasePercent",
        0x7005,
        TOSHIBA_CT,
        0x04,
        f"{_PYDICOM}: of the reconstruction's gating",
    ),
    _private(
        "ToshibaCardiacPhaseTime",
        0x7005,
        TOSHIBA_CT,
        0x05,
        f"{_PYDICOM}: of the reconstruction's gating",
    ),
    _private("ToshibaRespirationPhase", 0x7005, TOSHIBA_CT, 0x49, _PYDICOM),
    _private(
        "UnitedImagingBValue",
        0x0065,
        UNITED,
        0x09,
        f"{_DCM2NIIX}: (0065,1009)",
        Order.VALUE,
        tolerance=1.0,
    ),
    _private(
        "UnitedImagingGradientDirection",
        0x0065,
        UNITED,
        0x37,
        f"{_DCM2NIIX}: (0065,1037)",
        tolerance=UNIT_VECTOR,
    ),
)

# Nothing reads these; they are named so that none of them gets above by mistake.
VARIES = tuple(
    Element(name, Role.VARIES, source)
    for name, source in (
        ("XRayTubeCurrent", "PS3.3 C.8.2.1: modulated along the patient"),
        ("Exposure", "PS3.3 C.8.2.1: as the tube current"),
        ("ExposureTime", "PS3.3 C.8.2.1"),
        ("CTDIvol", "PS3.3 C.8.2.1"),
        ("TableHeight", "PS3.3 C.8.2.1"),
        ("GantryDetectorTilt", "PS3.3 C.8.2.1: positions tell"),
        ("SliceLocation", "PS3.3 C.7.6.2: positions tell"),
        ("RescaleSlope", "PS3.3 C.8.9.4: an image's own, in PET"),
        ("RescaleIntercept", "PS3.3 C.8.9.4"),
        ("WindowCenter", "PS3.3 C.11.2: how to show it"),
        ("WindowWidth", "PS3.3 C.11.2"),
        ("SAR", "PS3.3 C.8.3.1"),
        ("dBdt", "PS3.3 C.8.3.1"),
        ("SmallestImagePixelValue", "PS3.3 C.7.6.3"),
        ("LargestImagePixelValue", "PS3.3 C.7.6.3"),
        ("HeartRate", "PS3.3 C.7.6.18"),
        ("NominalInterval", "PS3.3 C.8.3.1"),
        ("DecayFactor", "PS3.3 C.8.9.4"),
        ("ScatterFractionFactor", "PS3.3 C.8.9.4"),
        ("InstanceCreationTime", "PS3.3 C.12.1: when it was written"),
        ("BodyPartExamined", "PS3.3 C.7.3.1"),
        ("ReconstructionDiameter", "PS3.3 C.8.2.1: Pixel Spacing tells"),
    )
)

TELLS = (*STANDARD, *PRIVATE)
SCANNED = tuple(element for element in STANDARD if element.scanned)
ASKED = tuple(element.name for element in (*STATED, *SCANNED))
TABLE = (*SAME, *TELLS, *VARIES)

# How many volumes a header says there are of the same places.
STATED_VOLUMES = (
    "NumberOfTemporalPositions",  # PS3.3 C.8.3.1
    "CardiacNumberOfImages",  # PS3.3 C.8.3.1
    "NumberOfTimeSlices",  # PS3.3 C.8.9.1
)

# Words of Image Type, value 3 on, of images that were calculated across a volume and are no slices
# of it: PS3.3 C.8.16.1.4 and C.7.6.1.1.2; MIP, MPR and the rest are the makers'.
ACROSS = (
    "PROJECTION",
    "MIP",
    "MINIP",
    "MPR",
    "REFORMAT",
    "MAX_IP",
    "MIN_IP",
    "VOLREND",
    "COLLAPSE",
)

# GE's research sequence epi_pepolar writes volumes with reversed rows, and says it in these alone
# (neurolabusc/dcm_qa_polar, rordenlab/dcm2niix#532).
PULSE_SEQUENCE = (0x0019, GE_ACQUISITION, 0x9C)
USER_DATA_12 = (0x0019, GE_ACQUISITION, 0xB3)  # 0 is forward alone, 1 reversed, 2 and 3 both
PEPOLAR = "epi_pepolar"
