"""What a site keeps of its devices' images.

All else is cut off as soon as it is decoded, before any value is looked at.
"""

from dataclasses import replace

import numpy as np

from data_prep.readers.image_file import ImageFile, Pixels, Place, Rectangle
from data_prep.rejects import Rejected
from data_prep.site_file import Site


def rule_of(image: ImageFile, site: Site) -> int | None:
    """Which of the site's crop rules applies to an image: the first, of which every value that is
    set is true.
    """
    rows, columns = image.header.shape[-2:]
    stated = {
        "modality": image.header.facts.modality,
        "manufacturer": image.identity.elements.get("Manufacturer"),
        "model": image.identity.elements.get("ManufacturerModelName"),
        "rows": rows,
        "columns": columns,
    }
    return next(
        (
            at
            for at, rule in enumerate(site.crop)
            if all(getattr(rule, name) in (None, value) for name, value in stated.items())
        ),
        None,
    )


def with_rectangle(image: ImageFile, keep: Rectangle | None) -> ImageFile:
    """`image`, of which `keep` alone is used, with its place.

    Raises Rejected where there is no such rectangle.
    """
    if keep is None:
        raise Rejected("crop_does_not_fit", "no ultrasound regions in the header")
    top, left, rows, columns = keep
    if (
        min(top, left) < 0
        or min(rows, columns) < 1
        or top + rows > image.header.shape[-2]
        or left + columns > image.header.shape[-1]
    ):
        raise Rejected("crop_does_not_fit", "a rectangle that does not lie in the image")
    header = image.header
    frames = tuple((_moved(place, spacing, keep), spacing) for place, spacing in header.frames)
    place = _moved(header.place, header.facts.spacing, keep)
    return replace(image, header=replace(header, keep=keep, place=place, frames=frames))


def cut(pixels: Pixels, image: ImageFile) -> Pixels:
    """What is kept of an image or of each slice of a volume. Raises Rejected."""
    if image.header.keep is None:
        return pixels
    top, left, rows, columns = image.header.keep
    shape = pixels.values.shape[:-1] if pixels.photograph else pixels.values.shape
    if pixels.turned:
        raise Rejected(
            "crop_does_not_fit",
            "a picture that EXIF turns or mirrors, so that its rectangle lies elsewhere",
        )
    if shape[-2:] != image.header.shape[-2:]:
        raise Rejected("crop_does_not_fit", "pixels of another shape than the header says")
    down, across = slice(top, top + rows), slice(left, left + columns)
    values = (
        pixels.values[..., down, across, :]
        if pixels.photograph
        else pixels.values[..., down, across]
    )
    valid = None if pixels.valid is None else pixels.valid[..., down, across]
    return replace(pixels, values=values, valid=valid)


def _moved(place: Place, spacing: tuple[float, ...] | None, keep: Rectangle) -> Place:
    """The place of a slice after its first voxel is another one (PS3.3 C.7.6.2.1.1).

    `spacing`: mm, of rows and columns.
    """
    if place.position is None or place.orientation is None or spacing is None:
        return place
    along_row, along_column = np.reshape(place.orientation, (2, 3))
    corner = place.position + along_row * spacing[1] * keep[1] + along_column * spacing[0] * keep[0]
    return replace(place, position=tuple(map(float, corner)))
