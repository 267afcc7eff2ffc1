"""What an export holds, by headers and labels alone: the records it would make, and the files that it would not use."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from data_prep.decode import Planned
from data_prep.exports.copies import drop_copies
from data_prep.exports.dicomdir import is_dicomdir
from data_prep.exports.incoming import incoming_link
from data_prep.exports.kinds import (
    HEAD,
    Kind,
    named_like_an_image,
    named_like_another_format,
    named_like_text,
    named_like_voxels,
    sniff,
)
from data_prep.exports.left_by_systems import is_double, left_by_a_system
from data_prep.exports.parts import join_parts
from data_prep.exports.siblings import two_keys, two_roles
from data_prep.exports.sources import Found, opened, read_all
from data_prep.exports.unhashable import unhashable
from data_prep.exports.unread import NO_SLICES, unread
from data_prep.exports.walk import walk
from data_prep.index import Seen, look_up
from data_prep.privacy import burned_in
from data_prep.privacy.deidentify import MODALITIES, Keys, read_secret
from data_prep.privacy.elements import asked_of, keyword_of
from data_prep.privacy.same_value import one_text
from data_prep.readers import itk_image, mgh, nifti, npz, raster
from data_prep.readers.dicom import file as dicom
from data_prep.readers.dicom.units import KNOWN
from data_prep.readers.image_file import NOWHERE, Facts, ImageFile
from data_prep.rejects import Reject, Rejected, left_out, not_decodable, one_a_file
from data_prep.running.parallel import in_order
from data_prep.settings import OTHERS, Convert, Params
from data_prep.site_file import Site, resolve_root
from data_prep.targets.labels import BY_ARRAY, BY_FILE, BY_FOLDER, LabelTable, Row, read_labels
from data_prep.targets.matching import Matched, match_images, patient_of
from data_prep.volumes.series import (
    Group,
    Volume,
    group_slices,
    make_volume,
    reject_all,
    split_repeats,
)
from data_prep.volumes.tilt import STRAIGHT
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.progress import track

REFUSED_KINDS = {
    Kind.EMPTY: "empty_file",
    **dict.fromkeys((Kind.ZIP, Kind.TAR, Kind.GZIP, Kind.BZIP2, Kind.XZ), "nested_archive"),
}

# What a file may be that is a slice without saying of which series; other formats are none.
MAY_BE_A_SLICE = frozenset({Kind.DICOM, Kind.BARE_DICOM, Kind.OTHER, *REFUSED_KINDS})


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
    matched: Matched
    unlabelled_images: int
    idle_rules: list[int]  # numbers of the crop rules that apply to no image
    left_out: tuple[Reject, ...]  # frames of files that are used in part
    seen: tuple[Seen, ...]
    unread: dict[str, list[int]]  # age or sex -> lines of the table whose cell is not understood


def scan(
    workspace: Workspace,
    name: str,
    site: Site,
    params: Params,
    *,
    root: Path | None = None,
    secret: str | None = None,
) -> ScanResult:
    """Read every header and match labels. Raises Refusal.

    `root`: where the export is; by default the workspace's incoming folder. `secret`: by default the workspace's, made on
    first use; with one of your own (deidentify.new_secret()) nothing is written.
    """
    role = params.sites.get(name)  # none yet of a site that is only looked at
    refuse_if(
        [
            *_setting_problems(name, site, params.convert),
            *two_keys(workspace, name, site, params),
            *(two_roles(workspace, name, site, params, role) if role else []),
        ]
    )
    root = root or incoming_root(workspace, name, site)
    keys = Keys(secret or read_secret(workspace), name, site.patient_namespace or name)
    if site.labels.match == BY_ARRAY:
        files, examined, table = npz.read_headers(root, name, site)
    else:
        files, examined, table = _read_files(root, name, site, params.convert)
    examined, idle_rules = burned_in.as_set(examined, site)
    images = [item for item in examined if isinstance(item, ImageFile)]
    rejects = [item for item in examined if isinstance(item, Reject)]
    matched = match_images(
        images, rejects, table, site.labels, f"{name} {site.labels.file or BY_ARRAY}"
    )
    images, again = drop_copies(
        images, matched.rows, params.convert.workers, params.convert.scheduler
    )
    rejects += again
    make = _Maker(name, site, keys, table)
    if len(params.convert.size) == 3:
        each, straightened = params.convert.repeats == "each", params.convert.tilt == "resample"
        plans, unplanned = plan_volumes(images, matched.rows, rejects, make, each, straightened)
    else:
        plans, unplanned = _plan_images(images, matched.rows, make)
    rejects += unplanned
    used = {image.identity.found.name for plan in plans for image in plan.files}
    unlabelled = len({image.identity.found.name for image in images} - matched.rows.keys())
    return ScanResult(
        name,
        site,
        params.convert,
        keys,
        len(files),
        tuple(sorted(plans, key=lambda plan: plan.key)),
        tuple(one_a_file(rejects, used)),
        matched,
        unlabelled,
        idle_rules,
        tuple(left_out(rejects, used)),
        tuple(look_up(examined, keys, lambda image: make.patient(image, matched.rows))),
        table.unread,
    )


def locate(workspace: Workspace, name: str, site: Site, file_hash: str) -> list[str]:
    """The paths that a hash in rejects.csv stands for. They may hold patients' ids: only for the terminal of who may see them."""
    keys = Keys(read_secret(workspace), name, site.patient_namespace or name)
    root = export_root(workspace, name, site)
    if site.labels.match != BY_ARRAY and (
        names := [file for file, _ in unhashable(root) if keys.file(file) == file_hash]
    ):
        return names  # first, since some of these are no files, or stop a walk
    files = npz.read_headers(root, name, site)[0] if site.labels.match == BY_ARRAY else walk(root)
    return [found.name for found in files if keys.file(found.name) == file_hash]


