import functools
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest

from data_prep.phantom import chest_ct, chest_findings
from data_prep.phantom.__main__ import main
from data_prep.phantom.anatomy import draw_thorax
from data_prep.phantom.chest_findings import FINDINGS, draw_finding
from data_prep.phantom.cohort import IMAGES_SHARE_2D, draw_cohort
from data_prep.phantom.hospital import write_hospital
from data_prep.phantom.radiograph import (
    Exposure,
    attenuation_of,
    detect,
    draw_exposure,
    expected_quanta,
    measured_attenuation,
    radiograph,
    stored_values,
)
from data_prep.phantom.rays import Grid, Pose
from data_prep.phantom.thorax import project
from data_prep.phantom.vendors import VENDORS, vendor_named
from data_prep.site_file import Site, load_site_file
from workspace.errors import Refusal

ROOT = Path(__file__).parents[2]
PATIENTS = {2: 3, 3: 1}
pytestmark = pytest.mark.filterwarnings(
    "ignore:End of file reached"
)  # pydicom, of the file that was cut off
MESS = {"labels.csv", "README.txt"}
STILL = Exposure(
    Grid(96, 96, 0.36), Pose(), dose=1.0, heel_angle=0.0, window_shift=0.0, window_scale=1.0
)


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    """A tiny export of each vendor, in two and in three dimensions."""
    folders = {}
    for name, vendor in VENDORS.items():
        for dimensions, patients in PATIENTS.items():
            folder = tmp_path_factory.mktemp(f"{name}{dimensions}")
            write_hospital(
                folder, f"phantom_{name}", vendor, seed=5, patients=patients, dimensions=dimensions
            )
            folders[name, dimensions] = folder
    return folders


def images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in MESS)


def digest(folder: Path) -> str:
    contents = [
        (str(path.relative_to(folder)), path.read_bytes())
        for path in images_in(folder) + sorted(folder.glob("*.*"))
    ]
    return hashlib.sha256(repr(sorted(contents)).encode()).hexdigest()


@functools.cache
def readable(folder: Path) -> dict[Path, pydicom.Dataset]:
    """Every file whose pixels can be decoded."""
    found = {}
    for path in images_in(folder):
        try:
            header = pydicom.dcmread(path)
            assert header.pixel_array is not None
        except Exception:  # noqa: BLE001  what a cut-off file raises depends on where it was cut
            continue
        found[path] = header
    return found


def dicom_folders(hospitals: dict[tuple[str, int], Path], dimensions: int) -> dict[str, Path]:
    return {
        name: hospitals[name, dimensions]
        for name, vendor in VENDORS.items()
        if vendor.files == "dicom"
    }


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", VENDORS)
def test_a_hospital_is_the_same_bytes_twice(hospitals, tmp_path, name, dimensions):
    write_hospital(
        tmp_path,
        f"phantom_{name}",
        VENDORS[name],
        seed=5,
        patients=PATIENTS[dimensions],
        dimensions=dimensions,
    )
    assert digest(tmp_path) == digest(hospitals[name, dimensions])


def test_another_seed_is_another_hospital(hospitals, tmp_path):
    write_hospital(tmp_path, "phantom_apex", VENDORS["apex"], seed=6, patients=1, dimensions=2)
    assert digest(tmp_path) != digest(hospitals["apex", 2])


def test_two_sites_with_one_seed_share_no_uid(tmp_path):
    uids = []
    for site in ("phantom_a", "phantom_b"):
        (tmp_path / site).mkdir()
        write_hospital(tmp_path / site, site, VENDORS["apex"], seed=5, patients=2, dimensions=2)
        uids.append(set(pd.read_csv(tmp_path / site / "labels.csv")["SOPInstanceUID"]))
    assert not uids[0] & uids[1]


