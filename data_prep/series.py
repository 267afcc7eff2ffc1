"""DICOM slices -> volumes: ordered by position on the slice normal, refused where anything does not fit (PS3.3 C.7.6.2)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from highdicom.spatial import get_normal_vector, get_volume_positions

from data_prep.dicom import raw_pixels
from data_prep.image_file import ImageFile
from data_prep.orientation import LPS_TO_RAS, common_shape, common_spacing
from data_prep.rejects import Reject, Rejected
from data_prep.sources import opened

SAME_DIRECTION = 1e-3  # per cosine: scanners' rounding is 1e-5, a new scan plane is 1e-2 or more
UNIT_TOLERANCE = 1e-3  # of the axes' length and right angle; six-digit cosines keep 1e-6
SPACING_TOLERANCE = 0.02  # of the mean step: above rounded positions (0.01 mm of 0.6), far below a missing slice (1.0)
PERPENDICULAR_TOLERANCE = 1e-3  # highdicom's: 1 - cosine, 2.6 degrees
SAME_PLACE = 0.01  # mm; two slices nearer than this are at one position
SAME_PIXEL_SIZE = 1e-3  # relative
FEWEST_SLICES = 3  # with two, an even spacing cannot be told from a gap


@dataclass(frozen=True)
class Volume:
    """Slices in order. `affine`: (column, row, slice) -> mm, RAS.

    `shape` and `spacing` (mm): of slices, rows and columns in the common order.
    """

    files: tuple[ImageFile, ...]
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        rows, columns = self.files[0].shape
        return common_shape((columns, rows, len(self.files)), self.affine)

    @property
    def spacing(self) -> tuple[float, ...]:
        return common_spacing(self.affine)


def group_slices(images: Iterable[ImageFile]) -> tuple[list[list[ImageFile]], list[Reject]]:
    """Slices that should make one volume: of one series and orientation. Localizers and mixed series are rejected."""
    by_series: dict[str, list[ImageFile]] = defaultdict(list)
    groups: list[list[ImageFile]] = []
    rejects: list[Reject] = []
    for image in images:
        by_series[image.identifiers.get("SeriesInstanceUID", "")].append(image)
    for series in sorted(by_series):
        slices = by_series[series]
        if not series:
            rejects += reject_all(slices, "no_series")
        elif len({image.identifiers.get("PatientID") for image in slices}) > 1:
            rejects += reject_all(slices, "mixed_patients")
        else:
            rejects += reject_all([image for image in slices if image.place.localizer], "localizer")
            groups += _by_orientation([image for image in slices if not image.place.localizer])
    return groups, rejects


def make_volume(slices: list[ImageFile], broken_nearby: bool) -> tuple[Volume, list[Reject]]:
    """Order slices into a volume; slices that are there twice are rejected. `broken_nearby`: a broken file may be one of them.

    Raises Rejected, which then holds for every slice.
    """
    first = slices[0]
    if any(image.place.position is None or image.place.orientation is None for image in slices):
        raise Rejected("not_a_volume" if len(slices) == 1 else "no_position")
    if len({image.shape for image in slices}) > 1:
        raise Rejected("mixed_matrix", f"{len({image.shape for image in slices})} matrix sizes")
    if any(image.facts.spacing is None for image in slices):
        raise Rejected("no_spacing")
    spacings = np.array([image.facts.spacing for image in slices])
    if not np.allclose(spacings, spacings[0], rtol=SAME_PIXEL_SIZE, atol=0):
        raise Rejected("mixed_spacing")
    if len({(image.facts.photometric, image.facts.modality) for image in slices}) > 1:
        raise Rejected("mixed_values")
    orientation = np.mean([image.place.orientation for image in slices], axis=0)
    _check_orientation(orientation)
    slices, duplicates = _drop_same(slices, get_normal_vector(orientation))
    if len(slices) < FEWEST_SLICES:
        raise Rejected("not_a_volume", f"{len(slices)} slices")
    positions = np.array([image.place.position for image in slices])
    order = _order(positions, orientation)
    stated = max((image.place.stated or 0 for image in slices), default=0)
    if len(slices) < stated:
        raise Rejected("missing_slice", f"{len(slices)} slices of {stated} that the header states")
    if broken_nearby and len(slices) != stated:
        raise Rejected("maybe_incomplete")
    ordered = tuple(slices[place] for place in order)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * first.facts.spacing[1]  # a step to the next column
    affine[:3, 1] = orientation[3:] * first.facts.spacing[0]  # a step to the next row
    affine[:3, 2] = (positions[order[-1]] - positions[order[0]]) / (len(order) - 1)
    affine[:3, 3] = positions[order[0]]
    return Volume(ordered, LPS_TO_RAS @ affine), duplicates


def reject_all(images: Iterable[ImageFile], reason: str, found: str = "") -> list[Reject]:
    """One reject a file, data files with their headers."""
    return [Reject(file.name, image.kind, reason, found, image.identifiers.get("SeriesInstanceUID", ""),
                   image.identifiers.get("SOPInstanceUID", "")) for image in images for file in (image.found, image.data) if file]


def _by_orientation(slices: list[ImageFile]) -> list[list[ImageFile]]:
    """Slices by orientation, compared with each group's first; those without one stay with the first group."""
    groups: list[list[ImageFile]] = []
    for image in sorted(slices, key=lambda image: (image.place.orientation is None, image.source)):
        direction = image.place.orientation
        fits = (group for group in groups if direction is None or group[0].place.orientation is None
                or np.allclose(group[0].place.orientation, direction, rtol=0, atol=SAME_DIRECTION))
        group = next(fits, None)
        if group is None:
            groups.append([image])
        else:
            group.append(image)
    return groups


