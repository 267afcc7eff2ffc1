"""One synthetic hospital's export: image files, the labels table beside them, and the small mess
that real exports hold.
"""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from data_prep.phantom import chest_ct, chest_findings, cohort, radiograph
from data_prep.phantom.anatomy import draw_thorax
from data_prep.phantom.cohort import Patient, draw_cohort
from data_prep.phantom.dicom_files import radiograph_file, series_files
from data_prep.phantom.exported import ExportedFile
from data_prep.phantom.nifti_files import nifti_file
from data_prep.phantom.vendors import Vendor
from workspace.progress import track

Draw = Callable[
    [str, Vendor, int, Patient, int], list[ExportedFile]
]  # site, vendor, seed, patient, image -> the image's files

ARRIVED = 0.6  # share of the interrupted file
README = (
    "Export for research, ZZPHI. Labels are in labels.csv. Ask the archive for missing studies.\n"
)


def write_hospital(
    folder: Path, site: str, vendor: Vendor, seed: int, patients: int, dimensions: int
) -> None:
    """Write a hospital's export into an empty folder. `dimensions`: 2 for radiographs, 3 for CT."""
    if dimensions == 2:
        draw, match = draw_radiograph, vendor.match
        people = draw_cohort(seed, patients, chest_findings.FINDINGS, cohort.IMAGES_SHARE_2D)
    else:
        draw, match = draw_series, vendor.match_series
        people = draw_cohort(seed, patients, chest_ct.NODULES, cohort.IMAGES_SHARE_3D)
    rows = {}
    for patient in track(people, f"phantom {site}"):
        for file in export(
            draw,
            site,
            vendor,
            seed,
            patient,
            first=patient is people[0],
            last=patient is people[-1],
        ):
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            key = file.path if match == "file" else file.keys[match]
            person = _person(patient) if vendor.files == "nifti" else {}
            rows[key] = {match: key, "finding": vendor.words[patient.finding], **person}
    table = pd.DataFrame(
        [rows[key] for key in sorted(rows)]
    )  # hashes or random numbers: their order tells no finding
    table.to_csv(folder / "labels.csv", index=False, lineterminator="\n")
    (folder / "README.txt").write_text(README, encoding="utf-8", newline="\n")


def export(
    draw: Draw, site: str, vendor: Vendor, seed: int, patient: Patient, *, first: bool, last: bool
) -> Iterator[ExportedFile]:
    """A patient's files.

    A hospital's first patient has one file twice, its last one an image that was cut off on its
    way.
    """
    for image in range(1, patient.images + 1):
        yield from draw(site, vendor, seed, patient, image)
    if first:
        file = draw(site, vendor, seed, patient, 1)[0]
        path = PurePosixPath(file.path)
        yield ExportedFile(str(path.with_name(f"copy_of_{path.name}")), file.content, file.keys)
    if last:
        file = draw(site, vendor, seed, patient, patient.images + 1)[0]
        yield ExportedFile(file.path, file.content[: int(ARRIVED * len(file.content))], file.keys)


def draw_radiograph(
    site: str, vendor: Vendor, seed: int, patient: Patient, image: int
) -> list[ExportedFile]:
    """The file of one radiograph.

    Anatomy and finding depend on (seed, patient), the exposure and its noise also on the image.
    """
    rng = np.random.default_rng([seed, patient.number])
    anatomy = draw_thorax(rng, patient.age, patient.sex)
    finding = chest_findings.draw_finding(rng, patient.finding, anatomy)
    rng = np.random.default_rng([seed, patient.number, image])
    exposure = radiograph.draw_exposure(rng, vendor.radiography)
    pixels = radiograph.radiograph(rng, vendor.radiography, anatomy, finding, exposure)
    pitch = vendor.radiography.pitch
    if vendor.files == "nifti":
        return [nifti_file(patient, image, pixels[None], (pitch, pitch, 1.0), np.zeros(3))]
    return [radiograph_file(site, vendor, patient, image, pixels)]


def draw_series(
    site: str, vendor: Vendor, seed: int, patient: Patient, image: int
) -> list[ExportedFile]:
    """The files of one CT series, seeded as radiographs are."""
    chest = chest_ct.draw_chest(
        np.random.default_rng([seed, patient.number]), patient.age, patient.sex, patient.finding
    )
    rng = np.random.default_rng([seed, patient.number, image])
    scan = chest_ct.draw_scan(rng, vendor.scanner, chest)
    volume = chest_ct.series(rng, chest, scan)
    origin = scan.origin()
    if vendor.files == "nifti":
        spacing = (vendor.scanner.pitch, vendor.scanner.pitch, vendor.scanner.spacing)
        return [nifti_file(patient, image, volume.astype(np.int16), spacing, origin)]
    return series_files(site, vendor, patient, image, volume, origin)


def _person(patient: Patient) -> dict[str, str | int]:
    """What a NIfTI archive keeps beside its files, since their headers cannot hold it."""
    return {"patient": patient.identifier, "age": patient.age, "sex": patient.sex}
