"""What an export holds, by headers and labels alone: the records it would make, and the files that it would not use."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from data_prep import dicom, nifti, raster
from data_prep.decode import Planned
from data_prep.deidentify import MODALITIES, UNKNOWN_MODALITY, Keys, read_secret
from data_prep.image_file import Facts, ImageFile
from data_prep.kinds import HEAD, Kind, named_like_an_image, sniff
from data_prep.labels import BY_FILE, KEYWORDS, LabelTable, Row, match_files, read_labels
from data_prep.parallel import in_order
from data_prep.rejects import Reject, Rejected
from data_prep.series import Volume, group_slices, make_volume, reject_all
from data_prep.sources import Found, opened, read_all, walk
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.progress import track
from workspace.settings import Convert, Params, Site, resolve_root

REFUSED_KINDS = {Kind.EMPTY: "empty_file", Kind.ZIP: "nested_archive", Kind.TAR: "unsupported_archive",
                 Kind.NIFTI_PAIR: "nifti_pair"}


@dataclass(frozen=True)
class Labelled:
    """How labels and images met."""

    rows: int
    matched: int
    unlabelled_images: int

    @property
    def unmatched_rows(self) -> int:
        return self.rows - self.matched


@dataclass(frozen=True)
class ScanResult:
    """An export after its headers were read. `plans` are sorted by record key. Nothing of it is written as it stands."""

    name: str
    site: Site
    convert: Convert
    keys: Keys
    files: int
    plans: tuple[Planned, ...]
    rejects: tuple[Reject, ...]
    labelled: Labelled

    @cached_property
    def classes(self) -> dict[str, dict[str, int]]:
        return count_classes(self.site, (plan.row for plan in self.plans))

    @property
    def patients(self) -> int:
        return len({plan.row["patient"] for plan in self.plans})


def scan(workspace: Workspace, name: str, site: Site, params: Params, *, root: Path | None = None,
         secret: str | None = None) -> ScanResult:
    """Read every header and match labels. Raises Refusal.

    `root`: where the export is; by default the workspace's incoming folder. `secret`: by default the workspace's, made on
    first use; with one of your own (deidentify.new_secret()) nothing is written.
    """
    refuse_if(_setting_problems(name, site))
    root = root or incoming_root(workspace, name, site)
    table = read_labels(table_content(root, name, site), f"{name} {site.labels.file}", site)
    keys = Keys(secret or read_secret(workspace), name, site.patient_namespace or name)
    files = walk(root)
    examined = list(track(in_order(examine_all, files, params.convert.workers), f"{name}: reading headers", total=len(files)))
    images = [item for item in examined if isinstance(item, ImageFile)]
    rejects = [item for item in examined if isinstance(item, Reject)]
    rows, matched = _match(images, table, f"{name} {site.labels.file}")
    images, again = _drop_duplicates(images, rows)
    rejects += again
    plan = _plan_volumes if len(params.convert.size) == 3 else _plan_images
    plans, unplanned = plan(images, rows, rejects, _Maker(name, site, keys, table))
    unlabelled = len({image.found.name for image in images} - rows.keys())
    return ScanResult(name, site, params.convert, keys, len(files), tuple(sorted(plans, key=lambda plan: plan.key)),
                      tuple(rejects + unplanned), Labelled(table.lines, matched, unlabelled))


def locate(workspace: Workspace, name: str, site: Site, file_hash: str) -> list[str]:
    """The paths that a hash in rejects.csv stands for. They may hold patients' ids: only for the terminal of who may see them."""
    keys = Keys(read_secret(workspace), name, site.patient_namespace or name)
    return [found.name for found in walk(export_root(workspace, name, site)) if keys.file(found.name) == file_hash]


def incoming_root(workspace: Workspace, name: str, site: Site) -> Path:
    """Where a site's export lies. Raises Refusal, also where the link leads elsewhere than the site's root does today."""
    root = workspace.incoming(name)
    if root.is_symlink() and root.resolve() != resolve_root(f"sites/{name}.yaml", site):
        raise Refusal(Problem(f"incoming/{name}", "a link to another place than root", f"the root of sites/{name}.yaml", "fewsite link"))
    if not root.exists():
        raise Refusal(Problem(f"incoming/{name}", "nothing", "a link to the hospital's export", "fewsite link"))
    return root


def export_root(workspace: Workspace, name: str, site: Site) -> Path:
    """Where a site's export lies, whether or not it was added and linked yet. Raises Refusal."""
    linked = os.path.lexists(workspace.incoming(name))
    return incoming_root(workspace, name, site) if linked else resolve_root(f"sites/{name}.yaml", site)