def test_vendors_differ_in_what_their_headers_say(hospitals):
    headers = [
        next(iter(readable(folder).values())) for folder in dicom_folders(hospitals, 2).values()
    ]
    for keyword in (
        "BitsStored",
        "RescaleSlope",
        "RescaleIntercept",
        "Rows",
        "PixelSpacing",
        "Manufacturer",
    ):
        assert len({str(header[keyword].value) for header in headers}) == len(headers), keyword
    assert len({header.file_meta.TransferSyntaxUID for header in headers}) == len(headers)
    assert {header.PhotometricInterpretation for header in headers} == {
        "MONOCHROME1",
        "MONOCHROME2",
    }


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_file_is_readable_but_the_one_that_was_cut_off(hospitals, dimensions):
    for folder in dicom_folders(hospitals, dimensions).values():
        assert len(readable(folder)) == len(images_in(folder)) - 1


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_nifti_is_readable_but_the_one_that_was_cut_off(hospitals, dimensions):
    unreadable = 0
    for path in images_in(hospitals["dorado", dimensions]):
        try:
            array = nibabel.load(path).get_fdata()
            assert array.ndim == 3 and (array.shape[2] == 1) == (dimensions == 2)
        except (EOFError, OSError):
            unreadable += 1
    assert unreadable == 1


@pytest.mark.parametrize("dimensions", [2, 3])
def test_one_instance_lies_in_the_export_twice(hospitals, dimensions):
    for name, folder in dicom_folders(hospitals, dimensions).items():
        uids = [header.SOPInstanceUID for header in readable(folder).values()]
        assert len(uids) - len(set(uids)) == 1, name


def test_dicom_headers_hold_age_and_sex(hospitals):
    for folder in dicom_folders(hospitals, 2).values():
        for header in readable(folder).values():
            assert 19 <= int(header.PatientAge[:3]) <= 96 and header.PatientAge.endswith("Y")
            assert header.PatientSex in ("F", "M")


def test_the_nifti_table_holds_patient_age_and_sex(hospitals):
    table = pd.read_csv(hospitals["dorado", 2] / "labels.csv")
    assert list(table) == ["file", "finding", "patient", "age", "sex"]
    assert (
        table.notna().all().all()
        and table["age"].between(19, 96).all()
        and set(table["sex"]) <= {"F", "M"}
    )
    assert (table.groupby("patient")["finding"].nunique() == 1).all()


def test_planted_identifiers_carry_the_token(hospitals):
    for folder in dicom_folders(hospitals, 2).values():
        header = next(iter(readable(folder).values()))
        for keyword in (
            "PatientName",
            "PatientID",
            "InstitutionName",
            "AccessionNumber",
            "StudyDescription",
            "PatientComments",
        ):
            assert "ZZPHI" in str(header[keyword].value), keyword
        assert "ZZPHI" in header.private_block(0x0009, "FEWSITE PHANTOM")[0x01].value


@pytest.mark.parametrize(
    ("place", "name", "dimensions"),
    [
        *(("sites/phantom_{}.yaml", site, 2) for site in ("north", "east", "south", "west")),
        *(
            ("examples/phantom3d/sites/phantom3d_{}.yaml", site, 3)
            for site in ("north", "east", "south", "west")
        ),
    ],
)
def test_the_site_file_fits_the_labels_table(hospitals, place, name, dimensions):
    vendor = {"north": "apex", "east": "borealis", "south": "dorado", "west": "cygnus"}[name]
    site: Site = load_site_file(ROOT / place.format(name))
    folder = hospitals[vendor, dimensions]
    table = pd.read_csv(folder / site.labels.file, dtype=str)
    assert set(table[site.labels.class_column]) <= {
        word for words in site.classes.values() for word in words
    }
    assert tuple(site.classes) == (FINDINGS if dimensions == 2 else chest_ct.NODULES)
    if site.labels.match == "file":
        assert dimensions == 3 or {
            str(path.relative_to(folder)) for path in images_in(folder)
        } == set(table["file"])
    else:
        assert {
            str(header[site.labels.match].value) for header in readable(folder).values()
        } <= set(table[site.labels.match])