def incoming_root(workspace: Workspace, name: str, site: Site) -> Path:
    """Where a site's export lies. Raises Refusal, also where the link leads elsewhere than the site's root does today."""
    root = incoming_link(workspace, name)
    if root.is_symlink() and root.resolve() != resolve_root(f"sites/{name}.yaml", site):
        raise Refusal(
            Problem(
                f"incoming/{name}",
                "a link to another place than root",
                f"the root of sites/{name}.yaml",
                "fewsite link",
            )
        )
    if not root.exists():
        raise Refusal(
            Problem(
                f"incoming/{name}", "nothing", "a link to the hospital's export", "fewsite link"
            )
        )
    return root


def export_root(workspace: Workspace, name: str, site: Site) -> Path:
    """Where a site's export lies, whether or not it was added and linked yet. Raises Refusal."""
    linked = os.path.lexists(workspace.incoming(name))
    return (
        incoming_root(workspace, name, site) if linked else resolve_root(f"sites/{name}.yaml", site)
    )


def count_classes(site: Site, rows: Iterable[dict[str, object]]) -> dict[str, dict[str, int]]:
    """Records and patients of each of the site's classes."""
    patients = defaultdict(list)
    for row in rows:
        patients[row["label"]].append(row["patient"])
    return {
        name: {"records": len(patients[name]), "patients": len(set(patients[name]))}
        for name in site.classes
    }


def examine_all(files: list[Found], asked: tuple[str, ...] = ()) -> list[ImageFile | Reject]:
    return [examine(found, asked) for found in files]


