"""What is known of one image file: its header while in memory, and its pixels."""

from dataclasses import dataclass, field

import numpy as np

from data_prep.sources import Found


@dataclass(frozen=True)
class Facts:
    """What of a header may leave the hospital: every value has passed a gate of data_prep/deidentify.py."""

    transfer_syntax: str
    photometric: str | None = None
    modality: str = "OT"
    manufacturer: str | None = None
    model: str | None = None
    age: float | None = None  # years
    sex: str | None = None
    study_year: int | None = None
    spacing: tuple[float, ...] | None = None  # mm, one a spatial axis


@dataclass(frozen=True)
class Place:
    """Where a slice lies in the patient. `position`: centre of the first voxel (mm, LPS); `orientation`: PS3.3 C.7.6.2.1.1."""

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    localizer: bool = False
    stated: int | None = None  # slices that the header says there are


@dataclass(frozen=True)
class ImageFile:
    """One image file's header. `identifiers` and `found.name` are a patient's values: for matching and keys, never written.

    `part`: the name of the file that holds its voxels, where the header is a file of its own; `data`: that file.
    """

    found: Found
    kind: str
    shape: tuple[int, ...]  # (rows, columns), or (slices, rows, columns)
    facts: Facts
    identifiers: dict[str, str] = field(default_factory=dict)  # DICOM keyword -> value
    place: Place | None = None
    part: str = ""
    data: Found | None = None

    @property
    def source(self) -> str:
        """What the record's key is made from."""
        return self.identifiers.get("SOPInstanceUID") or self.found.name


@dataclass(frozen=True)
class Pixels:
    """Decoded values. Grey: (*space) float32 in physical units where the file has them; photograph: (rows, columns, 3) uint8.

    `valid`: false where the file says there is padding; None where there is none. `inverted`: the lowest value is white.
    """

    values: np.ndarray
    valid: np.ndarray | None = None
    inverted: bool = False

    @property
    def photograph(self) -> bool:
        return self.values.dtype == np.uint8 and self.values.ndim == 3
