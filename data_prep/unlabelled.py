"""What lies under a path without labels: each volume, echo and time point, and each image that is
part of none.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.decode import Planned
from data_prep.exports.archives import is_archive
from data_prep.exports.copies import drop_copies
from data_prep.exports.dicomdir import is_dicomdir
from data_prep.exports.parts import Beside, join_parts
from data_prep.exports.sources import Found
from data_prep.exports.walk import walk
from data_prep.plan import describe, plan_volumes
from data_prep.privacy.deidentify import Keys
from data_prep.readers.examine import examine, examine_all
from data_prep.readers.image_file import Facts, ImageFile
from data_prep.rejects import Reject
from data_prep.running.parallel import in_order
from data_prep.targets.labels import Row
from data_prep.volumes.series import Volume
from workspace.progress import track

NO_SITE = ""  # no site has this name, so that hashes of a path are those of no site
NO_VOLUME = ("not_a_volume", "localizer")  # sound images that only a volume cannot take


def path_keys(secret: str) -> Keys:
    return Keys(secret, NO_SITE, NO_SITE)


def files_under(path: Path) -> list[Found]:
    """What `walk` gives, or one image file with its data files. Raises Refusal."""
    if is_dicomdir(path.name):
        path = path.parent
    path = path.resolve()
    if path.is_file():
        found = Found(path.name, path, path.stat().st_size)
        item = None if is_archive(found) else examine(found)
        if isinstance(item, ImageFile) or (item is not None and item.image):
            folders = {(path.parent / part).parent for part in item.parts}
            beside = Beside(
                Found(str(file.relative_to(path.parent)), file, file.stat().st_size)
                for folder in folders
                if folder.is_dir()
                for file in sorted(folder.iterdir())
                if file.is_file()
            )
            return [
                found,
                *dict.fromkeys(data for part in item.parts if (data := beside.find(part))),
            ]
    return walk(path)


def plan_all(
    files: list[Found], keys: Keys, straightened: bool = False
) -> tuple[list[Planned], list[Reject]]:
    """The records that `files` make, whatever their dimensions, and why the others make none: a
    reject a file or frame.

    `straightened`: tilted stacks are brought onto a straight grid.
    """
    examined = join_parts(
        files,
        list(track(in_order(examine_all, files, workers=0), "reading headers", total=len(files))),
    )
    images, again = drop_copies([item for item in examined if isinstance(item, ImageFile)])
    broken = [item for item in examined if isinstance(item, Reject)] + again
    slices = [single for image in images for single in image.slices]
    stacks = {
        _series(image)
        for image in slices
        if image.header.place.position or image.header.place.orientation
    }
    make = _Unlabelled(keys)
    plans, refused = plan_volumes(
        [image for image in slices if len(image.header.shape) == 3 or _series(image) in stacks],
        {},
        broken,
        make,
        each=True,
        straightened=straightened,
    )
    alone = {(reject.name, reject.frame) for reject in refused if reject.reason in NO_VOLUME}
    plans += [
        make((image,), {}, image.header.facts)
        for image in slices
        if (image.identity.found.name, image.header.frame) in alone
        or (len(image.header.shape) == 2 and _series(image) not in stacks)
    ]
    return _numbered(plans), broken + [
        reject for reject in refused if (reject.name, reject.frame) not in alone
    ]


@dataclass(frozen=True)
class _Unlabelled:
    """Makes records that need no label."""

    keys: Keys

    def label(self, files: Iterable[ImageFile], rows: dict[str, Row]) -> None:
        return None

    def __call__(
        self,
        files: tuple[ImageFile, ...],
        rows: dict[str, Row],
        facts: Facts,
        volume: Volume | None = None,
    ) -> Planned:
        told = describe(self.keys, files, facts, volume)
        patient = self.keys.patient(
            files[0].identity.elements.get("PatientID") or files[0].identity.found.name
        )
        row = told | {"patient": patient}
        return (
            Planned(told["record"], files, row, volume.affine, lean=volume.lean)
            if volume
            else Planned(told["record"], files, row)
        )


def _numbered(plans: list[Planned]) -> list[Planned]:
    """`plans` with the how-manieth of its series each is."""
    so_far: Counter[object] = Counter()
    numbered = []
    for plan in plans:
        so_far[plan.row["series"]] += 1
        numbered.append(replace(plan, row=plan.row | {"number": so_far[plan.row["series"]]}))
    return numbered


def _series(image: ImageFile) -> str:
    return image.identity.elements.get("SeriesInstanceUID", "")