def examine(found: Found, asked: tuple[str, ...] = ()) -> ImageFile | Reject:
    """One file's header, or why it is not used. `asked`: keywords of more DICOM elements to read as identifiers."""
    kind = Kind.OTHER
    try:
        if left_by_a_system(found.name):
            raise Rejected("not_an_image")
        with opened(found) as stream:
            head = stream.read(HEAD)
            kind = sniff(head)
            if is_double(found.name, head) or (kind is Kind.EMPTY and named_like_text(found.name)):
                raise Rejected("not_an_image")
            stream.seek(0)
            match kind:
                case Kind.DICOM:
                    return dicom.read_header(stream, found, asked=asked)
                case Kind.BARE_DICOM:
                    return dicom.read_header(stream, found, bare=True, asked=asked)
                case Kind.NIFTI | Kind.NIFTI_PAIR | Kind.ANALYZE:
                    return nifti.read_header(stream, found)
                case Kind.MGH:
                    return mgh.read_header(stream, found)
                case Kind.NRRD | Kind.METAIMAGE:
                    return itk_image.read_header(stream, found)
                case Kind.PNG | Kind.JPEG | Kind.TIFF | Kind.BMP | Kind.JPEG2000:
                    return raster.read_header(stream, found)
        if kind is Kind.OTHER:
            raise unread(head) or Rejected(_by_name(found.name))
        raise Rejected(REFUSED_KINDS[kind])
    except (
        Exception
    ) as error:  # what a reader did not foresee is this file's alone, and is counted as that
        rejected = error if isinstance(error, Rejected) else not_decodable(error)
        shown = "dicom" if kind is Kind.BARE_DICOM else str(kind)
        if found.named:
            return Reject(
                found.name,
                shown,
                rejected.reason,
                "",
                found.named.series,
                found.named.instance,
                sop_class=found.named.sop_class,
            )
        return Reject(
            found.name,
            shown,
            rejected.reason,
            rejected.found,
            rejected.series,
            rejected.instance,
            rejected.parts,
            sop_class=rejected.sop_class,
        )


def _by_name(name: str) -> str:
    """The reason for a file that holds nothing that is known."""
    return (
        "not_what_its_name_says"
        if named_like_an_image(name)
        else "no_header"
        if named_like_voxels(name)
        else "not_an_image"
    )


def _setting_problems(name: str, site: Site, convert: Convert) -> list[Problem]:
    """What is wrong with settings that only readers can tell."""
    where, match = f"sites/{name}.yaml", site.labels.match
    modalities = {
        f"{where} modality": site.modality,
        **{f"{where} crop.{at}.modality": rule.modality for at, rule in enumerate(site.crop)},
        **{
            f"params.yaml convert.intensity.{key}": key
            for key in convert.intensity
            if key != OTHERS
        },
    }
    problems = [
        Problem(setting, value, f"one of {', '.join(sorted(MODALITIES))}", "correct the setting")
        for setting, value in modalities.items()
        if value is not None and value not in MODALITIES
    ]
    problems += [
        Problem(
            f"params.yaml convert.intensity.{key}.units",
            how.units,
            f"one of {', '.join(KNOWN)}",
            "correct the setting",
        )
        for key, how in convert.intensity.items()
        if how.units not in (None, *KNOWN)
    ]
    if match not in (BY_FILE, BY_FOLDER, BY_ARRAY):
        try:
            keyword_of(match)
        except ValueError as why:
            need = f"{BY_FILE}, {BY_FOLDER}, {BY_ARRAY}, or a DICOM keyword or tag of text or a whole number"
            problems.append(
                Problem(f"{where} labels.match", f"{match}, {why}", need, "correct the setting")
            )
    return problems


def _read_files(
    root: Path, name: str, site: Site, convert: Convert
) -> tuple[list[Found], list[ImageFile | Reject], LabelTable]:
    """An export's files, what each is, and the labels table among them. Raises Refusal."""
    table = read_labels(table_content(root, name, site), f"{name} {site.labels.file}", site)
    files = walk(root)
    examine_some = partial(examine_all, asked=asked_of(site.labels))
    outcomes = in_order(examine_some, files, convert.workers, scheduler=convert.scheduler)
    examined = list(track(outcomes, f"{name}: reading headers", total=len(files)))
    return files, join_parts(files, examined), table


def table_content(root: Path, name: str, site: Site) -> bytes:
    """The labels table, from within the export: DVC watches nothing else, so a table elsewhere could change unseen. Raises Refusal."""
    where = f"{name} {site.labels.file}"
    root = root.resolve()
    path = root / site.labels.file
    if path.is_file() and path.resolve().is_relative_to(root):
        return path.read_bytes()
    inside = [found for found in walk(root) if one_text(found.name) == site.labels.file]
    if not inside:
        raise Refusal(
            Problem(
                where,
                "no such file in the export",
                "a CSV file under the site's root",
                "correct labels.file, or make root a folder that holds the images and the table",
            )
        )
    try:
        with opened(inside[0]) as stream:
            return read_all(stream)
    except Rejected as rejected:
        raise Refusal(
            Problem(where, rejected.reason.replace("_", " "), "a CSV file", "send it again")
        ) from None


