"""What is known of one image file: its header while in memory, and its pixels."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from data_prep.exports.sources import Found
from data_prep.readers.dicom.frame_bytes import StoredFrame
from data_prep.readers.dicom.native import Native

T = TypeVar("T")
Rectangle = tuple[int, int, int, int]  # top, left, rows, columns; pixels


@lru_cache(maxsize=4096)
def shared(value: T) -> T:
    """The first of equal values: of millions of headers many say the same, and one copy of it is enough."""
    return value


@lru_cache(maxsize=4096)
def shared_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The same of whole numbers alone: a spacing of (4.0, 4.0) equals a shape of (4, 4), and must not be taken for it."""
    return shape


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a header may leave the hospital: every value has passed a gate of data_prep/privacy/deidentify.py."""

    transfer_syntax: str
    photometric: str | None = None
    modality: str = "OT"
    manufacturer: str | None = None
    model: str | None = None
    age: float | None = None  # years
    sex: str | None = None
    study_year: int | None = None
    spacing: tuple[float, ...] | None = None  # mm, one a spatial axis
    units: str | None = (
        None  # of grey values, by data_prep/readers/dicom/units.py; None where the format says nothing
    )
    unread: tuple[str, ...] = ()  # of age and sex: what stands in the header and is not understood


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slice lies in the patient. `position`: centre of the first voxel (mm, LPS); `orientation`: PS3.3 C.7.6.2.1.1."""

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    localizer: bool = False
    stated: int | None = None  # slices that the header says there are
    stack: str = ""  # PS3.3 C.7.6.16.2.2.4
    meaning: tuple[
        object, ...
    ] = ()  # what the values show (image type, echo time, ...): the same all through a volume
    moments: tuple[
        object, ...
    ] = ()  # what may tell one time point from the next, in the order in which it is trusted
    number: int | None = None  # Instance Number
    times: int | None = None  # time points that the header says there are
    between: tuple[float, ...] | None = (
        None  # mm from slice to slice that the header says there are
    )
    units: str | None = None  # of its values, as in Facts


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image file's header. `identifiers` and `found.name` are a patient's values: for matching and keys, never written.

    `parts`: the names of the files that hold its voxels, where the header is a file of its own; `data`: those files.
    `keep`: all that is used of each slice, None for the whole; `shape` is of the whole, `place` of what is kept.
    """

    found: Found
    kind: str
    shape: tuple[int, ...]  # (rows, columns), or (slices, rows, columns)
    facts: Facts
    identifiers: dict[str, str] = field(default_factory=dict)  # DICOM keyword -> value
    place: Place | None = None
    frames: tuple[
        tuple[Place, tuple[float, ...] | None], ...
    ] = ()  # place and spacing of each slice of a multi-frame file
    volumes: int = 1  # that lie one behind the other in the file: the time points of a 4D NIfTI
    frame: int | None = (
        None  # which of a multi-frame file's slices, or a 4D file's volumes, this is
    )
    parts: tuple[str, ...] = ()
    data: tuple[Found, ...] = ()
    clean: bool = (
        False  # its sender says that it shows no patient's data: Burned In Annotation is NO
    )
    exposed: bool = False  # its sender says that a patient may be known by it, or nobody says that a whole slide shows no label
    regions: Rectangle | None = None  # what the ultrasound regions of its header span
    keep: Rectangle | None = None
    reversed_rows: bool = (
        False  # of a sequence that turns some volumes upside down and does not say which
    )
    affine: np.ndarray | None = field(
        default=None, compare=False
    )  # voxel (column, row, slice) -> mm, RAS, where the file says it
    doubts: tuple[str, ...] = ()  # where its header says one thing in two ways: names of flags
    native: Native | StoredFrame | None = (
        None  # where its pixels lie, if they can be read without parsing the file again
    )
    stored: tuple[StoredFrame, ...] = ()  # the same of each slice of a multi-frame file

    @property
    def files(self) -> tuple[Found, ...]:
        """The header's file, and those of its voxels."""
        return (self.found, *self.data)

    @property
    def kept_shape(self) -> tuple[int, ...]:
        return self.shape if self.keep is None else (*self.shape[:-2], *self.keep[2:])

    @property
    def source(self) -> str:
        """What the record's key is made from."""
        file = self.identifiers.get("SOPInstanceUID") or self.found.name
        return file if self.frame is None else f"{file}\n{self.frame}"

    @property
    def slices(self) -> list["ImageFile"]:
        """Itself, or each of a multi-frame file's slices, or a 4D file's volumes."""
        if self.volumes > 1:
            return [replace(self, volumes=1, frame=frame) for frame in range(self.volumes)]
        if not self.frames:
            return [self]
        return [
            replace(
                self,
                shape=self.shape[1:],
                facts=shared(replace(self.facts, spacing=spacing, units=place.units)),
                place=place,
                frames=(),
                stored=(),
                frame=frame,
                native=self.stored[frame] if self.stored else None,
            )
            for frame, (place, spacing) in enumerate(self.frames)
        ]


@dataclass(frozen=True)
class Pixels:
    """Decoded values. Grey: (*space) float32 in physical units where the file has them; photograph: (rows, columns, 3) uint8.

    `valid`: false where the file says there is padding; None where there is none. `inverted`: the lowest value is white.
    `rescaled`: false where a file does not say what its stored grey values mean.
    `turned`: made upright by EXIF, so that they lie elsewhere than in the file.
    `doubtful`: some lie outside the range that the file states, though its compression loses nothing, so it may be damaged.
    """

    values: np.ndarray
    valid: np.ndarray | None = None
    inverted: bool = False
    rescaled: bool = True
    doubtful: bool = False
    turned: bool = False

    @property
    def photograph(self) -> bool:
        return self.values.dtype == np.uint8 and self.values.ndim == 3
