"""What stored values mean: their units, and which bits of a word they are."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from tests.odd_series.case import Right, odd
from tests.odd_series.made import anatomy, at, frame, header, item, save, with_pixels


def series(
    folder: Path,
    sop_class: str,
    modality: str,
    slope: float = 1,
    intercept: float = 0,
    **elements: object,
) -> np.ndarray:
    """Six slices with a rescale; gives their values."""
    for number, plane in enumerate(anatomy(), 1):
        data = header(
            sop_class, modality, number, RescaleSlope=slope, RescaleIntercept=intercept, **elements
        )
        save(at(with_pixels(data, plane), 0, 0, 3.0 * number), folder / f"{number}.dcm")
    return anatomy() * slope + intercept


def in_real_world(code: str, slope: float, intercept: float) -> list[Dataset]:
    unit = item(CodeValue=code, CodingSchemeDesignator="UCUM", CodeMeaning="x")
    return [
        item(
            RealWorldValueFirstValueMapped=0,
            RealWorldValueLastValueMapped=999,
            RealWorldValueSlope=float(slope),
            RealWorldValueIntercept=float(intercept),
            MeasurementUnitsCodeSequence=[unit],
            LUTLabel="x",
            LUTExplanation="x",
        )
    ]


@odd
def ct_in_hounsfield_units_that_it_says(folder: Path) -> Right:
    """The usual CT. PS3.3 C.11.1.1.2."""
    return Right((series(folder, CTImageStorage, "CT", 1, -1024, RescaleType="HU"),), units="HU")


@odd
def ct_that_leaves_its_units_out(folder: Path) -> Right:
    """Rescale Type is required only where the values are not HU, so a CT without one is in HU. PS3.3 C.8.2.1 and C.8.2.1.1.2."""
    return Right(
        (
            series(
                folder, CTImageStorage, "CT", 1, -1024, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]
            ),
        ),
        units="HU",
    )


@odd
def a_map_of_iodine(folder: Path) -> Right:
    """A dual-energy scanner's concentration of iodine, by its Rescale Type. PS3.3 C.11.1.1.2, C.8.15.2."""
    values = series(
        folder, CTImageStorage, "CT", 0.05, RescaleType="MGML", MultienergyCTAcquisition="YES"
    )
    return Right((values,), units="mg/ml", flags=frozenset({"not_hu"}))


@odd
def a_dual_energy_image_that_leaves_its_units_out(folder: Path) -> Right:
    """Multi-energy CT has to state a Rescale Type: without one nobody knows. PS3.3 C.8.2.1."""
    return Right(
        (series(folder, CTImageStorage, "CT", 0.05, MultienergyCTAcquisition="YES"),),
        units="unspecified",
        flags=frozenset({"not_hu"}),
    )


@odd
def ct_that_says_it_is_in_no_units(folder: Path) -> Right:
    """US is unspecified, also of CT. PS3.3 C.11.1.1.2."""
    return Right((series(folder, CTImageStorage, "CT", 1, RescaleType="US"),), units="unspecified")


@odd
def pet_in_counts(folder: Path) -> Right:
    """Philips' PET often holds counts, with a private factor to SUV. PS3.3 C.8.9.1.1.3; rordenlab/dcm2niix#577."""
    return Right(
        (series(folder, PositronEmissionTomographyImageStorage, "PT", 0.5, Units="CNTS"),),
        units="counts",
    )


@odd
def pet_in_becquerels(folder: Path) -> Right:
    """PS3.3 C.8.9.1.1.3."""
    return Right(
        (
            series(
                folder,
                PositronEmissionTomographyImageStorage,
                "PT",
                0.5,
                Units="BQML",
                RescaleType="US",
            ),
        ),
        units="Bq/ml",
    )


@odd
def pet_in_standardised_uptake(folder: Path) -> Right:
    """GML with SUV Type BW, which is also meant where it is left out. PS3.3 C.8.9.1.1.3 and C.8.9.1."""
    return Right(
        (series(folder, PositronEmissionTomographyImageStorage, "PT", 0.01, Units="GML"),),
        units="g/ml",
    )


