"""What is known of one image file: whose it is, its header, and its pixels."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from data_prep.exports.sources import Found
from data_prep.readers.dicom.pixels.frame_bytes import StoredFrame
from data_prep.readers.dicom.pixels.native import Native

T = TypeVar("T")
Rectangle = tuple[int, int, int, int]  # top, left, rows, columns; pixels


@lru_cache(maxsize=4096)
def shared(value: T) -> T:
    """The first of equal values: millions of headers say the same, and one copy is enough."""
    return value


@lru_cache(maxsize=4096)
def shared_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The same of whole numbers alone: a spacing of (4.0, 4.0) equals a shape of (4, 4)."""
    return shape


@dataclass(frozen=True, slots=True)
class Facts:
    """What records and tables say of an image.

    Every value has passed a gate of data_prep/privacy/deidentify.py.
    """

    transfer_syntax: str
    photometric: str | None = None
    modality: str = "OT"
    manufacturer: str | None = None
    model: str | None = None
    age: float | None = None  # years
    sex: str | None = None
    study_year: int | None = None
    spacing: tuple[float, ...] | None = None  # mm, one a spatial axis
    # Of grey values, by data_prep/readers/dicom/units.py; None where the format says nothing.
    units: str | None = None
    unread: tuple[str, ...] = ()  # of age and sex: what stands in the header and is not understood


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slice lies in the patient, and what parts it from others of its series.

    `position`: centre of the first voxel (mm, LPS); `orientation`: PS3.3 C.7.6.2.1.1. `stack`:
    PS3.3 C.7.6.16.2.2.4.
    """

    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    localizer: bool = False
    stated: int | None = None  # slices that the header says there are
    stack: str = ""
    # What the values show (image type, echo time, ...): the same all through a volume.
    meaning: tuple[Hashable, ...] = ()
    # What may tell one time point from the next, in the order in which it is trusted.
    moments: tuple[Hashable, ...] = ()
    number: int | None = None  # Instance Number
    times: int | None = None  # time points that the header says there are
    between: tuple[float, ...] | None = None  # mm from slice to slice, as the header says
    units: str | None = None  # of its values, as in Facts

    @property
    def known(self) -> bool:
        """Whether it says where the slice lies, and how."""
        return self.position is not None and self.orientation is not None


NOWHERE = Place()  # of images that belong to no series of slices


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose an image is, and where it was found. All of it may name a patient.

    It stays in memory, for matching and keyed hashes; nothing of it is ever written or shown.
    `elements`: DICOM keyword -> value. `parts`: the names of the files that hold its voxels, where
    the header is a file of its own; `data`: those files.
    """

    found: Found
    elements: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    data: tuple[Found, ...] = ()

    @property
    def files(self) -> tuple[Found, ...]:
        """The header's file, and those of its voxels."""
        return (self.found, *self.data)

    @property
    def series(self) -> str:
        """Series Instance UID; empty where there is none."""
        return self.elements.get("SeriesInstanceUID", "")

    @property
    def instance(self) -> str:
        """SOP Instance UID; empty where there is none."""
        return self.elements.get("SOPInstanceUID", "")


@dataclass(frozen=True, slots=True)
class Header:
    """What an image is and how it lies: no name, number or date of a patient.

    `shape`: (rows, columns), or (slices, rows, columns), of the whole; `place` is of what is kept.
    `frames`: place and spacing of each slice of a multi-frame file. `volumes`: that lie one behind
    the other in the file, as the time points of a 4D NIfTI. `frame`: which of either this is.
    `affine`: voxel (column, row, slice) -> mm, RAS, where the file says it. `doubts`: names of
    flags, where its header says one thing in two ways.
    """

    kind: str
    shape: tuple[int, ...]
    facts: Facts
    place: Place = NOWHERE
    frames: tuple[tuple[Place, tuple[float, ...] | None], ...] = ()
    volumes: int = 1
    frame: int | None = None
    clean: bool = False  # its sender says that it shows no patient's data (Burned In Annotation NO)
    # Its sender says that a patient may be known by it, or nobody says that a whole slide shows no
    # label.
    exposed: bool = False
    regions: Rectangle | None = None  # what the ultrasound regions of its header span
    keep: Rectangle | None = None  # all that is used of each slice; None for the whole
    # Of a sequence that turns some volumes upside down and does not say which.
    reversed_rows: bool = False
    affine: np.ndarray | None = field(default=None, compare=False)
    doubts: tuple[str, ...] = ()
    # Where its pixels lie, if they can be read without parsing the file again, and the same of
    # each slice of a multi-frame file.
    native: Native | StoredFrame | None = None
    stored: tuple[StoredFrame, ...] = ()

    @property
    def kept_shape(self) -> tuple[int, ...]:
        return self.shape if self.keep is None else (*self.shape[:-2], *self.keep[2:])

    @property
    def is_volume(self) -> bool:
        return len(self.shape) == 3

    @property
    def slices(self) -> list["Header"]:
        """Itself, or each of a multi-frame file's slices, or a 4D file's volumes."""
        if self.volumes > 1:
            return [replace(self, volumes=1, frame=frame) for frame in range(self.volumes)]
        if not self.frames:
            return [self]
        return [self._slice(frame) for frame in range(len(self.frames))]

    def _slice(self, frame: int) -> "Header":
        place, spacing = self.frames[frame]
        return replace(
            self,
            shape=self.shape[1:],
            facts=shared(replace(self.facts, spacing=spacing, units=place.units)),
            place=place,
            frames=(),
            stored=(),
            frame=frame,
            native=self.stored[frame] if self.stored else None,
        )


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image in a file: what identifies it, apart from what may be told of it."""

    identity: Identity
    header: Header

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the files that hold its voxels, where its header is a file of its own."""
        return self.identity.parts

    @property
    def source(self) -> str:
        """What the record's key is made from."""
        file = self.identity.instance or self.identity.found.name
        return file if self.header.frame is None else f"{file}\n{self.header.frame}"

    @property
    def slices(self) -> list["ImageFile"]:
        """Itself, or each of a multi-frame file's slices, or a 4D file's volumes."""
        return [replace(self, header=header) for header in self.header.slices]


@dataclass(frozen=True)
class Pixels:
    """Decoded values.

    Grey: (*space) float32, in physical units where the file has them; photograph: (rows, columns,
    3) uint8. `valid`: false where the file says there is padding; None where there is none.
    `inverted`: the lowest value is white. `rescaled`: false where a file does not say what its
    stored grey values mean. `turned`: made upright by EXIF, so that they lie elsewhere than in the
    file. `doubtful`: some lie outside the range that the file states, though its compression loses
    nothing, so it may be damaged.
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
