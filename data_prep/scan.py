"""What an export holds, by headers and labels alone: the records it would make, and the files that
it would not use.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from data_prep.decode import Planned
from data_prep.exports.copies import drop_copies
from data_prep.exports.incoming import incoming_link
from data_prep.exports.parts import join_parts
from data_prep.exports.siblings import namespace_problems, role_problems
from data_prep.exports.sources import Found, opened, read_all
from data_prep.exports.unhashable import unhashable
from data_prep.exports.walk import walk
from data_prep.index import Seen, look_up
from data_prep.labelled import Labelled
from data_prep.plan import plan_images, plan_volumes
from data_prep.privacy import burned_in
from data_prep.privacy.deidentify import MODALITIES, Keys, read_secret
from data_prep.privacy.elements import asked_of, keyword_of
from data_prep.privacy.same_value import one_text
from data_prep.readers.dicom.units import KNOWN
from data_prep.readers.examine import examine_all
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Reject, Rejected, left_out, one_a_file
from data_prep.running.parallel import in_order
from data_prep.settings import OTHERS, Convert, Params
from data_prep.site_file import Site, resolve_root
from data_prep.targets.arrays import read_arrays
from data_prep.targets.labels import BY_ARRAY, BY_FILE, BY_FOLDER, LabelTable, Row, read_labels
from data_prep.targets.matching import Matched, match_images
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.progress import track


@dataclass(frozen=True)
class ScanResult:
    """An export after its headers were read.

    `plans` are sorted by record key. Nothing of it is written as it stands.
    """

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

    `root`: of the export; by default the workspace's incoming folder. `secret`: by default the
    workspace's, made on first use; with a deidentify.new_secret() nothing is written.
    """
    refuse_if(_problems(workspace, name, site, params))
    root = root or incoming_root(workspace, name, site)
    keys = Keys(secret or read_secret(workspace), name, site.patient_namespace or name)
    if site.labels.match == BY_ARRAY:
        files, examined, table = read_arrays(root, name, site)
    else:
        files, examined, table = _read_files(root, name, site, params.convert)
    examined, idle_rules = burned_in.as_set(examined, site)
    images = [item for item in examined if isinstance(item, ImageFile)]
    rejects = [item for item in examined if isinstance(item, Reject)]
    where = f"{name} {site.labels.file or BY_ARRAY}"
    matched = match_images(images, rejects, table, site.labels, where)
    convert = params.convert
    images, again = drop_copies(images, matched.rows, convert.workers, convert.scheduler)
    rejects += again
    make = Labelled(name, site, keys, table)
    plans, unplanned = _plan(images, matched.rows, rejects, make, convert)
    rejects += unplanned
    used = _names(image for plan in plans for image in plan.files)
    unlabelled = len(_names(images) - matched.rows.keys())
    return ScanResult(
        name,
        site,
        convert,
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


def _names(images: Iterable[ImageFile]) -> set[str]:
    return {image.identity.found.name for image in images}


def _plan(
    images: list[ImageFile],
    rows: dict[str, Row],
    rejects: list[Reject],
    make: Labelled,
    convert: Convert,
) -> tuple[list[Planned], list[Reject]]:
    if len(convert.size) == 2:
        return plan_images(images, rows, make)
    each, straightened = convert.repeats == "each", convert.tilt == "resample"
    return plan_volumes(images, rows, rejects, make, each, straightened)


def locate(workspace: Workspace, name: str, site: Site, file_hash: str) -> list[str]:
    """The paths that a hash in rejects.csv stands for.

    They may hold patients' ids: only for the terminal of who may see them.
    """
    keys = Keys(read_secret(workspace), name, site.patient_namespace or name)
    root = export_root(workspace, name, site)
    if site.labels.match != BY_ARRAY and (
        names := [file for file, _ in unhashable(root) if keys.file(file) == file_hash]
    ):
        return names  # first, since some of these are no files, or stop a walk
    files = read_arrays(root, name, site)[0] if site.labels.match == BY_ARRAY else walk(root)
    return [found.name for found in files if keys.file(found.name) == file_hash]


def incoming_root(workspace: Workspace, name: str, site: Site) -> Path:
    """Where a site's export lies.

    Raises Refusal, also where the link leads elsewhere than the site's root does today.
    """
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


def _problems(workspace: Workspace, name: str, site: Site, params: Params) -> list[Problem]:
    problems = _setting_problems(name, site, params.convert)
    problems += namespace_problems(workspace, name, site, params)
    role = params.sites.get(name)  # none yet of a site that is only looked at
    return problems + (role_problems(workspace, name, site, params, role) if role else [])


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
    units = {
        f"params.yaml convert.intensity.{key}.units": how.units
        for key, how in convert.intensity.items()
    }
    problems += [
        Problem(setting, value, f"one of {', '.join(KNOWN)}", "correct the setting")
        for setting, value in units.items()
        if value is not None and value not in KNOWN
    ]
    if match not in (BY_FILE, BY_FOLDER, BY_ARRAY):
        try:
            keyword_of(match)
        except ValueError as why:
            need = (
                f"{BY_FILE}, {BY_FOLDER}, {BY_ARRAY}, or a DICOM keyword or tag of text or a whole "
                "number"
            )
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
    """The labels table, from within the export. Raises Refusal.

    DVC watches nothing else, so a table elsewhere could change unseen.
    """
    table = site.labels.file or ""  # only a site whose labels are an array's has none
    where = f"{name} {table}"
    root = root.resolve()
    path = root / table
    if path.is_file() and path.resolve().is_relative_to(root):
        return path.read_bytes()
    inside = [found for found in walk(root) if one_text(found.name) == table]
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


def count(values: Iterable[object]) -> dict[str, int]:
    """How often each value occurs, sorted."""
    return dict(sorted(Counter(map(str, values)).items()))