class Maker(Protocol):
    """Makes the record of files that belong together. Raises Rejected where that takes what they lack, such as a label."""

    def label(self, files: Iterable[ImageFile], rows: dict[str, Row]) -> Row | None: ...

    def __call__(
        self,
        files: tuple[ImageFile, ...],
        rows: dict[str, Row],
        facts: Facts,
        volume: Volume | None = None,
    ) -> Planned: ...


def _plan_images(
    images: list[ImageFile], rows: dict[str, Row], make: Maker
) -> tuple[list[Planned], list[Reject]]:
    """Every image file is a record."""
    plans: list[Planned] = []
    rejects: list[Reject] = []
    for image in images:
        try:
            if image.header.is_volume:
                raise Rejected("is_a_volume")
            plans.append(make((image,), rows, image.header.facts))
        except Rejected as rejected:
            rejects += reject_all([image], rejected.reason, rejected.found)
    return plans, rejects


def plan_volumes(
    images: list[ImageFile],
    rows: dict[str, Row],
    broken: list[Reject],
    make: Maker,
    each: bool,
    straightened: bool,
) -> tuple[list[Planned], list[Reject]]:
    """Every volume of a DICOM series or another file is a record.

    `each`: also later echoes and time points; `straightened`: tilted stacks are brought onto a straight grid.

    A multi-frame file has a reject for each of its frames that are not used.
    """
    plans = []
    slices = [single for image in images for single in image.slices]
    flat = [
        image for image in slices if image.header.place == NOWHERE and not image.header.is_volume
    ]
    rejects = reject_all(flat, "not_a_volume")
    groups, unfit = group_slices(image for image in slices if image.header.place != NOWHERE)
    rejects += unfit
    whole = {
        image.identity.elements.get("SOPInstanceUID") for image in images
    }  # a broken copy of a whole slice is no loss
    losses = [reject for reject in broken if reject.image and reject.instance not in whole]
    broken_series: dict[str, set[str]] = defaultdict(
        set
    )  # series -> the SOP classes of what it lost
    for reject in losses:
        broken_series[reject.series].add(reject.sop_class)
    broken_folders = {
        reject.name.rpartition("/")[0]
        for reject in losses
        if not reject.series and _may_be_a_slice(reject)
    }

    volumes: list[Group] = []
    for group in groups:
        try:
            make.label(
                group.slices, rows
            )  # an unlabelled series is left out for that reason, whatever else is wrong with it
            if _lacks_a_slice(group.slices[0], broken_series):
                raise Rejected("sibling_rejected")
            first, *later = split_repeats(group.slices)
        except Rejected as rejected:
            rejects += reject_all(group.slices, rejected.reason, rejected.found)
            continue
        volumes += [replace(group, slices=part) for part in ([first, *later] if each else [first])]
        rejects += reject_all(
            [image for part in later if not each for image in part], "later_repeat"
        )
    for volume in volumes:
        try:
            made, again = make_volume(
                volume,
                any(image.identity.found.folder in broken_folders for image in volume.slices),
                straightened,
            )
            rejects += again
            plans.append(
                make(
                    made.files,
                    rows,
                    replace(made.files[0].header.facts, spacing=made.spacing),
                    made,
                )
            )
        except Rejected as rejected:
            rejects += reject_all(volume.slices, rejected.reason, rejected.found)
    for image in slices:
        if image.header.is_volume and image.header.frame and not each:
            rejects += reject_all([image], "later_repeat")
        elif image.header.is_volume:
            try:
                plans.append(make((image,), rows, image.header.facts))
            except Rejected as rejected:
                rejects += reject_all([image], rejected.reason, rejected.found)
    return plans, rejects


