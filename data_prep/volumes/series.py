"""DICOM slices -> volumes: ordered by position on the slice normal, refused where anything does not
fit (PS3.3 C.7.6.2).
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from data_prep.exports.sources import opened
from data_prep.readers.dicom.comparable import reverses_rows
from data_prep.readers.dicom.file import PARTS
from data_prep.readers.image_file import ImageFile
from data_prep.readers.registry import read_pixels
from data_prep.rejects import Reject, Rejected
from data_prep.volumes import stacks
from data_prep.volumes.crop import cut
from data_prep.volumes.orientation import LPS_TO_RAS, common_shape, common_spacing
from data_prep.volumes.tilt import STRAIGHT, Lean, degrees, leans, straight, straight_shape

SAME_DIRECTION = 1e-3  # per cosine: scanners' rounding is 1e-5, a new scan plane is 1e-2 or more
UNIT_TOLERANCE = 1e-3  # of the axes' length and right angle; six-digit cosines keep 1e-6
# Of the mean step: above rounded positions (0.01 mm of 0.6), far below a missing slice (1.0).
SPACING_TOLERANCE = 0.02
PERPENDICULAR_TOLERANCE = 1e-3  # highdicom's: 1 - cosine, 2.6 degrees
# Of the mean step: how far a slice may lie off an even grid when small differences of steps add up.
GRID_TOLERANCE = 0.05
SAME_PIXEL_SIZE = 1e-3  # relative


@dataclass(frozen=True)
class Volume:
    """Slices in order along their normal.

    `affine`: (column, row, slice) -> mm, RAS, of the straight grid where the slices lean.

    `shape` and `spacing` (mm): of slices, rows and columns in the common order.
    """

    files: tuple[ImageFile, ...]
    affine: np.ndarray
    lean: Lean = STRAIGHT

    @property
    def shape(self) -> tuple[int, ...]:
        rows, columns = self.files[0].header.kept_shape
        return common_shape(
            straight_shape((columns, rows, len(self.files)), self.lean), self.affine
        )

    @property
    def tilt(self) -> float | None:
        """Degrees that its slices are sheared back by; None where they lie straight."""
        return None if self.lean == STRAIGHT else degrees(self.affine, self.lean)

    @property
    def spacing(self) -> tuple[float, ...]:
        return common_spacing(self.affine)


@dataclass(frozen=True)
class Group:
    """Slices of one series, stack and orientation.

    `of`: how many the whole series has; `originals`: of these, those not derived; `alike`: those
    whose values mean the same, by that meaning.
    """

    slices: list[ImageFile]
    of: int
    originals: int
    alike: Counter[tuple[Hashable, ...]]


def group_slices(images: Iterable[ImageFile]) -> tuple[list[Group], list[Reject]]:
    """Slices that lie in parallel planes of one series.

    Localizers and mixed series are rejected.
    """
    by_series: dict[str, list[ImageFile]] = defaultdict(list)
    groups: list[Group] = []
    rejects: list[Reject] = []
    for image in images:
        by_series[image.identity.series].append(image)
    for series in sorted(by_series):
        slices = by_series[series]
        if not series:
            rejects += reject_all(slices, "no_series")
        elif len({image.identity.elements.get("PatientID") for image in slices}) > 1:
            rejects += reject_all(slices, "mixed_patients")
        else:
            some, unfit = _groups_of(slices)
            groups += some
            rejects += unfit
    return groups, rejects


def _groups_of(slices: list[ImageFile]) -> tuple[list[Group], list[Reject]]:
    """The same of one series."""
    torn = _torn(slices)
    lost = [image for image in slices if image.identity.found.name in torn]
    whole = [image for image in slices if image.identity.found.name not in torn]
    localizers = [image for image in whole if image.header.place.localizer]
    rejects = reject_all(lost, "missing_slice", "an object in several files that lacks some")
    rejects += reject_all(localizers, "localizer")
    originals = sum(not stacks.is_derived(image) for image in slices)
    alike = Counter(image.header.place.meaning for image in slices)
    stacked: dict[tuple[str, str], list[ImageFile]] = {_stack(image): [] for image in whole}
    for image in whole:
        if not image.header.place.localizer:
            stacked[_stack(image)].append(image)
    groups = []
    for stack in sorted(stacked):
        placed, captures = _without_captures(stacked[stack])
        parts = [part for group in _by_orientation(placed) for part in _without_derived(group)]
        groups += [Group(part, len(slices), originals, alike) for part in [*parts, *captures]]
    return groups, rejects


def _stack(image: ImageFile) -> tuple[str, str]:
    """What parts a series before any place is looked at: a volume is of one stack and one SOP
    class.
    """
    return image.header.place.stack, image.identity.elements.get("SOPClassUID", "")


def _torn(slices: list[ImageFile]) -> set[str]:
    """The files of concatenations of which a part is not there (PS3.3 C.7.6.16.2.2.4).

    How many there are need not be stated.
    """
    numbers: dict[str, set[int]] = defaultdict(set)
    files: dict[str, set[str]] = defaultdict(set)
    total: dict[str, int] = {}
    for image in slices:
        whole, number, of = (image.identity.elements.get(keyword, "") for keyword in PARTS)
        if whole and number.isdigit():
            numbers[whole].add(int(number))
            files[whole].add(image.identity.found.name)
            total[whole] = max(total.get(whole, 0), int(number), int(of) if of.isdigit() else 0)
    return {name for whole in files if len(numbers[whole]) < total[whole] for name in files[whole]}


def split_repeats(slices: list[ImageFile]) -> list[list[ImageFile]]:
    """One list a volume, the first one first: image types, echoes, weightings and time points that
    lie at the same places.

    Slices that nothing parts stay in one list. Raises Rejected where one volume may be in two
    pieces.
    """
    if not all(image.header.place.known for image in slices):
        return [slices]
    normal = _normal(slices)
    volumes = stacks.split(slices, normal)
    copied = stacks.only_numbered_apart(volumes) and _show_the_same(volumes[0], volumes[1], normal)
    return [slices] if copied else volumes


def make_volume(
    group: Group, broken_nearby: bool, straightened: bool = False
) -> tuple[Volume, list[Reject]]:
    """Order slices into a volume; slices that are there twice are rejected.

    `broken_nearby`: a broken file may be one of them; `straightened`: a tilted stack is brought
    onto a straight grid.

    Raises Rejected, which then holds for every slice.
    """
    pixel = _pixel_of(group.slices)
    slices, duplicates = _drop_same(group.slices, _normal(group.slices))
    if len(slices) < stacks.FEWEST_SLICES:
        raise Rejected("not_a_volume", f"{len(slices)} slices")
    positions = stacks.positions(slices)
    orientation = _mean_orientation(slices)
    order, tilted = _order(positions, orientation, min(pixel), straightened)
    stated = max((image.header.place.stated or 0 for image in slices), default=0)
    # Makers differ in whether they state the slices of one volume, of all that show the same, or
    # of all, and whether derived images count.
    whole = (group.of, group.originals, group.alike[group.slices[0].header.place.meaning])
    if len(slices) < stated and stated not in whole:
        raise Rejected("missing_slice", f"{len(slices)} slices of {stated} that the header states")
    if broken_nearby and stated not in (len(slices), *whole):
        raise Rejected("maybe_incomplete")
    ordered = tuple(slices[place] for place in order)
    if _may_reverse_rows(ordered[0]):
        ordered = tuple(map(_with_reversed_rows, ordered))
    step = (positions[order[-1]] - positions[order[0]]) / (len(order) - 1)
    affine = _affine(positions[order[0]], orientation, pixel, step)
    return Volume(ordered, *(straight(affine, len(ordered)) if tilted else (affine,))), duplicates


def _pixel_of(slices: list[ImageFile]) -> tuple[float, ...]:
    """mm between rows and columns, the same in all slices of one volume.

    Raises Rejected where they are none: one lacks its place, or they differ in what must be equal.
    """
    if not all(image.header.place.known for image in slices):
        raise Rejected("not_a_volume" if len(slices) == 1 else "no_position")
    shapes = {image.header.kept_shape for image in slices}
    if len(shapes) > 1:
        raise Rejected("mixed_matrix", f"{len(shapes)} matrix sizes")
    facts = [image.header.facts for image in slices]
    pixel = facts[0].spacing
    if pixel is None or any(of.spacing is None for of in facts):
        raise Rejected("no_spacing")
    spacings = np.array([of.spacing for of in facts])
    if not np.allclose(spacings, spacings[0], rtol=SAME_PIXEL_SIZE, atol=0):
        raise Rejected("mixed_spacing")
    values: dict[str, set[str | None]] = {
        "PhotometricInterpretation": {of.photometric for of in facts},
        "Modality": {of.modality for of in facts},
    }
    mixed = [name for name, found in values.items() if len(found) > 1]
    if mixed:
        raise Rejected("mixed_values", f"{' and '.join(mixed)} differ")
    return pixel


def _with_reversed_rows(image: ImageFile) -> ImageFile:
    return replace(image, header=replace(image.header, reversed_rows=True))


def slice_affine(image: ImageFile, pixel: tuple[float, ...]) -> np.ndarray | None:
    """(column, row, slice) -> mm, RAS, of one slice by itself, as if it were 1 mm thick.

    None where it does not say how it lies.

    `pixel`: mm between rows and between columns.
    """
    place = image.header.place
    if not place.known:
        return None
    try:
        normal = _normal([image])
    except Rejected:
        return None
    return _affine(np.array(place.position), np.array(place.orientation), pixel, normal)


def _affine(
    position: np.ndarray, orientation: np.ndarray, pixel: tuple[float, ...], step: np.ndarray
) -> np.ndarray:
    """(column, row, slice) -> mm, RAS. `step`: to the next slice, mm, LPS."""
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * pixel[1]  # a step to the next column
    affine[:3, 1] = orientation[3:] * pixel[0]  # a step to the next row
    affine[:3, 2] = step
    affine[:3, 3] = position
    return LPS_TO_RAS @ affine


def reject_all(images: Iterable[ImageFile], reason: str, found: str = "") -> list[Reject]:
    """One reject a file or frame, data files with their headers."""
    return [
        Reject(
            file.name,
            image.header.kind,
            reason,
            found,
            image.identity.series,
            image.identity.instance,
            frame=image.header.frame,
        )
        for image in images
        for file in image.identity.files
    ]


def _by_orientation(slices: list[ImageFile]) -> list[list[ImageFile]]:
    """Slices by orientation, compared with each group's first; those without one stay with the
    first group.
    """
    groups: list[list[ImageFile]] = []
    for image in sorted(
        slices, key=lambda image: (image.header.place.orientation is None, image.source)
    ):
        direction = image.header.place.orientation
        fits = (
            group
            for group in groups
            if direction is None
            or group[0].header.place.orientation is None
            or np.allclose(
                group[0].header.place.orientation, direction, rtol=0, atol=SAME_DIRECTION
            )
        )
        group = next(fits, None)
        if group is None:
            groups.append([image])
        else:
            group.append(image)
    return groups


def _show_the_same(volume: list[ImageFile], other: list[ImageFile], normal: np.ndarray) -> bool:
    """Whether two volumes of the same places are copies."""
    pairs = zip(_along(volume, normal), _along(other, normal), strict=True)
    return all(np.array_equal(_values(one), _values(two)) for one, two in pairs)


def _along(slices: list[ImageFile], normal: np.ndarray) -> list[ImageFile]:
    """In the order of their places on the normal."""
    heights = stacks.positions(slices) @ normal
    return [slices[at] for at in np.argsort(heights, kind="stable")]


def _without_captures(slices: list[ImageFile]) -> tuple[list[ImageFile], list[list[ImageFile]]]:
    """Slices without the derived images that have no place, such as a picture of the screen, if all
    others have one.
    """
    lost = [
        image
        for image in slices
        if image.header.place.position is None and stacks.is_derived(image)
    ]
    placed = [image for image in slices if image not in lost] if lost else slices
    return (
        (placed, [lost])
        if lost and placed and all(image.header.place.position for image in placed)
        else (slices, [])
    )


def _without_derived(slices: list[ImageFile]) -> list[list[ImageFile]]:
    """Originals apart from what was calculated across them, such as a MIP."""
    if not all(image.header.place.known for image in slices):
        return [slices]
    try:
        return stacks.separate(slices, _normal(slices))
    except Rejected:  # make_volume says so, of each group
        return [slices]


def _may_reverse_rows(image: ImageFile) -> bool:
    """Whether a volume's first slice, a file of its own, is of a sequence that reverses rows
    unsaid.
    """
    if image.header.facts.modality != "MR" or image.header.frame is not None:
        return False
    try:
        with opened(image.identity.found) as stream:
            return reverses_rows(stream)
    except Rejected:  # decoding says so
        return False


def _mean_orientation(slices: list[ImageFile]) -> np.ndarray:
    return np.array([image.header.place.orientation for image in slices]).mean(axis=0)


def _normal(slices: list[ImageFile]) -> np.ndarray:
    """The unit vector along which slices are stacked.

    Raises Rejected where their orientation has none.
    """
    orientation = _mean_orientation(slices)
    rows, columns = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(rows), np.linalg.norm(columns)
    if not np.allclose(lengths, 1, atol=UNIT_TOLERANCE) or abs(rows @ columns) > UNIT_TOLERANCE:
        raise Rejected("bad_orientation")
    # Here: processes that decode start sooner without it.
    from highdicom.spatial import get_normal_vector

    return get_normal_vector(orientation.tolist())


def _drop_same(slices: list[ImageFile], normal: np.ndarray) -> tuple[list[ImageFile], list[Reject]]:
    """Keep one of slices with the same position and pixels.

    Raises Rejected where the pixels differ.
    """
    along = stacks.positions(slices) @ normal
    kept: list[ImageFile] = []
    same: list[ImageFile] = []
    last = -np.inf  # where the last that is kept lies
    for at in np.argsort(along, kind="stable"):
        image = slices[at]
        if along[at] - last < stacks.SAME_PLACE:
            if not np.array_equal(_values(image), _values(kept[-1])):
                raise Rejected("duplicate_position", stacks.compared(slices))
            same.append(image)
        else:
            kept.append(image)
            last = along[at]
    return kept, reject_all(
        same, "duplicate_instance", "the same position and pixels as another slice"
    )


def _values(image: ImageFile) -> np.ndarray:
    return cut(read_pixels([image])[0], image).values


def _order(
    positions: np.ndarray, orientation: np.ndarray, pixel: float, straightened: bool
) -> tuple[list[int], bool]:
    """Indices of `positions` in the order of the volume, and whether it is tilted. `pixel`: mm.

    Raises Rejected with what is wrong with its geometry; a tilt alone is nothing wrong where it is
    `straightened`.
    """
    from highdicom.spatial import get_normal_vector, get_volume_positions  # as in _normal

    cosines = orientation.tolist()
    normal = get_normal_vector(cosines)
    heights = np.outer(positions @ normal, normal).tolist()
    on_grid = partial(
        get_volume_positions,
        heights,
        cosines,
        rtol=SPACING_TOLERANCE,
        perpendicular_tol=PERPENDICULAR_TOLERANCE,
    )
    spacing, _ = on_grid()
    along = np.sort(positions @ normal)
    if (
        spacing is None
        or np.abs(along - np.linspace(along[0], along[-1], len(along))).max()
        > GRID_TOLERANCE * spacing
    ):
        spacing, places = on_grid(allow_missing_positions=True)
        if places is not None:
            raise Rejected(
                "missing_slice",
                f"{max(places) + 1 - len(places)} of {max(places) + 1} positions without a slice",
            )
        raise Rejected(
            "variable_spacing",
            f"steps from {np.diff(along).min():.2f} to {np.diff(along).max():.2f} mm",
        )
    tilted = leans(positions, normal, pixel)
    if tilted and not straightened:
        raise Rejected("gantry_tilt")
    return [int(place) for place in np.argsort(positions @ normal)], tilted
