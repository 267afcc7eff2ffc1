"""What every reader of a file format does: tell it, read its header, its identifiers and its
pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import BinaryIO, ClassVar

from data_prep.exports.sources import Found
from data_prep.privacy.identifying_values import IdentifyingValues
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.rejects import Rejected

FIRST, LAST = 0, 100


class Reader(ABC):
    """One file format, or several that are read alike. It keeps nothing from file to file.

    `kinds`: the kinds of its images (`Header.kind`). `endings`: of its files' names, in small
    letters; a file is told by its content, and its name only says what it was meant to be. `rank`:
    readers look at a file from low to high, for formats whose start may be another's.
    """

    kinds: ClassVar[tuple[str, ...]]
    endings: ClassVar[tuple[str, ...]] = ()
    rank: ClassVar[int] = 50

    @abstractmethod
    def sniff(self, head: bytes) -> str | None:
        """The kind of a file that starts with `head` (kinds.HEAD bytes, or all); None of others."""

    @abstractmethod
    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        """What a file says of its image; no pixels are read.

        `asked`: keywords of more DICOM elements to match by. Raises Rejected with a reason of
        data_prep/rejects.py.
        """

    @abstractmethod
    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        """Add to `values` all that a file says of a person, for the search through the outputs."""

    @abstractmethod
    def pixels(self, images: Sequence[ImageFile]) -> list[Pixels]:
        """The pixels of images that all lie in one file. Raises Rejected."""


def as_scanned(pixels: Pixels, image: ImageFile) -> Pixels:
    """`pixels`, of the shape that the header had. Raises Rejected where the file is another."""
    shape = image.header.shape
    if pixels.values.shape[: len(shape)] != shape:
        raise Rejected("file_changed")
    return pixels
