"""What the values of a DICOM image are in, by short names after UCUM; only what is in these tables
gets out of a header.
"""

from pydicom.dataset import Dataset

from data_prep.readers.dicom.header import identifier, items, numbers, tag_of, text

HU, UNSPECIFIED = "HU", "unspecified"
NAMES = {
    # Rescale Type and Modality LUT Type (PS3.3 C.11.1.1.2)
    "HU": HU,
    "US": UNSPECIFIED,
    "OD": "10-3.OD",
    "MGML": "mg/ml",
    "Z_EFF": "Z_eff",
    "ED": "10+23/ml",
    "EDW": "N/Nw",
    "HU_MOD": "HU_mod",
    "PCT": "%",
    # Units of PET (PS3.3 C.8.9.1.1.3), which some write as Rescale Type
    "CNTS": "counts",
    "NONE": "1",
    "CM2": "cm2",
    "CM2ML": "cm2/ml",
    "PCNT": "%",
    "CPS": "counts/s",
    "BQML": "Bq/ml",
    "MGMINML": "mg/min/ml",
    "UMOLMINML": "umol/min/ml",
    "MLMING": "ml/min/g",
    "MLG": "ml/g",
    "1CM": "1/cm",
    "UMOLML": "umol/ml",
    "PROPCNTS": "prop.counts",
    "PROPCPS": "prop.counts/s",
    "MLMINML": "ml/min/ml",
    "MLML": "ml/ml",
    "GML": "g/ml",
    "STDDEV": "stddev",
    # what makers write as Rescale Type of MR maps, beside the standard
    "HZ": "Hz",
    "MS": "ms",
    "MSEC": "ms",
    "RAD": "rad",
    "DEG": "deg",
    "CM/S": "cm/s",
    "MM/S": "mm/s",
    "PPM": "ppm",
}
# Codes of UCUM as Measurement Units Code (PS3.16 CID 7180 to 7183, 82 to 85, 301)
CODES = {
    "[hnsf'U]": HU,
    "Bq/ml": "Bq/ml",
    "mg/ml": "mg/ml",
    "{counts}": "counts",
    "{counts}/s": "counts/s",
    "{propcounts}": "prop.counts",
    "{propcounts}/s": "prop.counts/s",
    "{SUVbw}g/ml": "g/ml",
    "g/ml{SUVbw}": "g/ml",
    "{SUVlbm}g/ml": "g/ml lbm",
    "g/ml{SUVlbm}": "g/ml lbm",
    "{SUVibw}g/ml": "g/ml ibw",
    "g/ml{SUVibw}": "g/ml ibw",
    "{SUVbsa}cm2/ml": "cm2/ml",
    "cm2/ml{SUVbsa}": "cm2/ml",
    "1": "1",
    "{ratio}": "1",
    "%": "%",
    "ms": "ms",
    "s": "s",
    "/s": "1/s",
    "Hz": "Hz",
    "rad": "rad",
    "deg": "deg",
    "ppm": "ppm",
    "[ppm]": "ppm",
    "m/s": "m/s",
    "cm/s": "cm/s",
    "mm/s": "mm/s",
    "mm2/s": "mm2/s",
    "um2/s": "um2/s",
    "10-6.mm2/s": "um2/s",
    "10*-6.mm2/s": "um2/s",
    "10-3.mm2/s": "10-3.mm2/s",
    "ml/min/g": "ml/min/g",
    "ml/100ml/min": "ml/100ml/min",
    "ml/100g/min": "ml/100g/min",
    "ml/100ml": "ml/100ml",
    "ml/ml": "ml/ml",
    "umol/ml": "umol/ml",
    "kPa": "kPa",
    "Gy": "Gy",
    "[arb'U]": UNSPECIFIED,
    "{no units}": UNSPECIFIED,
    "no units": UNSPECIFIED,
}
# Image Type of MR (PS3.3 C.8.3.1.1.1, and what makers write there) -> what the numbers are, where
# nothing says their units
MAPS = {
    "DENSITY MAP": "density",
    "DIFFUSION MAP": "diffusion",
    "PHASE MAP": "phase",
    "PHASE SUBTRACT": "phase",
    "PHASE": "phase",
    "P": "phase",
    "VELOCITY MAP": "velocity",
    "T1 MAP": "T1",
    "T2 MAP": "T2",
    "ADC": "ADC",
    "FA": "FA",
}
# What a window of convert.intensity is in where it does not say.
WINDOWED = {
    "CT": HU,
    "PT": "Bq/ml",
}
SUV_KINDS = {
    "": "g/ml",
    "BW": "g/ml",
    "LBM": "g/ml lbm",
    "LBMJAMES128": "g/ml lbm",
    "LBMJANMA": "g/ml lbm Janma",
    "IBW": "g/ml ibw",
}
# Image Type of CT whose values are in HU only where Rescale Type says it (PS3.3 C.8.2.1.1.1,
# C.8.15.2.1.1, C.8.16.1.3)
OTHER_CT = frozenset(
    {
        "LOCALIZER",
        "PERFUSION",
        "MAT_SPECIFIC",
        "MAT_REMOVED",
        "MAT_FRACTIONAL",
        "EFF_ATOMIC_NUM",
        "ELECTRON_DENSITY",
        "MAT_VALUE_BASED",
        "MAT_MODIFIED",
    }
)
KNOWN = sorted(
    {
        *NAMES.values(),
        *CODES.values(),
        *SUV_KINDS.values(),
        *(f"{UNSPECIFIED} ({kind})" for kind in MAPS.values()),
    }
)


