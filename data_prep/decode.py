"""Planned records -> standardised arrays.

Runs in worker processes, so all it takes and gives can be pickled.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.readers.dicom.units import wrong_for_window
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.readers.registry import read_pixels
from data_prep.rejects import Reject, Rejected, not_decodable
from data_prep.settings import Convert
from data_prep.store.duplicates import perceptual_hash
from data_prep.store.records import pixel_hash
from data_prep.volumes.crop import cut
from data_prep.volumes.orientation import to_common
from data_prep.volumes.series import reject_all
from data_prep.volumes.standardise import standardise
from data_prep.volumes.tilt import STRAIGHT, Lean, straighten

Name = tuple[str, int | None]  # of a file, and the frame in it


@dataclass(frozen=True, slots=True)
class Planned:
    """A record to be.

    `files`: a volume's slices in order. `row`: without the pixels' hashes. `affine`: a DICOM
    volume's. `spacing`: mm, in the order of the pixels.
    """

    key: str
    files: tuple[ImageFile, ...]
    row: dict[str, Any]
    affine: np.ndarray | None = None
    spacing: tuple[float, ...] | None = None
    lean: Lean = STRAIGHT  # of slices that are to be straightened

    @property
    def paths(self) -> set[Path | str]:
        """What has to be opened to read it."""
        return {
            path for image in self.files for file in image.identity.files for path in file.paths
        }


@dataclass(frozen=True)
class Decoded:
    """(channel, *space) uint8, the SHA-256 of its bytes, and a perceptual hash."""

    array: np.ndarray
    pixel_hash: str
    perceptual_hash: str
    doubtful: bool  # as of its Pixels

    @property
    def told(self) -> dict[str, object]:
        """What a record's row gets from its pixels."""
        return {
            "pixel_hash": self.pixel_hash,
            "perceptual_hash": self.perceptual_hash,
            "doubtful": self.doubtful,
        }


def decode_all(plans: list[Planned], convert: Convert) -> list[Decoded | list[Reject]]:
    """Each record's pixels, or the rejects of all of its files."""
    return [decode(plan, convert) for plan in plans]


def decoder(convert: Convert) -> Callable[[list[Planned]], list[Decoded | list[Reject]]]:
    return partial(decode_all, convert=convert)


def decode(plan: Planned, convert: Convert) -> Decoded | list[Reject]:
    """Read, check and standardise one record's pixels."""
    modality = str(plan.row["modality"])
    how = convert.intensity_of(modality)
    pixels = read(plan, windowed=how.window is not None)
    if not isinstance(pixels, Pixels):
        return pixels
    if (
        how.window
        and not pixels.photograph
        and (why := wrong_for_window(plan.row["units"], how.units, modality))
    ):
        return reject_all(plan.files, "other_units", why)
    try:
        array = standardise(pixels, convert, modality, plan.spacing)
        if np.ptp(array) == 0:
            raise Rejected(
                "constant_image", "one grey level, as convert.intensity and convert.spacing take it"
            )
    except Rejected as rejected:
        return reject_all(plan.files, rejected.reason, rejected.found)
    return Decoded(array, pixel_hash(array), perceptual_hash(array), pixels.doubtful)


def read(plan: Planned, windowed: bool) -> Pixels | list[Reject]:
    """One record's pixels as its files hold them, volumes in the common order.

    Or the rejects of all of its files. `windowed`: grey values must be in physical units.
    """
    by_file: dict[str, list[ImageFile]] = defaultdict(list)
    for image in plan.files:
        by_file[image.identity.found.name].append(image)
    volume = _room_for(plan)
    names = [_name(image) for image in plan.files]
    room = {} if volume is None else dict(zip(names, volume, strict=True))
    of_slice: dict[Name, Pixels] = {}
    for images in by_file.values():
        try:
            for image, pixels in zip(images, read_pixels(images), strict=True):
                if windowed and not pixels.rescaled:
                    raise Rejected("no_rescale")
                of_slice[_name(image)] = _into(room.get(_name(image)), cut(pixels, image))
        except Exception as error:  # as in readers/examine.py
            rejected = error if isinstance(error, Rejected) else not_decodable(error)
            name = images[0].identity.found.name
            others = [image for image in plan.files if image.identity.found.name != name]
            rejects = reject_all(images, rejected.reason, rejected.found)
            return rejects + reject_all(others, "sibling_rejected")
    slices = [of_slice[name] for name in names]
    try:
        pixels = slices[0]
        if volume is not None and plan.affine is not None:
            pixels = _stack(slices, volume, plan.lean, plan.affine)
        _check_content(pixels)
    except Rejected as rejected:
        return reject_all(plan.files, rejected.reason, rejected.found)
    return replace(pixels, doubtful=True) if plan.files[0].header.reversed_rows else pixels


def _name(image: ImageFile) -> Name:
    return image.identity.found.name, image.header.frame


def _room_for(plan: Planned) -> np.ndarray | None:
    """(slices, rows, columns) of a volume of several slices; None of a record of one file."""
    if plan.affine is None:
        return None
    return np.empty((len(plan.files), *plan.files[0].header.kept_shape), np.float32)


def _check_content(pixels: Pixels) -> None:
    known = pixels.values if pixels.valid is None else pixels.values[pixels.valid]
    with np.errstate(over="ignore"):
        span = np.ptp(known) if known.size else 0
    if span == 0:
        raise Rejected("constant_image")
    if not np.isfinite(span):
        raise Rejected("not_finite", "values too far apart for float32")


def _into(room: np.ndarray | None, pixels: Pixels) -> Pixels:
    """A slice with its values in their place in the volume: to stack all at the end would take as
    much memory again.
    """
    if room is None or pixels.photograph:
        return pixels
    room[...] = pixels.values
    return replace(pixels, values=room)


def _stack(slices: list[Pixels], volume: np.ndarray, lean: Lean, affine: np.ndarray) -> Pixels:
    """Slices of (rows, columns), whose values `volume` holds -> one volume in the common order.

    Raises Rejected.
    """
    if any(pixels.photograph for pixels in slices):
        raise Rejected("several_values", "a volume in colour")
    if len({pixels.rescaled for pixels in slices}) > 1:
        raise Rejected("mixed_values", "a rescale in some slices only")
    inverted, doubtful = slices[0].inverted, any(pixels.doubtful for pixels in slices)
    valid = None
    if any(pixels.valid is not None for pixels in slices):
        valid = np.stack([_valid(pixels) for pixels in slices])
    if lean != STRAIGHT:
        volume, valid = straighten(volume, valid, lean)
        if valid.any():  # dark, as what lies outside a scan
            volume[~valid] = volume[valid].max() if inverted else volume[valid].min()
    valid = None if valid is None else to_common(valid.T, affine)
    return Pixels(to_common(volume.T, affine), valid, inverted, slices[0].rescaled, doubtful)


def _valid(pixels: Pixels) -> np.ndarray:
    return np.ones(pixels.values.shape, bool) if pixels.valid is None else pixels.valid
