"""Slices of one orientation -> stacks that hold one slice of each place, by what
data_prep/readers/dicom/meaning.py says of their headers' elements.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from data_prep.exports.sources import opened
from data_prep.readers.dicom.comparable import read_more
from data_prep.readers.dicom.meaning import (
    ACROSS,
    SAME,
    SCANNED,
    STATED_VOLUMES,
    TELLS,
    Element,
    Order,
)
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Rejected

SAME_PLACE = 0.01  # mm; two slices nearer than this are at one position
FEWEST_SLICES = 3  # with two, an even spacing cannot be told from a gap
EVEN = 0.02  # of the mean step: as series.SPACING_TOLERANCE
NUMBER = "InstanceNumber"
IMAGE_TYPE = [element.name for element in SAME].index("ImageType")
UNSCANNED = [element for element in TELLS if not element.scanned]
CLOCKS = [element.name for element in TELLS if element.order is Order.CLOCK]
# Indices of slices -> a value each, equal in slices of one stack.
Key = Callable[[list[int]], Sequence[Hashable]]


def positions(slices: Sequence[ImageFile]) -> np.ndarray:
    """(slices, 3) in mm, LPS, of slices that all say where they lie."""
    return np.array([image.header.place.position for image in slices], np.float64)


def places(slices: Sequence[ImageFile], normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct places on the normal (mm, rising), and which of them each slice is at."""
    along = positions(slices) @ normal
    order = np.argsort(along, kind="stable")
    first = np.diff(along[order], prepend=-np.inf) >= SAME_PLACE
    at = np.empty(len(slices), int)
    at[order] = np.cumsum(first) - 1
    return along[order][first], at


def split(slices: list[ImageFile], normal: np.ndarray) -> list[list[ImageFile]]:
    """One list a volume, the first one first; slices that nothing parts stay in one list.

    Raises Rejected where what must be the same in a volume differs between slices that do not cover
    the same places.
    """
    classes, differing = _classes(slices)
    heights = [places(part, normal)[0] for part in classes]
    if any(
        len(other) != len(heights[0]) or not np.allclose(other, heights[0], rtol=0, atol=SAME_PLACE)
        for other in heights
    ):
        raise Rejected(
            "mixed_values",
            f"{', '.join(differing)} differ between slices that do not cover the same places",
        )
    return [volume for part in classes for volume in _Stacks(part, normal).volumes()]


def separate(slices: list[ImageFile], normal: np.ndarray) -> list[list[ImageFile]]:
    """Originals, with what is derived and lies at the same places, and every other kind of derived
    image for itself (PS3.3 C.7.6.1.1.2).

    All stay together where a derived image may be a slice of the same volume: it continues the
    others, or repeats a part of them.
    """
    kinds: dict[tuple[Hashable, ...], list[ImageFile]] = defaultdict(list)
    for image in slices:
        kinds[_words(image) if is_derived(image) else ()].append(image)
    first = () if () in kinds else max(kinds, key=lambda kind: len(kinds[kind]))
    together: list[ImageFile] = list(kinds.pop(first))
    alone: list[list[ImageFile]] = []
    base = places(together, normal)[0]
    for kind, some in sorted(kinds.items(), key=lambda item: _first_number(item[1])):
        heights = places(some, normal)[0]
        if len(heights) == len(base) and np.allclose(heights, base, rtol=0, atol=SAME_PLACE):
            together += some
        elif any(word in str(stated) for stated in kind[2:] for word in ACROSS) or not _one_volume(
            base, heights
        ):
            alone.append(some)
        else:
            return [slices]
    return [together, *alone] if alone else [slices]


def is_derived(image: ImageFile) -> bool:
    return _words(image)[:1] == ("DERIVED",)


