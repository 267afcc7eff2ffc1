"""What values are in is told from every element that says it, and a window in other units is refused."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from data_prep import convert as stage
from data_prep.exports.sources import Found
from data_prep.readers.dicom.units import KNOWN, UNSPECIFIED, units, wrong_for_window
from data_prep.readers.examine import examine
from data_prep.settings import Intensity
from data_prep.store.records import read_studies
from tests.data_prep.made_dicom import colour, enhanced, grey, ramp, write
from tests.data_prep.test_convert import summary, workspace
from workspace.errors import Refusal

AXIAL = ["ORIGINAL", "PRIMARY", "AXIAL"]


def header(modality: str = "CT", **elements: object) -> Dataset:
    data = Dataset()
    data.Modality, data.RescaleSlope, data.RescaleIntercept = modality, 2, -5
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    return data


def real_world(code: str, slope: float = 2, intercept: float = -5) -> Sequence:
    unit, item = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator = code, "UCUM"
    item.RealWorldValueSlope, item.RealWorldValueIntercept, item.MeasurementUnitsCodeSequence = (
        slope,
        intercept,
        [unit],
    )
    return Sequence([item])


def table(kind: str) -> Sequence:
    item = Dataset()
    item.ModalityLUTType = kind
    return Sequence([item])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (header(ImageType=AXIAL), "HU"),
        (header(ImageType=AXIAL, RescaleType="HU"), "HU"),
        (header(RescaleType="hu "), "HU"),
        (header(), "HU"),
        (header(ImageType=["DERIVED", "SECONDARY", "MPR"]), "HU"),
        (header(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), UNSPECIFIED),
        (header(MultienergyCTAcquisition="YES"), UNSPECIFIED),
        (header(MultienergyCTAcquisition="YES", RescaleType="HU"), "HU"),
        (header(MultienergyCTAcquisition="NO"), "HU"),
        (header(ImageType=["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"]), UNSPECIFIED),
        (header(ImageType=["DERIVED", "PRIMARY", "PERFUSION", "RCBF"]), UNSPECIFIED),
        (header(RescaleType="MGML"), "mg/ml"),
        (header(RescaleType="Z_EFF"), "Z_eff"),
        (header(RescaleType="ED"), "10+23/ml"),
        (header(RescaleType="EDW"), "N/Nw"),
        (header(RescaleType="HU_MOD"), "HU_mod"),
        (header(RescaleType="PCT"), "%"),
        (header(RescaleType="US"), UNSPECIFIED),
        (header(RescaleType="ZZPHI"), UNSPECIFIED),
        (header(RescaleSlope=None), UNSPECIFIED),
        (header(ModalityLUTSequence=table("OD")), "10-3.OD"),
        (header(ModalityLUTSequence=table("HU")), "HU"),
        (header(ModalityLUTSequence=table("x")), UNSPECIFIED),
        (header("PT", Units="BQML"), "Bq/ml"),
        (header("PT", Units="CNTS"), "counts"),
        (header("PT", Units="GML"), "g/ml"),
        (header("PT", Units="CPS"), "counts/s"),
        (header("PT", Units="GML", SUVType="LBM"), "g/ml lbm"),
        (header("PT", Units="GML", SUVType="BW"), "g/ml"),
        (header("PT", Units="CM2ML"), "cm2/ml"),
        (header("PT", Units="NONE"), "1"),
        (header("PT"), UNSPECIFIED),
        (header("PT", RescaleType="BQML"), "Bq/ml"),
        (header("MR"), UNSPECIFIED),
        (header("MR", RescaleType="US"), UNSPECIFIED),
        (header("MR", RescaleType="Hz"), "Hz"),
        (header("MR", RescaleType="msec"), "ms"),
        (header("MR", ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]), "unspecified (phase)"),
        (header("MR", ComplexImageComponent="PHASE"), "unspecified (phase)"),
        (header("MR", ImageType=["ORIGINAL", "PRIMARY", "M", "ND"]), UNSPECIFIED),
        (header("MR", ImageType=["DERIVED", "PRIMARY", "VELOCITY MAP"]), "unspecified (velocity)"),
        (
            header(
                "MR",
                ImageType=["DERIVED", "PRIMARY", "ADC"],
                RealWorldValueMappingSequence=real_world("um2/s"),
            ),
            "um2/s",
        ),
        (
            header(
                "MR",
                ImageType=["DERIVED", "PRIMARY", "T1 MAP"],
                RealWorldValueMappingSequence=real_world("ms"),
            ),
            "ms",
        ),
        (header("MR", RescaleType="US", RealWorldValueMappingSequence=real_world("ms")), "ms"),
        (
            header("MR", RescaleSlope=None, RealWorldValueMappingSequence=real_world("ms", 1, 0)),
            "ms",
        ),
        (
            header("MR", RealWorldValueMappingSequence=real_world("ms", 3)),
            UNSPECIFIED,
        ),  # it maps otherwise than the rescale does
        (header("MR", RealWorldValueMappingSequence=real_world("ZZPHI")), UNSPECIFIED),
        (
            header("CT", RescaleType="US", RealWorldValueMappingSequence=real_world("[hnsf'U]")),
            "HU",
        ),
        (header("DX", RescaleType="US"), UNSPECIFIED),
    ],
)
def test_what_a_header_says_that_its_values_are(data: Dataset, expected: str) -> None:
    assert units(data, data) == expected and expected in KNOWN


@pytest.mark.parametrize(
    ("found", "wanted", "modality", "fits"),
    [
        ("HU", None, "CT", True),
        ("mg/ml", None, "CT", False),
        (UNSPECIFIED, None, "CT", False),
        ("mg/ml", "mg/ml", "CT", True),
        ("HU", "mg/ml", "CT", False),
        ("Bq/ml", None, "PT", True),
        ("g/ml", None, "PT", False),
        ("g/ml", "g/ml", "PT", True),
        (UNSPECIFIED, None, "MR", True),
        ("ms", None, "MR", False),
        ("unspecified (phase)", None, "MR", False),
        (None, None, "CT", True),
        (None, "mg/ml", "CT", True),
    ],
)
def test_a_window_fits_values_in_its_units_alone(
    found: str | None, wanted: str | None, modality: str, fits: bool
) -> None:
    assert (wrong_for_window(found, wanted, modality) == "") == fits


@pytest.mark.parametrize(
    ("intensity", "read"),
    [
        ("", ["HU"]),
        ("{CT: {window: [-1000, 400]}}", ["HU"]),
        ("{CT: {window: [0, 4000], units: mg/ml}}", ["mg/ml"]),
        ("{CT: {percentiles: [1, 99]}}", ["HU", "mg/ml"]),
    ],
)
def test_a_map_of_iodine_is_refused_where_the_window_is_in_hounsfield_units_and_each_cure_works(
    tmp_path: Path, intensity: str, read: list[str]
) -> None:
    made = workspace(
        tmp_path, "{file: labels.csv, match: file, class: view}", extra="max_rejected: 0.6"
    )
    if intensity:
        made.params_file.write_text(
            made.params_file.read_text().replace("workers", f"intensity: {intensity}, workers")
        )
    for name, kind in {"hu": "HU", "iodine": "MGML"}.items():
        write(
            grey(
                ramp(high=900),
                Modality="CT",
                SOPInstanceUID=f"1.2.{kind == 'HU':d}",
                RescaleSlope=1,
                RescaleIntercept=0,
                RescaleType=kind,
            ),
            made.incoming("site") / f"{name}.dcm",
        )
    (made.incoming("site") / "labels.csv").write_text("file,view\nhu.dcm,AP\niodine.dcm,PA\n")
    stage.convert(made, "site")
    assert sorted(read_studies(made.studies("site")).records["units"]) == read and set(
        summary(made)["units"]
    ) == set(read)
    assert summary(made)["rejects"].get("other_units", 0) == 2 - len(read)
    if intensity == "":
        assert (
            "values in mg/ml; the window of CT is in HU"
            in (made.studies("site") / "rejects.csv").read_text()
        )


def test_units_are_of_a_window_and_of_those_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="units beside a window alone"):
        Intensity(percentiles=(1, 99), units="HU")
    made = workspace(tmp_path, "{file: labels.csv, match: file, class: view}")
    made.params_file.write_text(
        made.params_file.read_text().replace(
            "workers", "intensity: {CT: {window: [0, 1], units: hounsfield}}, workers"
        )
    )
    with pytest.raises(
        Refusal, match="convert.intensity.CT.units: found hounsfield; need one of %, "
    ):
        stage.convert(made, "site")


def test_a_photograph_has_no_units(tmp_path: Path) -> None:
    path = write(colour(np.zeros((9, 9, 3), np.uint8)), tmp_path / "x.dcm")
    assert examine(Found("x", path, path.stat().st_size)).header.facts.units is None


def test_each_frame_has_its_own_units(tmp_path: Path) -> None:
    data = enhanced(np.stack([ramp()] * 4), [0, 2, 0, 2], RescaleSlope=[1.0] * 4)
    for frame, kind in zip(
        data.PerFrameFunctionalGroupsSequence, ("US", "US", "ms", "ms"), strict=True
    ):
        frame.PixelValueTransformationSequence[0].RescaleType = kind
    path = write(data, tmp_path / "x.dcm")
    image = examine(Found("x", path, path.stat().st_size))
    assert [single.header.facts.units for single in image.slices] == [
        UNSPECIFIED,
        UNSPECIFIED,
        "ms",
        "ms",
    ]


@pytest.mark.parametrize(
    "keyword",
    [
        "RescaleType",
        "Units",
        "ImageType",
        "ModalityLUTSequence",
        "RealWorldValueMappingSequence",
        "RescaleSlope",
    ],
)
def test_a_malformed_element_says_nothing_and_is_no_error(keyword: str) -> None:
    data = header("PT")
    data[keyword] = DataElement(tag_for_keyword(keyword), "OB", b"\xff\xfe\0")
    assert units(Dataset(), Dataset()) == units(data, data) == UNSPECIFIED