def units(data: Dataset, header: Dataset, as_if_rescaled: bool = False) -> str:
    """The units of a grey image's values after its modality LUT.

    `data`: the file's header; `header`: its own, of one frame.

    Rescale Type or, of PET, Units; else a Real World Value Mapping that maps as the rescale does;
    else HU, for a CT image that is no localizer and no map (PS3.3 C.8.2.1.1.2: Rescale Type is
    required wherever the values are not in HU). `as_if_rescaled`: what they would be in if the
    header had a rescale: a slice that lost it is still of its series.
    """
    found = _stated(data, header, as_if_rescaled or tag_of("RescaleSlope") in header)
    if found != UNSPECIFIED or text(data, "Modality").upper() != "MR":
        return found
    kinds = [*_image_type(header), text(header, "ComplexImageComponent").upper()]
    return next((f"{UNSPECIFIED} ({MAPS[kind]})" for kind in kinds if kind in MAPS), UNSPECIFIED)


def wrong_for_window(found: str | None, wanted: str | None, modality: str) -> str:
    """Why a window does not fit values in `found`; empty where it does.

    `wanted`: what convert.intensity says it is in.

    A file of a format that says nothing (`found` is None) is what its site says that it is.
    """
    need = wanted or WINDOWED.get(modality, UNSPECIFIED)
    return (
        ""
        if found is None or found == need
        else f"values in {found}; the window of {modality} is in {need}"
    )


def _stated(data: Dataset, header: Dataset, rescaled: bool) -> str:
    if tag_of("ModalityLUTSequence") in header:
        tables = items(header, "ModalityLUTSequence")
        return (
            NAMES.get(text(tables[0], "ModalityLUTType").upper(), UNSPECIFIED)
            if tables
            else UNSPECIFIED
        )
    stated = (
        (text(data, "Units").upper() or text(header, "RescaleType").upper()) if rescaled else ""
    )
    if stated == "GML":
        return SUV_KINDS.get(text(data, "SUVType").upper(), UNSPECIFIED)
    if NAMES.get(stated, UNSPECIFIED) != UNSPECIFIED:
        return NAMES[stated]
    if (
        tag_of("RealWorldValueMappingSequence") in header
        and (mapped := _mapped(header, rescaled)) != UNSPECIFIED
    ):
        return mapped
    return HU if rescaled and not stated and _is_plain_ct(data, header) else UNSPECIFIED


def _is_plain_ct(data: Dataset, header: Dataset) -> bool:
    return (
        text(data, "Modality").upper() == "CT"
        and text(data, "MultienergyCTAcquisition").upper() != "YES"
        and not OTHER_CT & set(_image_type(header))
    )


def _image_type(header: Dataset) -> list[str]:
    return [kind.strip() for kind in identifier(header, "ImageType").upper().split("\\")]


def _mapped(header: Dataset, rescaled: bool) -> str:
    """What a Real World Value Mapping (PS3.3 C.7.6.16.2.11) says of the values after the rescale,
    if it maps as that does.
    """
    line = (
        (numbers(header, "RescaleSlope", 1), numbers(header, "RescaleIntercept", 1))
        if rescaled
        else ((1.0,), (0.0,))
    )
    found = set()
    for item in items(header, "RealWorldValueMappingSequence"):
        same = (
            numbers(item, "RealWorldValueSlope", 1),
            numbers(item, "RealWorldValueIntercept", 1),
        ) == line
        codes = items(item, "MeasurementUnitsCodeSequence")
        if same and codes and text(codes[0], "CodingSchemeDesignator") == "UCUM":
            found.add(CODES.get(text(codes[0], "CodeValue"), UNSPECIFIED))
    return found.pop() if len(found) == 1 else UNSPECIFIED