def _one_volume(base: np.ndarray, other: np.ndarray) -> bool:
    """Whether places may be those of one volume's other slices, or of a repeat that lacks some."""
    shared = (np.abs(base[:, None] - other[None]) < SAME_PLACE).any(axis=0)
    if not shared.any():
        return even(np.concatenate([base, other])) is not None
    step = even(base)
    return (
        bool(shared.all())
        and len(other) > 1
        and step is not None
        and math.isclose(np.diff(other).min(), step, rel_tol=EVEN)
    )


def _words(image: ImageFile) -> tuple[Hashable, ...]:
    """The values of Image Type."""
    stated = image.header.place.meaning[IMAGE_TYPE]
    return stated if isinstance(stated, tuple) else (stated,)


def even(along: np.ndarray) -> float | None:
    """The step between places that are evenly spaced; None of others, and of fewer than three."""
    steps = np.diff(np.sort(along))
    return (
        float(steps.mean())
        if len(along) >= FEWEST_SLICES and np.ptp(steps) <= EVEN * steps.mean()
        else None
    )


def compared(slices: Sequence[ImageFile]) -> str:
    """Which elements differ between slices that nothing parts, and which do not; no values."""
    read, values = _read_more(slices), {}
    for place, element in enumerate(SAME):
        values[element.name] = _meaning(slices, place)
    for place, element in enumerate(SCANNED):
        values[element.name] = _moment(slices, place)
    for element in UNSCANNED:
        values[element.name] = [each.get(element.name) for each in read]
    values[NUMBER] = [image.header.place.number for image in slices]
    differ = [name for name, found in values.items() if len(set(found)) > 1]
    agree = [name for name in values if name not in differ]
    parted = f"{', '.join(differ) or 'none'} differ and part nothing"
    return f"{parted}; missing or the same: {', '.join(agree)}"


def _meaning(slices: Sequence[ImageFile], place: int) -> list[Hashable]:
    """What each slice says by an element of SAME."""
    return [image.header.place.meaning[place] for image in slices]


def _moment(slices: Sequence[ImageFile], place: int) -> list[Hashable]:
    """What each slice says by an element of SCANNED."""
    return [image.header.place.moments[place] for image in slices]


def only_numbered_apart(volumes: list[list[ImageFile]]) -> bool:
    """Whether nothing but the Instance Number tells the first two volumes apart, so that one may be
    a copy of the other.
    """
    if len(volumes) < 2:
        return False
    first, second = volumes[0][0], volumes[1][0]
    one, other = _read_more([first, second])
    here, there = first.header.place, second.header.place
    return (here.meaning, here.moments) == (there.meaning, there.moments) and all(
        one.get(element.name) == other.get(element.name)
        for element in TELLS
        if element.order is not Order.CLOCK
    )


def _classes(slices: list[ImageFile]) -> tuple[list[list[ImageFile]], list[str]]:
    """Slices that agree in all that must be the same in a volume, and what differs between them.

    What is missing contradicts nothing.
    """
    differing, labels = [], []
    for place, element in enumerate(SAME):
        near = _near(_meaning(slices, place), element.tolerance)
        if len(set(near) - {None}) > 1:
            differing.append(element.name)
            labels.append(near)
    classes: dict[tuple[Hashable, ...], list[ImageFile]] = defaultdict(list)
    of_slices = zip(*labels, strict=True) if labels else [()] * len(slices)
    for image, label in zip(slices, of_slices, strict=True):
        classes[label].append(image)

    def order(part: list[ImageFile]) -> tuple[Any, ...]:
        echo, weighting = part[0].header.place.meaning[:2]
        return math.inf if echo is None else echo, weighting, _first_number(part)

    return sorted(classes.values(), key=order), differing


