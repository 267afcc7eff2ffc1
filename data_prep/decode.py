"""Planned records -> standardised arrays. Runs in worker processes, so all it takes and gives can be pickled."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.exports.sources import opened
from data_prep.readers import itk_image, mgh, nifti, npz, raster
from data_prep.readers.dicom import file as dicom
from data_prep.readers.dicom.units import wrong_for_window
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.rejects import Reject, Rejected, not_decodable
from data_prep.settings import Convert
from data_prep.store.duplicates import perceptual_hash
from data_prep.store.records import pixel_hash
from data_prep.volumes.crop import cut
from data_prep.volumes.orientation import to_common
from data_prep.volumes.series import reject_all
from data_prep.volumes.standardise import standardise
from data_prep.volumes.tilt import STRAIGHT, Lean, straighten


@dataclass(frozen=True, slots=True)
class Planned:
    """A record to be: its files (a volume's slices in order), its row without the pixels' hashes, a DICOM volume's affine,
    and the spacing in mm, in the order of the pixels.
    """

    key: str
    files: tuple[ImageFile, ...]
    row: dict[str, object]
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
    """(channel, *space) uint8, the SHA-256 of its bytes and the perceptual hash of what they show."""

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
    """One record's pixels as its files hold them, volumes in the common order; or the rejects of all of its files.

    `windowed`: grey values must be in physical units.
    """
    by_file: dict[str, list[ImageFile]] = defaultdict(list)
    for image in plan.files:
        by_file[image.identity.found.name].append(image)
    names = [(image.identity.found.name, image.header.frame) for image in plan.files]
    volume = (
        None
        if plan.affine is None
        else np.empty((len(names), *plan.files[0].header.kept_shape), np.float32)
    )
    room = {} if volume is None else dict(zip(names, volume, strict=True))
    of_slice: dict[tuple[str, int | None], Pixels] = {}
    for name, images in by_file.items():
        try:
            for image, pixels in zip(images, _read(images), strict=True):
                if windowed and not pixels.rescaled:
                    raise Rejected("no_rescale")
                of_slice[name, image.header.frame] = _into(
                    room.get((name, image.header.frame)), cut(pixels, image)
                )
        except Exception as error:  # as in scan.examine
            rejected = error if isinstance(error, Rejected) else not_decodable(error)
            others = [image for image in plan.files if image.identity.found.name != name]
            return reject_all(images, rejected.reason, rejected.found) + reject_all(
                others, "sibling_rejected"
            )
    slices = [of_slice[name] for name in names]
    try:
        pixels = slices[0] if volume is None else _stack(slices, volume, plan)
        _check_content(pixels)
    except Rejected as rejected:
        return reject_all(plan.files, rejected.reason, rejected.found)
    return replace(pixels, doubtful=True) if plan.files[0].header.reversed_rows else pixels


def _read(images: list[ImageFile]) -> list[Pixels]:
    """The pixels of slices of one file, or of its one image."""
    image = images[0]
    if image.header.kind == npz.KIND:
        return [npz.read_pixels(image)]
    with opened(image.identity.found) as stream:
        if image.header.kind == "dicom":
            return dicom.read_slices(stream, images)
        if image.header.kind in (itk_image.NRRD, itk_image.META):
            pixels = itk_image.read_pixels(stream, image)
        elif image.header.kind in (nifti.KIND, nifti.ANALYZE):
            pixels = nifti.read_pixels(stream, image.header.frame, image.identity.data)
        elif image.header.kind == mgh.KIND:
            pixels = mgh.read_pixels(stream, image.header.frame)
        else:
            return [raster.read_pixels(stream)]
    if pixels.values.shape[: len(image.header.shape)] != image.header.shape:
        raise Rejected("file_changed")
    return [pixels]


def _check_content(pixels: Pixels) -> None:
    known = pixels.values if pixels.valid is None else pixels.values[pixels.valid]
    with np.errstate(over="ignore"):
        span = np.ptp(known) if known.size else 0
    if span == 0:
        raise Rejected("constant_image")
    if not np.isfinite(span):
        raise Rejected("not_finite", "values too far apart for float32")


def _into(room: np.ndarray | None, pixels: Pixels) -> Pixels:
    """A slice with its values in their place in the volume: to stack all at the end would take as much memory again."""
    if room is None or pixels.photograph:
        return pixels
    room[...] = pixels.values
    return replace(pixels, values=room)


def _stack(slices: list[Pixels], volume: np.ndarray, plan: Planned) -> Pixels:
    """Slices of (rows, columns), whose values `volume` holds -> one volume in the common order. Raises Rejected."""
    if any(pixels.photograph for pixels in slices):
        raise Rejected("several_values", "a volume in colour")
    if len({pixels.rescaled for pixels in slices}) > 1:
        raise Rejected("mixed_values", "a rescale in some slices only")
    inverted, doubtful = slices[0].inverted, any(pixels.doubtful for pixels in slices)
    valid = None
    if any(pixels.valid is not None for pixels in slices):
        valid = np.stack(
            [
                np.ones(pixels.values.shape, bool) if pixels.valid is None else pixels.valid
                for pixels in slices
            ]
        )
    if plan.lean != STRAIGHT:
        volume, valid = straighten(volume, valid, plan.lean)
        if valid.any():
            volume[~valid] = (
                volume[valid].max() if inverted else volume[valid].min()
            )  # dark, as what lies outside a scan
    valid = None if valid is None else to_common(valid.T, plan.affine)
    return Pixels(to_common(volume.T, plan.affine), valid, inverted, slices[0].rescaled, doubtful)