def test_every_class_is_there_in_uneven_numbers_and_in_no_order():
    patients = draw_cohort(seed=3, count=150, findings=FINDINGS, images_share=IMAGES_SHARE_2D)
    classes = np.array([FINDINGS.index(patient.finding) for patient in patients])
    counts = np.bincount(classes, minlength=len(FINDINGS))
    assert counts.min() >= 24 and counts.max() > counts.min()
    by_identifier = classes[np.argsort([patient.identifier for patient in patients])]
    for order in (
        classes,
        by_identifier,
    ):  # neighbours share a class no more often than chance has it
        assert np.mean(order[1:] == order[:-1]) < 0.35
        assert abs(np.corrcoef(np.arange(len(order)), order)[0, 1]) < 0.25


def test_patients_have_one_to_four_images_and_a_name_of_their_own():
    patients = draw_cohort(seed=3, count=100, findings=FINDINGS, images_share=IMAGES_SHARE_2D)
    assert {patient.images for patient in patients} == {1, 2, 3, 4}
    assert (
        min(patient.number for patient in patients) == 1
    )  # 0 would draw the cohort's own stream again
    assert len({patient.identifier for patient in patients}) == 100


def test_quantum_noise_goes_as_one_over_the_square_root_of_dose():
    unit = replace(VENDORS["apex"].radiography, detector_blur=0.0, sharpening=0.0, heel=0.0)
    attenuation = np.full((128, 128), 2.0)
    spread = {}
    for dose in (1.0, 4.0):
        exposure = replace(STILL, dose=dose)
        expected = expected_quanta(unit, attenuation, exposure)
        counts = detect(np.random.default_rng(0), unit, expected)
        assert counts.var() == pytest.approx(expected.mean(), rel=0.05)  # Poisson
        spread[dose] = measured_attenuation(unit, counts, exposure).std()
    assert spread[1.0] / spread[4.0] == pytest.approx(2.0, rel=0.05)


def test_without_scatter_the_beam_follows_beer_and_lambert():
    unit = replace(VENDORS["apex"].radiography, scatter=0.0, heel=0.0)
    expected = expected_quanta(unit, np.full((32, 32), 1.5), STILL)
    assert expected == pytest.approx(unit.quanta * np.exp(-1.5), rel=1e-3)


def test_scatter_lowers_contrast():
    attenuation = np.full((64, 64), 3.0)
    attenuation[24:40, 24:40] = 2.0
    contrast = {}
    for scatter in (0.0, 1.0):
        unit = replace(VENDORS["apex"].radiography, scatter=scatter, heel=0.0, sharpening=0.0)
        measured = measured_attenuation(unit, expected_quanta(unit, attenuation, STILL), STILL)
        contrast[scatter] = measured[5, 5] - measured[32, 32]
    assert contrast[1.0] < 0.8 * contrast[0.0]


def test_dense_tissue_is_low_in_monochrome1_and_high_in_monochrome2():
    dense, thin = np.full((4, 4), 4.0), np.full((4, 4), 1.0)
    for vendor in VENDORS.values():
        unit = vendor.radiography
        difference = float(stored_values(unit, dense, STILL).mean()) - float(
            stored_values(unit, thin, STILL).mean()
        )
        assert (difference < 0) == (unit.photometric == "MONOCHROME1")
        assert stored_values(unit, np.full((4, 4), 99.0), STILL).max() < 2**unit.bits_stored


@pytest.mark.parametrize("name", [finding for finding in FINDINGS if finding != "normal"])
def test_a_finding_adds_attenuation_where_it_lies_and_nowhere_else(name):
    thorax = draw_thorax(np.random.default_rng(1), age=50, sex="M")
    healthy = attenuation_of(
        thorax, draw_finding(np.random.default_rng(2), "normal", thorax), STILL
    )
    finding = draw_finding(np.random.default_rng(2), name, thorax)
    lung = project(thorax, STILL.grid, STILL.pose).lung
    replaced = finding(STILL.grid, STILL.pose, lung)
    added = attenuation_of(thorax, finding, STILL) - healthy
    assert added.max() > 0.05
    assert np.all(replaced <= lung) and np.all(added[lung == 0] == 0)
    assert np.allclose(added, replaced * chest_findings.ADDED_PER_CM)
    assert np.mean(added > 0.01) < 0.35