class _Stacks:
    """Slices whose values mean the same, and what may tell their volumes apart."""

    def __init__(self, slices: list[ImageFile], normal: np.ndarray):
        self.slices = slices
        self.along = positions(slices) @ normal
        heights, self.at = places(slices, normal)
        self.count = len(heights)
        self.numbers = [image.header.place.number for image in slices]
        self.more: list[dict[str, Hashable]] = []  # what headers say beyond SAME and SCANNED

    def volumes(self) -> list[list[ImageFile]]:
        everything = list(range(len(self.slices)))
        moments = self._moments()
        if moments:
            return [[self.slices[index] for index in part] for part in moments]
        if len(everything) == self.count or len(everything) % self.count:
            return [self.slices]
        parts = self._part(everything, self._scanned()) or self._part(
            everything, [*self._scanned(), *self._more()]
        )
        return [[self.slices[index] for index in part] for part in parts or [everything]]

    def _part(self, indices: list[int], keys: list[Key]) -> list[list[int]] | None:
        """Stacks in their order; None where no combination of keys makes them."""
        if len(indices) == self.count:
            return [indices]
        for key in keys:
            groups: dict[Hashable, list[int]] = defaultdict(list)
            for index, value in zip(indices, key(indices), strict=True):
                groups[value].append(index)
            if len(groups) > 1 and all(self._covers(group) for group in groups.values()):
                parts: list[list[int]] = []
                for value in sorted(groups, key=_rising):
                    some = self._part(groups[value], keys)
                    if some is None:
                        return None
                    parts += some
                return parts
        return None

    def _covers(self, indices: list[int]) -> bool:
        """Whether there is the same number of slices at every place."""
        counts = np.bincount(self.at[indices], minlength=self.count)
        return bool(counts.min() == counts.max())

    def _scanned(self) -> list[Key]:
        """Elements that every header is asked for."""
        same = [
            self._by_value(element, _meaning(self.slices, place))
            for place, element in enumerate(SAME)
        ]
        moments = [
            self._by_value(element, _moment(self.slices, place))
            for place, element in enumerate(SCANNED)
        ]
        return [*same, *moments]

    def _more(self) -> list[Key]:
        """All other elements, and last what is only an order."""
        self.more = _read_more(self.slices)
        ranked = [(element, _moment(self.slices, at)) for at, element in enumerate(SCANNED)]
        more = [(element, [each.get(element.name) for each in self.more]) for element in UNSCANNED]
        by_value = [self._by_value(element, values) for element, values in more]
        ranks = [
            self._by_rank(element, values)
            for element, values in ranked + more
            if element.order in (Order.RANK, Order.CLOCK)
        ]
        return [*by_value, self._by_equal_number, *ranks, self._by_number]

    def _by_value(self, element: Element, values: list[Hashable]) -> Key:
        def key(indices: list[int]) -> Sequence[Hashable]:
            near = _near([values[index] for index in indices], element.tolerance)
            if element.order is not Order.NUMBER:
                return near
            first: dict[Hashable, float] = {}
            for index, value in zip(indices, near, strict=True):
                first[value] = min(first.get(value, math.inf), _or_last(self.numbers[index]))
            return [(first[value], value) for value in near]

        return key

    def _by_rank(self, element: Element, values: list[Hashable]) -> Key:
        def key(indices: list[int]) -> Sequence[Hashable]:
            if any(values[index] is None for index in indices):
                return [0] * len(indices)
            ranks = self._ranks(indices, values)
            return (
                ranks
                if element.order is Order.RANK or self._in_blocks(indices, values, ranks)
                else [0] * len(indices)
            )

        return key

    def _by_equal_number(self, indices: list[int]) -> Sequence[Hashable]:
        """Slices of one number, as of a file that holds a volume."""
        return [self.numbers[index] if self.count > 1 else 0 for index in indices]

    def _by_number(self, indices: list[int]) -> Sequence[Hashable]:
        """Instance Numbers have no meaning (PS3.3 C.7.6.1), so they count only where they run as
        volumes are taken, or as many are stated.

        At one or two places any numbers run so: there, a volume that lost its positions would be
        taken for repeats of a slice.
        """
        numbers = [self.numbers[index] for index in indices]
        if None in numbers or len(set(numbers)) < len(numbers):
            return [0] * len(indices)
        ranks = self._ranks(indices, self.numbers)
        stated = {
            self.slices[0].header.place.times,
            *(each.get(name) for each in self.more[:1] for name in STATED_VOLUMES),
        }
        whole = len(self.slices) // self.count in stated
        in_blocks = self.count >= FEWEST_SLICES and self._in_blocks(indices, self.numbers, ranks)
        return ranks if whole or in_blocks else [0] * len(indices)

    def _ranks(self, indices: list[int], values: Sequence[Hashable]) -> list[int]:
        """The how-manieth each slice's value is among those at its place."""
        found: dict[int, set[Hashable]] = defaultdict(set)
        for index in indices:
            found[int(self.at[index])].add(values[index])
        rank = {
            place: {value: rank for rank, value in enumerate(sorted(some, key=_rising))}
            for place, some in found.items()
        }
        return [rank[int(self.at[index])][values[index]] for index in indices]

    def _in_blocks(self, indices: list[int], values: Sequence[Hashable], ranks: list[int]) -> bool:
        """Whether values run from one volume to the next, or from one place to the next."""
        order = sorted(range(len(indices)), key=lambda place: _rising(values[indices[place]]))
        by_volume = all(np.diff([ranks[place] for place in order]) >= 0)
        changes = np.count_nonzero(np.diff(self.at[[indices[place] for place in order]]))
        return by_volume or changes == self.count - 1

    def _moments(self) -> list[list[int]] | None:
        """Time points that do not lie at the same places, each an even stack: patients move, and
        some scanners follow them.

        An Acquisition Number or Trigger Time counts if the stated spacing, a stated number of
        volumes or the clock says so too: the slices of one volume may come from several
        acquisitions, and at several times after the heartbeat.
        """
        if self._covers(list(range(len(self.slices)))) and len(self.slices) > self.count:
            return None
        names = [element.name for element in SCANNED]
        for name in ("TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime"):
            groups: dict[Hashable, list[int]] = defaultdict(list)
            for index, image in enumerate(self.slices):
                groups[image.header.place.moments[names.index(name)]].append(index)
            if None in groups or len(groups) == 1 or not self._shifted(list(groups.values())):
                continue
            if name != "TemporalPositionIdentifier" and not self._are_volumes(
                name, list(groups.values())
            ):
                continue
            return [groups[value] for value in sorted(groups, key=_rising)]
        return self._closer_than_stated()

    def _closer_than_stated(self) -> list[list[int]] | None:
        """The same by any element or number, where slices lie closer than their headers say and
        those of each volume do not.
        """
        count = self._by_spacing()
        if count < 2 or len(self.slices) % count:
            return None
        read, size = _read_more(self.slices), len(self.slices) // count
        asked = [_moment(self.slices, place) for place in range(len(SCANNED))]
        asked += [[each.get(element.name) for each in read] for element in UNSCANNED]
        for values in [*asked, list[Hashable](self.numbers)]:
            order = sorted(range(len(values)), key=[_rising(value) for value in values].__getitem__)
            groups = [order[start : start + size] for start in range(0, len(order), size)]
            parted = all(values[one[-1]] != values[next_[0]] for one, next_ in pairwise(groups))
            if (
                None not in values
                and parted
                and self._shifted(groups)
                and self._by_spacing(groups[0]) == 1
            ):
                return groups
        return None

    def _by_spacing(self, indices: list[int] | None = None) -> int:
        """How many volumes lie within each other, by the distance of slices or, of PET, the number
        of slices (PS3.3 C.8.9.4) that is stated.
        """
        along, place = self.along[indices] if indices else self.along, self.slices[0].header.place
        if place.between is None:
            return (
                len(along) // place.stated
                if place.stated and self.slices[0].header.facts.modality == "PT"
                else 1
            )
        extent = float(np.ptp(along))
        return round(abs(place.between[0]) * (len(along) - 1) / extent) if extent > 0 else 1

    def _shifted(self, groups: list[list[int]]) -> bool:
        """Whether these are even stacks of one length and step that lie within each other."""
        found = [even(self.along[group]) for group in groups]
        steps = [step for step in found if step is not None]
        if (
            len(steps) < len(groups)
            or len({len(group) for group in groups}) > 1
            or not np.allclose(steps, steps[0], rtol=EVEN)
        ):
            return False
        starts = [self.along[group].min() for group in groups]
        return bool(np.ptp(starts) < steps[0] * (len(groups[0]) - 1))

    def _are_volumes(self, name: str, groups: list[list[int]]) -> bool:
        if len(self.slices) > self.count:  # some share a place, so they are no one volume's
            return True
        stated, step = self._stated_spacing(), even(self.along[groups[0]])
        if stated is not None:
            return step is not None and math.isclose(stated, step, rel_tol=EVEN)
        read = _read_more(self.slices)
        times = {self.slices[0].header.place.times, *map(read[0].get, STATED_VOLUMES)}
        if len(groups) in times:
            return True
        return name == "AcquisitionNumber" and any(
            _is_of_each_volume([each.get(clock) for each in read], groups) for clock in CLOCKS
        )

    def _stated_spacing(self) -> float | None:
        """mm from slice to slice, where all headers say the same."""
        between = {image.header.place.between for image in self.slices}
        only = between.pop() if len(between) == 1 else None
        return None if only is None else abs(only[0])


