"""DICOM files, with the preamble of PS3.10 7.1 or without it."""

from collections.abc import Sequence
from typing import BinaryIO, ClassVar

from data_prep.exports.kinds import has_dicom_preamble, starts_like_dicom
from data_prep.exports.sources import Found, opened
from data_prep.privacy.identifying_values import PREAMBLE, IdentifyingValues
from data_prep.readers.base import FIRST, LAST, Reader
from data_prep.readers.dicom import file
from data_prep.readers.dicom.identifiers import add_elements
from data_prep.readers.image_file import ImageFile, Pixels

DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
PREAMBLE_BYTES = 128
KIND = "dicom"


class Dicom(Reader):
    """A file with a preamble, whatever else that says: some make a TIFF of it, too."""

    kinds: ClassVar[tuple[str, ...]] = (KIND,)
    endings: ClassVar[tuple[str, ...]] = DICOM_ENDINGS
    rank = FIRST

    def sniff(self, head: bytes) -> str | None:
        return KIND if has_dicom_preamble(head) else None

    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        return file.read_header(stream, found, asked=asked)

    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        values.add_printable(PREAMBLE, stream.read(PREAMBLE_BYTES))
        stream.seek(0)
        add_elements(values, stream, asked)

    def pixels(self, images: Sequence[ImageFile]) -> list[Pixels]:
        with opened(images[0].identity.found) as stream:
            return file.read_slices(stream, images)


class BareDicom(Dicom):
    """A data set alone. Only parsing tells whether it is one, so all other readers look first."""

    kinds = ()
    endings = ()
    rank = LAST

    def sniff(self, head: bytes) -> str | None:
        return KIND if starts_like_dicom(head) else None

    def header(self, stream: BinaryIO, found: Found, asked: tuple[str, ...] = ()) -> ImageFile:
        return file.read_header(stream, found, bare=True, asked=asked)

    def identifiers(
        self, stream: BinaryIO, values: IdentifyingValues, asked: tuple[str, ...] = ()
    ) -> None:
        add_elements(values, stream, asked)


READERS = (Dicom(), BareDicom())