def count_classes(site: Site, rows: Iterable[dict[str, object]]) -> dict[str, dict[str, int]]:
    """Records and patients of each of the site's classes."""
    patients = defaultdict(list)
    for row in rows:
        patients[row["label"]].append(row["patient"])
    return {name: {"records": len(patients[name]), "patients": len(set(patients[name]))} for name in site.classes}


def examine_all(files: list[Found]) -> list[ImageFile | Reject]:
    return [examine(found) for found in files]


def examine(found: Found) -> ImageFile | Reject:
    """One file's header, or why it is not used."""
    kind = Kind.OTHER
    try:
        with opened(found) as stream:
            kind = sniff(stream.read(HEAD))
            stream.seek(0)
            match kind:
                case Kind.DICOM:
                    return dicom.read_header(stream, found)
                case Kind.BARE_DICOM:
                    return dicom.read_header(stream, found, bare=True)
                case Kind.NIFTI:
                    return nifti.read_header(stream, found)
                case Kind.PNG | Kind.JPEG | Kind.TIFF:
                    return raster.read_header(stream, found)
        if kind is Kind.OTHER:
            raise Rejected("not_what_its_name_says" if named_like_an_image(found.name) else "not_an_image")
        raise Rejected(REFUSED_KINDS[kind])
    except Rejected as rejected:
        shown = "dicom" if kind is Kind.BARE_DICOM else str(kind)
        return Reject(found.name, shown, rejected.reason, rejected.found, rejected.series, rejected.instance)


def _setting_problems(name: str, site: Site) -> list[Problem]:
    """What is wrong with a site's settings that only readers can tell."""
    checks = [("labels.match", site.labels.match, (BY_FILE, *KEYWORDS)), ("modality", site.modality, (None, *sorted(MODALITIES)))]
    where = f"sites/{name}.yaml"
    return [Problem(f"{where} {setting}", str(value), f"one of {', '.join(filter(None, allowed))}", "correct the setting")
            for setting, value, allowed in checks if value not in allowed]


def table_content(root: Path, name: str, site: Site) -> bytes:
    """The labels table, from within the export: DVC watches nothing else, so a table elsewhere could change unseen. Raises Refusal."""
    where = f"{name} {site.labels.file}"
    root = root.resolve()
    path = root / site.labels.file
    if path.is_file() and path.resolve().is_relative_to(root):
        return path.read_bytes()
    inside = [found for found in walk(root) if found.name == site.labels.file]
    if not inside:
        raise Refusal(Problem(where, "no such file in the export", "a CSV file under the site's root",
                              "correct labels.file, or make root a folder that holds the images and the table"))
    try:
        with opened(inside[0]) as stream:
            return read_all(stream)
    except Rejected as rejected:
        raise Refusal(Problem(where, rejected.reason.replace("_", " "), "a CSV file", "send it again")) from None


def _match(images: list[ImageFile], table: LabelTable, where: str) -> tuple[dict[str, Row], int]:
    """File name -> its row, and how many rows of the table found an image. Raises Refusal if none did."""
    if table.match == BY_FILE:
        values = match_files(table, (image.found.name for image in images), where)
    else:
        values = {image.found.name: image.identifiers.get(table.match, "") for image in images}
    rows = {name: table.rows[value] for name, value in values.items() if value and value in table.rows}
    if not rows:
        raise Refusal(Problem(where, f"{table.lines} rows and {len(images)} images that never match",
                              f"rows that match images by {table.match}", "correct labels.match and labels.column"))
    matched = {values[name] for name in rows}
    return rows, len(matched)


def _drop_duplicates(images: list[ImageFile], rows: dict[str, Row]) -> tuple[list[ImageFile], list[Reject]]:
    """One file for each SOP Instance UID: one with a label, then the largest, since a copy may be cut short, then the first by name."""
    best: dict[str, ImageFile] = {}

    def worth(image: ImageFile) -> tuple[bool, int]:
        return image.found.name in rows, image.found.size

    for image in images:
        sop = image.identifiers.get("SOPInstanceUID")
        if sop and (sop not in best or worth(image) > worth(best[sop])):
            best[sop] = image
    kept, again = [], []
    for image in images:
        (kept if best.get(image.identifiers.get("SOPInstanceUID", ""), image) is image else again).append(image)
    return kept, reject_all(again, "duplicate_instance")