def _may_be_a_slice(reject: Reject) -> bool:
    """Whether a file that does not say its series may be a slice of one beside it: no other format, by content or by name."""
    other = reject.reason in NO_SLICES or named_like_another_format(reject.name)
    return reject.kind in MAY_BE_A_SLICE and not is_dicomdir(reject.name) and not other


def _lacks_a_slice(image: ImageFile, broken_series: dict[str, set[str]]) -> bool:
    """Whether what the image's series lost may have been a slice beside it: a volume is of one SOP class."""
    lost = broken_series.get(image.identity.elements["SeriesInstanceUID"], set())
    return bool(lost & {"", image.identity.elements["SOPClassUID"]})


def describe(
    keys: Keys, files: tuple[ImageFile, ...], facts: Facts, volume: Volume | None
) -> dict[str, object]:
    """The fields of a record that no label is needed for; identifiers as keyed hashes."""
    first = files[0]
    return {
        "record": keys.record("\n".join(sorted(image.source for image in files))),
        "study": keys.study(first.identity.elements.get("StudyInstanceUID") or first.source),
        "series": keys.series(first.identity.elements.get("SeriesInstanceUID") or first.source),
        "age": facts.age,
        "sex": facts.sex,
        "study_year": facts.study_year,
        "modality": facts.modality,
        "manufacturer": facts.manufacturer,
        "model": facts.model,
        "spacing": None
        if facts.spacing is None
        else "x".join(f"{size:g}" for size in np.round(facts.spacing, 4)),
        "transfer_syntax": facts.transfer_syntax,
        "photometric": facts.photometric,
        "units": facts.units,
        "slices": len(files)
        if volume
        else first.header.shape[0]
        if len(first.header.shape) == 3
        else 1,
        "tilt": None if volume is None or volume.tilt is None else round(volume.tilt, 2),
    }


@dataclass(frozen=True)
class _Maker:
    """Makes a record's row, where every identifier is a keyed hash."""

    name: str
    site: Site
    keys: Keys
    table: LabelTable

    def __call__(
        self,
        files: tuple[ImageFile, ...],
        rows: dict[str, Row],
        facts: Facts,
        volume: Volume | None = None,
    ) -> Planned:
        """Raises Rejected where the label or the patient cannot be told."""
        row = self.label(files, rows)
        told = describe(self.keys, files, facts, volume)
        return Planned(
            told["record"],
            files,
            told
            | {
                "site": self.name,
                "task": self.site.task,
                "label": row.label,
                "patient": self.keys.patient(self._patient(files[0], row)),
                "age": facts.age if row.age is None else row.age,
                "sex": facts.sex if row.sex is None else row.sex,
            },
            volume.affine if volume else None,
            facts.spacing,
            volume.lean if volume else STRAIGHT,
        )

    def label(self, files: Iterable[ImageFile], rows: dict[str, Row]) -> Row:
        """The one row of a record's files. Raises Rejected."""
        found = [
            rows[image.identity.found.name] for image in files if image.identity.found.name in rows
        ]
        if not found:
            raise Rejected("no_label")
        if len({(row.label, row.patient) for row in found}) > 1:
            raise Rejected("conflicting_labels")
        if found[0].label is None:
            raise Rejected("label_ignored")
        return found[0]

    def patient(self, image: ImageFile, rows: dict[str, Row]) -> str | None:
        """The patient's key, of an image that may have no row; None where it cannot be told."""
        row = rows.get(image.identity.found.name)
        try:
            return (
                None
                if row is None and self.table.patient_column
                else self.keys.patient(self._patient(image, row))
            )
        except Rejected:
            return None

    def _patient(self, image: ImageFile, row: Row | None) -> str:
        """Raises Rejected where nothing tells whose it is."""
        value = patient_of(image, row, self.table, self.site.labels)
        if not value:
            raise Rejected("no_patient")
        return value


def count(values: Iterable[object]) -> dict[str, int]:
    """How often each value occurs, sorted."""
    return dict(sorted(Counter(map(str, values)).items()))
