"""What an export holds, by headers and labels alone: the records it would make, and the files that it would not use."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from data_prep import burned_in, dicom, itk_image, nifti, npz, raster
from data_prep.decode import Planned
from data_prep.deidentify import MODALITIES, Keys, read_secret
from data_prep.image_file import Facts, ImageFile
from data_prep.kinds import HEAD, Kind, named_like_an_image, sniff
from data_prep.labels import BY_ARRAY, BY_FILE, KEYWORDS, LabelTable, Row, match_files, read_labels
from data_prep.parallel import in_order
from data_prep.rejects import Reject, Rejected, one_a_file
from data_prep.series import Group, Volume, group_slices, make_volume, reject_all, split_repeats
from data_prep.sources import Found, opened, read_all
from data_prep.walk import walk
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.progress import track
from workspace.settings import OTHERS, Convert, Params, Site, resolve_root

REFUSED_KINDS = {Kind.EMPTY: "empty_file", Kind.NIFTI_PAIR: "nifti_pair",
                 **dict.fromkeys((Kind.ZIP, Kind.TAR, Kind.GZIP, Kind.BZIP2, Kind.XZ), "nested_archive")}


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
    idle_rules: list[int]  # numbers of the crop rules that apply to no image

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
    refuse_if(_setting_problems(name, site, params.convert))
    root = root or incoming_root(workspace, name, site)
    keys = Keys(secret or read_secret(workspace), name, site.patient_namespace or name)
    if site.labels.match == BY_ARRAY:
        files, examined, table = npz.read_headers(root, name, site)
    else:
        files, examined, table = _read_files(root, name, site, params.convert.workers)
    examined, idle_rules = burned_in.as_set(examined, site)
    images = [item for item in examined if isinstance(item, ImageFile)]
    rejects = [item for item in examined if isinstance(item, Reject)]
    rows, matched = _match(images, table, f"{name} {site.labels.file or BY_ARRAY}")
    images, again = _drop_duplicates(images, rows)
    rejects += again
    plan = partial(_plan_volumes, each=params.convert.repeats == "each") if len(params.convert.size) == 3 else _plan_images
    plans, unplanned = plan(images, rows, rejects, _Maker(name, site, keys, table))
    unlabelled = len({image.found.name for image in images} - rows.keys())
    return ScanResult(name, site, params.convert, keys, len(files), tuple(sorted(plans, key=lambda plan: plan.key)),
                      tuple(rejects + unplanned), Labelled(table.lines, matched, unlabelled), idle_rules)


def locate(workspace: Workspace, name: str, site: Site, file_hash: str) -> list[str]:
    """The paths that a hash in rejects.csv stands for. They may hold patients' ids: only for the terminal of who may see them."""
    keys = Keys(read_secret(workspace), name, site.patient_namespace or name)
    root = export_root(workspace, name, site)
    files = npz.read_headers(root, name, site)[0] if site.labels.match == BY_ARRAY else walk(root)
    return [found.name for found in files if keys.file(found.name) == file_hash]


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
                case Kind.NRRD | Kind.METAIMAGE:
                    return itk_image.read_header(stream, found)
                case Kind.PNG | Kind.JPEG | Kind.TIFF:
                    return raster.read_header(stream, found)
        if kind is Kind.OTHER:
            raise Rejected("not_what_its_name_says" if named_like_an_image(found.name) else "not_an_image")
        raise Rejected(REFUSED_KINDS[kind])
    except Rejected as rejected:
        shown = "dicom" if kind is Kind.BARE_DICOM else str(kind)
        return Reject(found.name, shown, rejected.reason, rejected.found, rejected.series, rejected.instance, rejected.part)


def _setting_problems(name: str, site: Site, convert: Convert) -> list[Problem]:
    """What is wrong with settings that only readers can tell."""
    where, known = f"sites/{name}.yaml", sorted(MODALITIES)
    modalities = {"modality": site.modality, **{f"crop.{at}.modality": rule.modality for at, rule in enumerate(site.crop)}}
    checks = [(f"{where} labels.match", site.labels.match, (BY_FILE, *KEYWORDS, BY_ARRAY)),
              *((f"{where} {setting}", value, (None, *known)) for setting, value in modalities.items()),
              *(("params.yaml convert.intensity", key, (OTHERS, *known)) for key in convert.intensity)]
    return [Problem(setting, str(value), f"one of {', '.join(filter(None, allowed))}", "correct the setting")
            for setting, value, allowed in checks if value not in allowed]