def test_normal_adds_nothing():
    thorax = draw_thorax(np.random.default_rng(1), age=50, sex="F")
    finding = draw_finding(np.random.default_rng(2), "normal", thorax)
    paths = project(thorax, STILL.grid, STILL.pose)
    assert not finding(STILL.grid, STILL.pose, paths.lung).any()
    assert np.array_equal(attenuation_of(thorax, finding, STILL), paths.attenuation())


def test_no_path_length_is_negative():
    for seed in range(4):
        thorax = draw_thorax(np.random.default_rng(seed), age=30 + 15 * seed, sex="FM"[seed % 2])
        paths = project(thorax, STILL.grid, Pose(inspiration=1.0, magnification=1.15))
        assert min(paths.soft.min(), paths.fat.min(), paths.lung.min(), paths.bone.min()) >= 0
        assert 3.0 < paths.attenuation().max() < 8.0


def test_women_have_breasts_and_old_bones_are_thin():
    young, old = (
        np.mean([draw_thorax(np.random.default_rng(seed), age, "M").bone for seed in range(20)])
        for age in (30, 85)
    )
    assert old < 0.9 * young
    assert (
        draw_thorax(np.random.default_rng(0), 50, "F").breast
        > 0
        == draw_thorax(np.random.default_rng(0), 50, "M").breast
    )


def test_a_patients_images_show_one_anatomy_in_new_positions():
    unit = VENDORS["apex"].radiography
    thorax = draw_thorax(np.random.default_rng(1), age=50, sex="M")
    finding = draw_finding(np.random.default_rng(2), "normal", thorax)
    first, second = (
        radiograph(rng, unit, thorax, finding, draw_exposure(rng, unit)).astype(float)
        for rng in (np.random.default_rng([1, image]) for image in (1, 2))
    )
    assert not np.array_equal(first, second)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.6


def test_rays_around_a_point_hold_every_ray_within_the_radius():
    grid = Grid(60, 80, 0.4, x_middle=0.7, y_middle=-1.0, angle=0.3)
    inside = np.hypot(grid.x - 3.0, grid.y + 4.0) <= 2.0
    boxed = np.zeros_like(inside)
    boxed[grid.around(3.0, -4.0, 2.0)] = True
    assert inside.any() and not (inside & ~boxed).any() and boxed.mean() < 0.2


@pytest.mark.parametrize("name", [nodule for nodule in chest_ct.NODULES if nodule != "none"])
def test_a_nodule_changes_hounsfield_units_where_it_lies_and_nowhere_else(name):
    rng = np.random.default_rng(4)
    chest = chest_ct.draw_chest(rng, age=60, sex="F", finding=name)
    scan = chest_ct.Scan(VENDORS["apex"].scanner, 0.0, 0.0, 0.0, 0.0, 1.0)
    healthy = chest_ct.tissue(chest, scan)
    changed = chest_ct.with_nodule(chest, scan, healthy) - healthy
    z, y, x = scan.axes()
    distance = np.sqrt(
        (x - chest.nodule.centre[0]) ** 2
        + (y - chest.nodule.centre[1]) ** 2
        + (z - chest.nodule.centre[2]) ** 2
    )
    assert np.all(changed[distance > 1.15 * chest.nodule.radius + 8 * chest_ct.EDGE] == 0)
    assert changed[distance < chest.nodule.radius / 2].mean() > 150