def _is_of_each_volume(values: Sequence[Hashable], groups: list[list[int]]) -> bool:
    """Whether each group has one value, other than all other groups'."""
    found = [{values[index] for index in group} - {None} for group in groups]
    if any(len(some) != 1 for some in found):
        return False
    return len({values[group[0]] for group in groups}) == len(groups)


def _read_more(slices: Sequence[ImageFile]) -> list[dict[str, Hashable]]:
    """What the headers say of the elements that they were not asked for before; of one that can no
    longer be read, nothing.
    """
    by_file: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(slices):
        by_file[image.identity.found.name].append(index)
    read: list[dict[str, Hashable]] = [{} for _ in slices]
    for indices in by_file.values():
        frames = [slices[index].header.frame for index in indices]
        try:
            with opened(slices[indices[0]].identity.found) as stream:
                for index, values in zip(indices, read_more(stream, frames), strict=True):
                    read[index] = values
        except Rejected:
            continue
    return read


def _near(values: Sequence[Hashable], tolerance: float) -> list[Hashable]:
    """Each value, or the lowest one that is as near as `tolerance`."""
    if not tolerance:
        return list(values)
    chosen: dict[Hashable, Hashable] = {}
    kept: list[tuple[Hashable, np.ndarray]] = []
    for value in sorted(set(values), key=_rising):
        try:
            number = np.array(value, float)
        except (TypeError, ValueError):
            chosen[value] = value
            continue
        near = (
            first
            for first, other in kept
            if other.shape == number.shape and np.abs(other - number).max(initial=0) <= tolerance
        )
        chosen[value] = next(near, value)
        if chosen[value] == value:
            kept.append((value, number))
    return [chosen[value] for value in values]


def _rising(value: Hashable) -> tuple[Any, ...]:
    """Sorts values of any kind, those that are missing last."""
    if isinstance(value, tuple):
        return 2, "tuple", tuple(map(_rising, value))
    if value is None:
        return 3, "", 0
    return (0, "", value) if isinstance(value, int | float) else (1, type(value).__name__, value)


def _first_number(slices: list[ImageFile]) -> float:
    return min(_or_last(image.header.place.number) for image in slices)


def _or_last(number: int | None) -> float:
    """A number that is missing comes after all others."""
    return math.inf if number is None else number