def _read_files(root: Path, name: str, site: Site, workers: int) -> tuple[list[Found], list[ImageFile | Reject], LabelTable]:
    """An export's files, what each is, and the labels table among them. Raises Refusal."""
    table = read_labels(table_content(root, name, site), f"{name} {site.labels.file}", site)
    files = walk(root)
    examined = list(track(in_order(examine_all, files, workers), f"{name}: reading headers", total=len(files)))
    return files, _join_parts(files, examined), table


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
    if table.match == BY_ARRAY:
        values = {image.found.name: image.found.name for image in images}
    elif table.match == BY_FILE:
        values = match_files(table, (image.found.name for image in images), where)
    else:
        values = {image.found.name: image.identifiers.get(table.match, "") for image in images}
    rows = {name: table.rows[value] for name, value in values.items() if value and value in table.rows}
    if not rows:
        raise Refusal(Problem(where, f"{table.lines} rows and {len(images)} images that never match",
                              f"rows that match images by {table.match}", "correct labels.match and labels.column"))
    matched = {values[name] for name in rows}
    return rows, len(matched)


def _join_parts(files: list[Found], examined: list[ImageFile | Reject]) -> list[ImageFile | Reject]:
    """Give each header its data file, which shares its fate and is no file of its own.

    A header is rejected where that file is missing, is another header's or is itself an image.
    """
    own = {found.name: (found, item) for found, item in zip(files, examined, strict=True)}
    taken: set[str] = set()
    joined: list[tuple[str, list[ImageFile | Reject]]] = []
    for found, item in zip(files, examined, strict=True):
        data, content = own.get(item.part, (None, None))
        if data is not None and not isinstance(content, ImageFile) and data.name not in taken:
            taken.add(data.name)
            whole = [replace(item, data=data)] if isinstance(item, ImageFile) else [item, replace(item, name=data.name)]
            joined.append((found.name, whole))
        elif item.part and isinstance(item, ImageFile):
            problem = "a data file that is missing" if data is None else "a data file that is another header's, or an image itself"
            joined.append((found.name, [Reject(found.name, item.kind, "bad_data_file", problem)]))
        else:
            joined.append((found.name, [item]))
    return [item for name, items in joined if name not in taken for item in items]


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


def _plan_volumes(images: list[ImageFile], rows: dict[str, Row], broken: list[Reject], make: "_Maker",
                  each: bool) -> tuple[list[Planned], list[Reject]]:
    """Every volume of a DICOM series is a record, and every NIfTI volume. `each`: also later echoes and time points."""
    plans = []
    slices = [single for image in images for single in image.slices]
    flat = [image for image in slices if image.place is None and len(image.shape) == 2]
    rejects = reject_all(flat, "not_a_volume")
    groups, unfit = group_slices(image for image in slices if image.place is not None)
    rejects += unfit
    whole = {image.identifiers.get("SOPInstanceUID") for image in images}  # a broken copy of a whole slice is no loss
    losses = [reject for reject in broken if reject.image and reject.instance not in whole]
    broken_series = {reject.series for reject in losses} - {""}
    broken_folders = {reject.name.rpartition("/")[0] for reject in losses if not reject.series}

    volumes: list[Group] = []
    for group in groups:
        try:
            make.label(group.slices, rows)  # an unlabelled series is left out for that reason, whatever else is wrong with it
            if group.slices[0].identifiers["SeriesInstanceUID"] in broken_series:
                raise Rejected("sibling_rejected")
            first, *later = split_repeats(group.slices)
        except Rejected as rejected:
            rejects += reject_all(group.slices, rejected.reason, rejected.found)
            continue
        volumes += [replace(group, slices=part) for part in ([first, *later] if each else [first])]
        rejects += reject_all([image for part in later if not each for image in part], "later_repeat")
    for volume in volumes:
        try:
            made, again = make_volume(volume, any(image.found.folder in broken_folders for image in volume.slices))
            rejects += again
            plans.append(make(made.files, rows, replace(made.files[0].facts, spacing=made.spacing), made))
        except Rejected as rejected:
            rejects += reject_all(volume.slices, rejected.reason, rejected.found)
    for image in slices:
        if len(image.shape) == 3:
            try:
                plans.append(make((image,), rows, image.facts))
            except Rejected as rejected:
                rejects += reject_all([image], rejected.reason, rejected.found)
    return plans, one_a_file(rejects, {image.found.name for plan in plans for image in plan.files})


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
        return Planned(key, files, {
            "record": key, "site": self.name, "task": self.site.task,
            "patient": self.keys.patient(self._patient(first, row)),
            "study": self.keys.study(first.identifiers.get("StudyInstanceUID") or first.source),
            "series": self.keys.series(first.identifiers.get("SeriesInstanceUID") or first.source),
            "label": row.label,
            "age": facts.age if row.age is None else row.age,
            "sex": facts.sex if row.sex is None else row.sex,
            "study_year": facts.study_year, "modality": facts.modality, "manufacturer": facts.manufacturer, "model": facts.model,
            "spacing": None if facts.spacing is None else "x".join(f"{size:g}" for size in np.round(facts.spacing, 4)),
            "transfer_syntax": facts.transfer_syntax, "photometric": facts.photometric,
            "slices": len(files) if volume else first.shape[0] if len(first.shape) == 3 else 1,
        }, volume.affine if volume else None, facts.spacing)

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