def test_ct_noise_has_the_scanners_standard_deviation_and_goes_as_dose():
    water = np.zeros((6, 64, 64))
    for vendor in VENDORS.values():
        for dose in (1.0, 4.0):
            scan = chest_ct.Scan(vendor.scanner, 0.0, 0.0, 0.0, 0.0, dose)
            noise = chest_ct.reconstruct(np.random.default_rng(0), scan, water)[:, 8:-8, 8:-8].std()
            assert noise == pytest.approx(vendor.scanner.noise / np.sqrt(dose), rel=0.08)


def test_ct_slices_stack_evenly_and_read_as_hounsfield_units(hospitals):
    for name, folder in dicom_folders(hospitals, 3).items():
        scanner = VENDORS[name].scanner
        series: dict[str, dict[float, np.ndarray]] = {}
        for header in readable(folder).values():
            units = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
            series.setdefault(header.SeriesInstanceUID, {})[
                float(header.ImagePositionPatient[2])
            ] = units
        for slices in series.values():
            places = sorted(slices)
            assert len(places) == scanner.slices
            assert np.diff(places) == pytest.approx(scanner.spacing, abs=0.002)
            volume = np.stack([slices[place] for place in places])
            assert ((volume > -950) & (volume < -750)).mean() > 0.15  # lung
            assert ((volume > -20) & (volume < 120)).mean() > 0.05  # muscle and blood


def test_nifti_and_dicom_agree_on_where_a_voxel_lies(tmp_path):
    """One patient on one scanner, exported by both: DICOM counts to the left and back, this NIfTI to the left and front."""
    as_dicom = replace(VENDORS["apex"], scanner=VENDORS["dorado"].scanner)
    for name, vendor in (("dicom", as_dicom), ("nifti", VENDORS["dorado"])):
        (tmp_path / name).mkdir()
        write_hospital(tmp_path / name, "phantom_x", vendor, seed=9, patients=1, dimensions=3)
    image = nibabel.load(
        next(path for path in images_in(tmp_path / "nifti") if path.name.startswith("copy"))
    )
    first = [
        header
        for path, header in readable(tmp_path / "dicom").items()
        if path.parent.name == "ST0001" and not path.name.startswith("copy")
    ]
    assert len(first) == image.shape[2]
    for header in first:
        x, y, z = map(float, header.ImagePositionPatient)
        i, j, k = np.round(np.linalg.solve(image.affine, [-x, -y, z, 1.0])[:3], 2)
        assert (i, j) == (0, header.Rows - 1) and k == int(k)
        units = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
        assert np.array_equal(np.asarray(image.dataobj)[:, ::-1, int(k)].T, units)


def test_an_unknown_vendor_is_refused_with_the_known_ones():
    with pytest.raises(
        Refusal,
        match=r"here: found 'apax'; need one of apex, borealis, cygnus, dorado; do write apex",
    ):
        vendor_named("apax", "here")


def test_the_stage_writes_incoming_and_refuses_what_it_does_not_know(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(
        "sites: {a: source}\nconvert: {size: [32, 32]}\ntrain: {learners: [maml]}\n"
        "adapt: {methods: [majority]}\nreport: {method: majority}\n"
        "phantom:\n  hospitals:\n    phantom_a: {vendor: dorado, patients: 2, seed: 1}\n"
        "    phantom_b: {vendor: nobody, patients: 2, seed: 1}\n"
    )
    main("phantom_a")
    assert Path("incoming/phantom_a/labels.csv").is_file() and os.listdir("incoming") == [
        "phantom_a"
    ]
    assert "ZZPHI" not in "".join(capfd.readouterr())
    with pytest.raises(
        Refusal,
        match="hospitals.phantom_b.vendor: found 'nobody'; need one of apex, borealis, cygnus, dorado",
    ):
        main("phantom_b")
    assert not Path("incoming/phantom_b").exists()
    with pytest.raises(
        Refusal, match="no hospital 'phantom_c' in params.yaml; need one of phantom_a, phantom_b"
    ):
        main("phantom_c")