def _plan_images(images: list[ImageFile], rows: dict[str, Row], broken: list[Reject],
                 make: "_Maker") -> tuple[list[Planned], list[Reject]]:
    """Every image file is a record."""
    plans, rejects = [], []
    for image in images:
        try:
            if len(image.shape) == 3:
                raise Rejected("is_a_volume")
            plans.append(make((image,), rows, image.facts))
        except Rejected as rejected:
            rejects += reject_all([image], rejected.reason, rejected.found)
    return plans, rejects


def _plan_volumes(images: list[ImageFile], rows: dict[str, Row], broken: list[Reject],
                  make: "_Maker") -> tuple[list[Planned], list[Reject]]:
    """Every DICOM series of one orientation is a record, and every NIfTI volume."""
    plans = []
    flat = [image for image in images if image.place is None and len(image.shape) == 2]
    rejects = reject_all(flat, "not_a_volume")
    groups, unfit = group_slices(image for image in images if image.place is not None)
    rejects += unfit
    whole = {image.identifiers.get("SOPInstanceUID") for image in images}  # a broken copy of a whole slice is no loss
    losses = [reject for reject in broken if reject.image and reject.instance not in whole]
    broken_series = {reject.series for reject in losses} - {""}
    broken_folders = {reject.name.rpartition("/")[0] for reject in losses if not reject.series}
    for group in [*groups, *([image] for image in images if len(image.shape) == 3)]:
        try:
            if group[0].place is None:
                plans.append(make(tuple(group), rows, group[0].facts))
                continue
            make.label(group, rows)  # an unlabelled series is left out for that reason, whatever else is wrong with it
            if group[0].identifiers["SeriesInstanceUID"] in broken_series:
                raise Rejected("sibling_rejected")
            volume, again = make_volume(group, any(image.found.folder in broken_folders for image in group))
            rejects += again
            plans.append(make(volume.files, rows, replace(group[0].facts, spacing=volume.spacing), volume))
        except Rejected as rejected:
            rejects += reject_all(group, rejected.reason, rejected.found)
    return plans, rejects


@dataclass(frozen=True)
class _Maker:
    """Makes a record's row, where every identifier is a keyed hash."""

    name: str
    site: Site
    keys: Keys
    table: LabelTable

    def __call__(self, files: tuple[ImageFile, ...], rows: dict[str, Row], facts: Facts, volume: Volume | None = None) -> Planned:
        """Raises Rejected where the label or the patient cannot be told."""
        row = self.label(files, rows)
        first = files[0]
        key = self.keys.record("\n".join(sorted(image.source for image in files)))
        modality = self.site.modality if facts.modality == UNKNOWN_MODALITY and self.site.modality else facts.modality
        return Planned(key, files, {
            "record": key, "site": self.name, "task": self.site.task,
            "patient": self.keys.patient(self._patient(first, row)),
            "study": self.keys.study(first.identifiers.get("StudyInstanceUID") or first.source),
            "series": self.keys.series(first.identifiers.get("SeriesInstanceUID") or first.source),
            "label": row.label,
            "age": facts.age if row.age is None else row.age,
            "sex": facts.sex if row.sex is None else row.sex,
            "study_year": facts.study_year, "modality": modality, "manufacturer": facts.manufacturer, "model": facts.model,
            "spacing": None if facts.spacing is None else "x".join(f"{size:g}" for size in np.round(facts.spacing, 4)),
            "transfer_syntax": facts.transfer_syntax, "photometric": facts.photometric,
            "slices": len(files) if volume else first.shape[0] if len(first.shape) == 3 else 1,
        }, volume.affine if volume else None)

    def label(self, files: Iterable[ImageFile], rows: dict[str, Row]) -> Row:
        """The one row of a record's files. Raises Rejected."""
        found = [rows[image.found.name] for image in files if image.found.name in rows]
        if not found:
            raise Rejected("no_label")
        if len({(row.label, row.patient) for row in found}) > 1:
            raise Rejected("conflicting_labels")
        if found[0].label is None:
            raise Rejected("label_ignored")
        return found[0]

    def _patient(self, image: ImageFile, row: Row) -> str:
        """The value that tells patients apart: the table's column, a DICOM keyword, or the file itself where it is no DICOM."""
        if self.table.patient_column:
            value = row.patient
        elif self.site.labels.patient or image.kind == "dicom":
            value = image.identifiers.get(self.site.labels.patient or "PatientID")
        else:
            value = image.found.name
        if not value:
            raise Rejected("no_patient")
        return value


def count(values: Iterable[object]) -> dict[str, int]:
    """How often each value occurs, sorted."""
    return dict(sorted(Counter(map(str, values)).items()))