def _check_orientation(orientation: np.ndarray) -> None:
    rows, columns = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(rows), np.linalg.norm(columns)
    if not np.allclose(lengths, 1, atol=UNIT_TOLERANCE) or abs(rows @ columns) > UNIT_TOLERANCE:
        raise Rejected("bad_orientation")


def _drop_same(slices: list[ImageFile], normal: np.ndarray) -> tuple[list[ImageFile], list[Reject]]:
    """Keep one of slices with the same position and pixels. Raises Rejected where the pixels differ."""
    along = np.array([np.dot(image.place.position, normal) for image in slices])
    kept: list[ImageFile] = []
    same: list[ImageFile] = []
    for place in np.argsort(along, kind="stable"):
        image = slices[place]
        if kept and abs(np.dot(image.place.position, normal) - np.dot(kept[-1].place.position, normal)) < SAME_PLACE:
            if _raw(image) != _raw(kept[-1]) or image.facts.transfer_syntax != kept[-1].facts.transfer_syntax:
                raise Rejected("duplicate_position")
            same.append(image)
        else:
            kept.append(image)
    return kept, reject_all(same, "duplicate_instance", "the same position and pixels as another slice")


def _raw(image: ImageFile) -> bytes:
    with opened(image.found) as stream:
        return raw_pixels(stream)


def _order(positions: np.ndarray, orientation: np.ndarray) -> list[int]:
    """Indices of `positions` in the order of the volume. Raises Rejected with what is wrong with its geometry."""
    tolerances = {"rtol": SPACING_TOLERANCE, "perpendicular_tol": PERPENDICULAR_TOLERANCE}
    spacing, places = get_volume_positions(positions.tolist(), orientation.tolist(), **tolerances)
    if spacing is not None:
        return [int(place) for place in np.argsort(places)]
    normal = get_normal_vector(orientation)
    along = np.sort(positions @ normal)
    span = positions[np.argmax(positions @ normal)] - positions[np.argmin(positions @ normal)]
    if abs(span @ normal) / np.linalg.norm(span) < 1 - PERPENDICULAR_TOLERANCE:
        raise Rejected("gantry_tilt")
    spacing, places = get_volume_positions(positions.tolist(), orientation.tolist(), allow_missing_positions=True, **tolerances)
    if spacing is not None:
        raise Rejected("missing_slice", f"{max(places) + 1 - len(places)} of {max(places) + 1} positions without a slice")
    raise Rejected("variable_spacing", f"steps from {np.diff(along).min():.2f} to {np.diff(along).max():.2f} mm")
