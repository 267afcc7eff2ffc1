"""Files that share a SOP Instance UID: copies of one image where they agree in pixels, place, units
and patient, else a UID that says nothing.

PS3.3 C.12.1.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from filecmp import cmp

import numpy as np

from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.readers.registry import read_pixels
from data_prep.rejects import Reject, Rejected
from data_prep.running.parallel import in_order
from data_prep.settings import LOCAL
from data_prep.volumes.series import reject_all

SAME_MM = 0.01  # of positions that are written with other digits


def drop_copies(
    images: list[ImageFile],
    labelled: Collection[str] = (),
    workers: int = 0,
    scheduler: str = LOCAL,
) -> tuple[list[ImageFile], list[Reject]]:
    """One file for each SOP Instance UID, and rejects for the others; none of images that differ
    and have one UID.

    Of copies one with a label goes before others (`labelled`: names), then the largest that is
    whole, then the first by name. Only files that share a UID are decoded.
    """
    groups: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        if sop := image.identity.elements.get("SOPInstanceUID"):
            groups[sop].append(image)
    shared = [
        sorted(
            group,
            key=lambda image: (
                image.identity.found.name not in labelled,
                -image.identity.found.size,
            ),
        )
        for group in groups.values()
        if len(group) > 1
    ]
    rejects: list[Reject] = []
    for group, kept in zip(
        shared, in_order(_choose_all, shared, workers, scheduler=scheduler), strict=True
    ):
        if kept is None:
            rejects += reject_all(group, "one_uid_several_images")
        else:
            rejects += reject_all(group[:kept] + group[kept + 1 :], "duplicate_instance")
    gone = {reject.name for reject in rejects}
    return [image for image in images if image.identity.found.name not in gone], rejects


def _choose_all(groups: list[list[ImageFile]]) -> list[int | None]:
    return [_choose(group) for group in groups]


def _choose(group: list[ImageFile]) -> int | None:
    """Which of files with one UID is used: the first that decodes, if all that decode show the
    same; else None.
    """
    others = [at for at in range(1, len(group)) if not _same_bytes(group[0], group[at])]
    if (
        len({patient for image in group if (patient := image.identity.elements.get("PatientID"))})
        > 1
    ):
        return None
    chosen, known = 0, None
    for at in [0, *others] if others else []:
        try:
            shown = _shown(group[at])
        except Rejected:  # a damaged copy of a whole one is no other image
            continue
        if known is None:
            chosen, known = at, shown
        elif not (_same_meaning(group[chosen], group[at]) and _equal(known, shown)):
            return None
    return chosen


def _shown(image: ImageFile) -> list[Pixels]:
    """What each of a file's slices shows. Raises Rejected."""
    return read_pixels(image.slices)


def _equal(one: Sequence[Pixels], other: Sequence[Pixels]) -> bool:
    """Whether both show the same, in the same sense: black and white are not exchanged."""
    return len(one) == len(other) and all(
        mine.inverted == its.inverted and np.array_equal(mine.values, its.values)
        for mine, its in zip(one, other, strict=True)
    )


def _same_bytes(one: ImageFile, other: ImageFile) -> bool:
    """Whether two files on disk are copies byte for byte, which takes no decoding."""
    if (
        one.identity.found.member is not None
        or other.identity.found.member is not None
        or one.identity.found.size != other.identity.found.size
    ):
        return False
    try:
        return cmp(one.identity.found.path, other.identity.found.path, shallow=False)
    except OSError:  # decoding says why
        return False


def _same_meaning(one: ImageFile, other: ImageFile) -> bool:
    """Whether what both say of where they lie, how large their pixels are and what their values are
    in agrees.
    """
    for first, second in zip(one.slices, other.slices, strict=False):
        if first.header.facts.units != second.header.facts.units:
            return False
        for mine, its in (
            (first.header.place.position, second.header.place.position),
            (first.header.place.orientation, second.header.place.orientation),
            (first.header.facts.spacing, second.header.facts.spacing),
        ):
            if mine and its and not np.allclose(mine, its, rtol=0, atol=SAME_MM):
                return False
    return True
