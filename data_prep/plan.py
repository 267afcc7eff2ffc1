"""Which records an export's images make: one each, or volumes of their slices."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from data_prep.decode import Planned
from data_prep.exports.dicomdir import is_dicomdir
from data_prep.exports.kinds import Kind
from data_prep.exports.unread import NO_SLICES
from data_prep.privacy.deidentify import Keys
from data_prep.readers.dicom_file import KIND as DICOM
from data_prep.readers.image_file import NOWHERE, Facts, ImageFile
from data_prep.readers.names import named_like_another_format
from data_prep.rejects import Reject, Rejected
from data_prep.targets.labels import Row
from data_prep.volumes.series import (
    Group,
    Volume,
    group_slices,
    make_volume,
    reject_all,
    split_repeats,
)

# What a file may be that is a slice without saying of which series; other formats are none.
MAY_BE_A_SLICE = frozenset({DICOM, *Kind})


class Maker(Protocol):
    """Makes the record of files that belong together.

    Raises Rejected where that takes what they lack, such as a label.
    """

    def label(self, files: Iterable[ImageFile], rows: dict[str, Row]) -> Row | None: ...

    def __call__(
        self,
        files: tuple[ImageFile, ...],
        rows: dict[str, Row],
        facts: Facts,
        volume: Volume | None = None,
    ) -> Planned: ...


def plan_images(
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

    `each`: also later echoes and time points; `straightened`: tilted stacks are brought onto a
    straight grid. A multi-frame file has a reject for each of its frames that are not used.
    """
    slices = [single for image in images for single in image.slices]
    lost = _losses(images, broken)
    singles = [image for image in slices if image.header.place == NOWHERE]
    rejects = reject_all([image for image in singles if not image.header.is_volume], "not_a_volume")
    groups, unfit = group_slices(image for image in slices if image.header.place != NOWHERE)
    volumes, left = _volumes_in(groups, rows, lost, make, each)
    plans, wrong = _made(volumes, rows, lost, make, straightened)
    whole, later = _whole_files(singles, rows, make, each)
    return plans + whole, rejects + unfit + left + wrong + later


@dataclass(frozen=True)
class _Losses:
    """What an export lost.

    `series`: of each, the SOP classes of what it lost; `folders`: of others.
    """

    series: dict[str, set[str]]
    folders: set[str]

    def lacks_a_slice(self, image: ImageFile) -> bool:
        """Whether what the image's series lost may have been a slice beside it.

        A volume is of one SOP class.
        """
        lost = self.series.get(image.identity.elements["SeriesInstanceUID"], set())
        return bool(lost & {"", image.identity.elements["SOPClassUID"]})

    def nearby(self, volume: Group) -> bool:
        """Whether a broken file beside the volume's may have been one of its slices."""
        return any(image.identity.found.folder in self.folders for image in volume.slices)


def _losses(images: list[ImageFile], broken: list[Reject]) -> _Losses:
    # A broken copy of a whole slice is no loss.
    whole = {image.identity.elements.get("SOPInstanceUID") for image in images}
    losses = [reject for reject in broken if reject.image and reject.instance not in whole]
    series: dict[str, set[str]] = defaultdict(set)
    for reject in losses:
        series[reject.series].add(reject.sop_class)
    unknown = [reject for reject in losses if not reject.series and _may_be_a_slice(reject)]
    return _Losses(series, {reject.name.rpartition("/")[0] for reject in unknown})


def _may_be_a_slice(reject: Reject) -> bool:
    """Whether a file that does not say its series may be a slice of one beside it.

    It is of no other format, by content or by name.
    """
    other = reject.reason in NO_SLICES or named_like_another_format(reject.name)
    return reject.kind in MAY_BE_A_SLICE and not is_dicomdir(reject.name) and not other


def _volumes_in(
    groups: list[Group], rows: dict[str, Row], lost: _Losses, make: Maker, each: bool
) -> tuple[list[Group], list[Reject]]:
    """Groups of slices -> those of one volume each."""
    volumes: list[Group] = []
    rejects: list[Reject] = []
    for group in groups:
        try:
            # An unlabelled series is left out for that reason, whatever else is wrong with it.
            make.label(group.slices, rows)
            if lost.lacks_a_slice(group.slices[0]):
                raise Rejected("sibling_rejected")
            parts = split_repeats(group.slices)
        except Rejected as rejected:
            rejects += reject_all(group.slices, rejected.reason, rejected.found)
            continue
        used = parts if each else parts[:1]
        volumes += [replace(group, slices=part) for part in used]
        for part in parts[len(used) :]:
            rejects += reject_all(part, "later_repeat")
    return volumes, rejects


def _made(
    volumes: list[Group], rows: dict[str, Row], lost: _Losses, make: Maker, straightened: bool
) -> tuple[list[Planned], list[Reject]]:
    """The records of volumes of slices."""
    plans: list[Planned] = []
    rejects: list[Reject] = []
    for volume in volumes:
        try:
            made, again = make_volume(volume, lost.nearby(volume), straightened)
            rejects += again
            facts = replace(made.files[0].header.facts, spacing=made.spacing)
            plans.append(make(made.files, rows, facts, made))
        except Rejected as rejected:
            rejects += reject_all(volume.slices, rejected.reason, rejected.found)
    return plans, rejects


def _whole_files(
    images: list[ImageFile], rows: dict[str, Row], make: Maker, each: bool
) -> tuple[list[Planned], list[Reject]]:
    """The records of files that hold a volume, or several."""
    plans: list[Planned] = []
    rejects: list[Reject] = []
    for image in (image for image in images if image.header.is_volume):
        if image.header.frame and not each:
            rejects += reject_all([image], "later_repeat")
            continue
        try:
            plans.append(make((image,), rows, image.header.facts))
        except Rejected as rejected:
            rejects += reject_all([image], rejected.reason, rejected.found)
    return plans, rejects


def describe(
    keys: Keys, files: tuple[ImageFile, ...], facts: Facts, volume: Volume | None
) -> dict[str, Any]:
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