@odd
def a_relaxation_map_with_a_real_world_mapping(folder: Path) -> Right:
    """Units by a Real World Value Mapping that maps as the rescale does. PS3.3 C.7.6.16.2.11."""
    values = series(
        folder,
        MRImageStorage,
        "MR",
        2,
        1,
        ImageType=["DERIVED", "PRIMARY", "T1 MAP"],
        RealWorldValueMappingSequence=in_real_world("ms", 2, 1),
    )
    return Right((values,), units="ms")


@odd
def a_mapping_of_other_values_than_the_rescales(folder: Path) -> Right:
    """A Real World Value Mapping maps stored values: one with another slope says nothing of the rescaled ones. PS3.3 C.7.6.16.2.11."""
    values = series(
        folder, MRImageStorage, "MR", 2, 1, RealWorldValueMappingSequence=in_real_world("ms", 7, 1)
    )
    return Right((values,), units="unspecified")


@odd
def a_phase_image(folder: Path) -> Right:
    """Phase in whatever scale, by Image Type P of Siemens and the Complex Image Component of the standard. PS3.3 C.8.13.3.1.1."""
    values = series(
        folder, MRImageStorage, "MR", 2, -4096, ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]
    )
    return Right((values,), units="unspecified (phase)")


@odd
def a_magnitude_image(folder: Path) -> Right:
    """The neighbour of a phase image."""
    return Right(
        (series(folder, MRImageStorage, "MR", 1, 0, ImageType=["ORIGINAL", "PRIMARY", "M", "ND"]),),
        units="unspecified",
    )


@odd
def units_of_an_enhanced_object(folder: Path) -> Right:
    """Rescale Type of the Pixel Value Transformation group. PS3.3 C.7.6.16.2.9."""
    data = header(EnhancedMRImageStorage, "MR")
    transformation = item(RescaleSlope=0.5, RescaleIntercept=0, RescaleType="Hz")
    frames = [
        frame(0, 0, 3.0 * place, PixelValueTransformationSequence=[transformation])
        for place in range(6)
    ]
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [Dataset()], frames
    save(with_pixels(data, anatomy()), folder / "enhanced.dcm")
    return Right((anatomy() * 0.5,), units="Hz")


@odd
def two_units_in_one_series(folder: Path) -> Right:
    """Half of the slices in HU, half in mg/ml: no volume, since what makes values comparable differs. PS3.3 C.11.1.1.2."""
    for number, plane in enumerate(anatomy(), 1):
        kind = "HU" if number <= 3 else "MGML"
        data = header(
            CTImageStorage, "CT", number, RescaleSlope=1, RescaleIntercept=0, RescaleType=kind
        )
        save(at(with_pixels(data, plane), 0, 0, 3.0 * number), folder / f"{number}.dcm")
    return Right(rejects={"mixed_values": 6})


def with_high_bit(folder: Path, stored: np.ndarray, bits: int, high: int, below: int = 0) -> None:
    for number, plane in enumerate(stored, 1):
        data = with_pixels(
            header(CTImageStorage, "CT", number, RescaleSlope=1, RescaleIntercept=-1024),
            (plane.astype(np.uint16) << below),
        )
        data.BitsStored, data.HighBit = bits, high
        save(at(data, 0, 0, 3.0 * number), folder / f"{number}.dcm")


@odd
def values_in_the_upper_bits(folder: Path) -> Right:
    """12 bits stored with High Bit 15: the upper 12 of a word. PS3.5 8.1.1 (until 2014 High Bit was free); pydicom takes the lower ones."""
    with_high_bit(folder, anatomy(), 12, 15, below=4)
    return Right((anatomy() - 1024.0,))


@odd
def values_in_the_lower_bits(folder: Path) -> Right:
    """Its usual neighbour. PS3.5 8.1.1."""
    with_high_bit(folder, anatomy(), 12, 11)
    return Right((anatomy() - 1024.0,))


@odd
def values_that_are_not_where_high_bit_says(folder: Path) -> Right:
    """High Bit 15, and values in the lower bits: two readings, and nobody knows which is meant. PS3.5 8.1.1."""
    with_high_bit(folder, anatomy(), 12, 15)
    return Right(rejects={"bad_bits": 1, "sibling_rejected": 5})


@odd
def a_high_bit_below_the_stored_ones(folder: Path) -> Right:
    """16 bits stored with High Bit 11 cannot be. PS3.5 8.1.1."""
    with_high_bit(folder, anatomy(), 16, 11)
    return Right(rejects={"bad_bits": 6})
