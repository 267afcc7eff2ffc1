"""The identifying values of an export, for a search through the outputs. They are held in memory, never written or shown."""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from PIL import Image
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID_dictionary

from data_prep.exports.kinds import HEAD, MGH_HEADER, Kind, sniff
from data_prep.exports.sources import Found, opened
from data_prep.exports.walk import walk
from data_prep.privacy.elements import asked_of
from data_prep.readers.quiet import quiet
from data_prep.readers.raster import FORMATS
from data_prep.running.parallel import in_order
from data_prep.scan import table_content
from data_prep.site_file import Site
from data_prep.targets.labels import BY_ARRAY, identifying_cells
from workspace.progress import track

PERSON, NUMBER, UID, DATE = "person's name", "patient or visit number", "UID", "date"
TEXT, NESTED, PRIVATE, META = (
    "text element",
    "nested element",
    "private element",
    "file meta element",
)
PREAMBLE, NAME, CELL, PICTURE = (
    "preamble or header text",
    "file or folder name",
    "labels table identifier",
    "picture's text",
)

NUMBERS = (
    "PatientID",
    "OtherPatientIDs",
    "IssuerOfPatientID",
    "AccessionNumber",
    "AdmissionID",
    "StudyID",
    "ServiceEpisodeID",
    "DeviceSerialNumber",
    "MedicalRecordLocator",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "PlateID",
    "DetectorID",
)
MAKERS = ("Manufacturer", "ManufacturerModelName")  # typed fields that fewsite writes
# PS3.5 6.2: text of free content. CS, coded, is no free text outside of private elements, and numbers and times alone identify nobody.
TEXT_VRS = ("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT")
BYTES_VRS = ("OB", "OW", "UN")
MOST_BYTES = 4096  # of a private element of bytes; longer ones are tables and images
MOST_TEXT = (
    2**20
)  # bytes: of a header of text, of what follows an MGH file's voxels, of one box of JPEG 2000
MGH_BYTES = {0: 1, 1: 4, 3: 4, 4: 2, 10: 2}  # of a voxel, by type
JP2 = b"\0\0\0\x0cjP  "
PREAMBLE_BYTES = 128  # PS3.10 7.1
END_OF_HEADER = re.compile(
    rb"\r?\n\r?\n|ElementDataFile"
)  # NRRD's blank line, MetaImage's last field
PRINTABLE = re.compile(rb"[\x20-\x7e]{6,}")  # shorter runs of printable bytes are chance
FIELD = re.compile(
    r"[#\s]*[\w ./-]*?\w\s*(?::=|[:=])(?=.)"
)  # a name before its value, as headers of text write them
BETWEEN = re.compile(r"[;\"<>\0]")  # several values


@dataclass
class Identifiers:
    """Value -> its kind. `makers`: makers' and models' names. `unread`: files of which only the name is known."""

    values: dict[str, str] = field(default_factory=dict)
    makers: set[str] = field(default_factory=set)
    files: int = 0
    unread: int = 0

    def add(self, kind: str, value: str) -> None:
        """The first kind of a value stays."""
        value = value.strip(" \0\r\n\t")
        if value:
            self.values.setdefault(value, kind)

    def update(self, other: "Identifiers") -> None:
        for value, kind in other.values.items():
            self.values.setdefault(value, kind)
        self.makers |= other.makers
        self.files += other.files
        self.unread += other.unread


def collect(root: Path, name: str, site: Site, workers: int) -> Identifiers:
    """All identifying values of one site's export. Raises Refusal."""
    gathered = Identifiers()
    if site.labels.match == BY_ARRAY:  # an .npz names nobody
        return gathered
    for cell in identifying_cells(
        table_content(root, name, site), f"{name} {site.labels.file}", site
    ):
        gathered.add(CELL, cell)
        _add_path(gathered, cell.replace("\\", "/"))
    files = walk(root)
    for found in track(
        in_order(partial(_of_files, asked=asked_of(site.labels)), files, workers),
        f"{name}: reading identifiers",
        total=len(files),
    ):
        gathered.update(found)
    return gathered


def _of_files(files: list[Found], asked: tuple[str, ...]) -> list[Identifiers]:
    return [_of_file(found, asked) for found in files]


def _of_file(found: Found, asked: tuple[str, ...]) -> Identifiers:
    """`asked`: keywords of elements that the site's labels are matched by, identifying whatever their kind."""
    gathered = Identifiers(files=1)
    try:
        with quiet(), opened(found) as stream:
            kind = sniff(stream.read(HEAD))
            stream.seek(0)
            match kind:
                case Kind.DICOM | Kind.BARE_DICOM:
                    _add_dicom(gathered, stream, kind is Kind.BARE_DICOM, asked)
                case Kind.NIFTI | Kind.NIFTI_PAIR | Kind.ANALYZE:
                    _add_printable(gathered, PREAMBLE, _nifti_header(stream))
                case Kind.NRRD | Kind.METAIMAGE:
                    _add_lines(gathered, END_OF_HEADER.split(stream.read(MOST_TEXT), 1)[0])
                case Kind.MGH:
                    _add_commands(gathered, _mgh_tags(stream))
                case Kind.PNG | Kind.JPEG | Kind.TIFF | Kind.BMP:
                    _add_picture(gathered, stream)
                case Kind.JPEG2000:
                    _add_printable(gathered, PICTURE, _jpeg_2000_boxes(stream))
    except Exception:  # damaged files raise anything; what was read of them until then is kept
        gathered.unread = 1
    _add_path(gathered, found.name)
    return gathered


def _add_path(gathered: Identifiers, name: str) -> None:
    path = PurePosixPath(name)
    for part in (*path.parts, path.stem):
        gathered.add(NAME, part)


def _add_dicom(gathered: Identifiers, stream: BinaryIO, bare: bool, asked: tuple[str, ...]) -> None:
    if not bare:
        _add_printable(gathered, PREAMBLE, stream.read(PREAMBLE_BYTES))
        stream.seek(0)
    data = dcmread(stream, force=True)
    for element in _elements(data):
        if element.keyword in MAKERS:
            gathered.makers.update(_texts(element))
        else:
            _add_element(gathered, element, NUMBER if element.keyword in NUMBERS else TEXT)
        for text in _texts(element) if element.keyword in asked else ():
            gathered.add(NUMBER, text)
    for element in _elements(data.file_meta):
        _add_element(gathered, element, META)


def _elements(data: Dataset) -> Iterator[DataElement]:
    """The elements that can be read: one that is malformed does not hide the others."""
    for tag in sorted(
        data.keys()
    ):  # a data set iterates over its elements, and fails at the first that is malformed
        try:
            yield data[tag]
        except Exception:  # converting a malformed value may raise anything
            continue


def _add_element(gathered: Identifiers, element: DataElement, kind: str) -> None:
    """`kind`: of text in this place. Sequences are entered; what lies in a private element is private however deep."""
    if element.tag.is_private:
        if element.tag.is_private_creator:
            return
        kind = PRIVATE
    if element.VR == "SQ":
        for item in element.value:
            for inner in _elements(item):
                _add_element(
                    gathered,
                    inner,
                    PRIVATE if kind == PRIVATE else NUMBER if inner.keyword in NUMBERS else NESTED,
                )
    elif element.VR in BYTES_VRS:
        if (
            (kind in (PRIVATE, META) or element.VR == "UN")
            and element.value
            and len(element.value) <= MOST_BYTES
        ):
            _add_printable(gathered, kind, bytes(element.value))
    elif (
        element.VR in TEXT_VRS
        or element.VR in ("PN", "UI", "DA", "DT")
        or (element.VR == "CS" and kind == PRIVATE)
    ):
        for text in _texts(element):
            match element.VR:
                case "PN":
                    gathered.add(PERSON, text)
                case "UI":
                    if text not in UID_dictionary:
                        gathered.add(UID, text)
                case "DA" | "DT":
                    gathered.add(DATE, text[:8])
                case _:
                    for line in text.splitlines():
                        gathered.add(kind, line)


def _texts(element: DataElement) -> list[str]:
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    return [str(one).strip(" \0") for one in values if one is not None]


def _add_printable(gathered: Identifiers, kind: str, content: bytes) -> None:
    for run in PRINTABLE.findall(content):
        _add_text(gathered, kind, run.decode("ascii"))


def _add_lines(gathered: Identifiers, content: bytes) -> None:
    """A header of text."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    for line in text.splitlines():
        _add_text(gathered, PREAMBLE, line)


def _add_commands(gathered: Identifiers, content: bytes) -> None:
    """Command lines, whose words may be paths that hold a patient's name."""
    _add_printable(gathered, PREAMBLE, content)
    for word in content.replace(b"\0", b" ").split():
        _add_path(gathered, word.decode("utf-8", "replace"))


def _add_text(gathered: Identifiers, kind: str, text: str) -> None:
    """A text as it stands and, since outputs would hold it alone, what it says of a field."""
    gathered.add(kind, text)
    for part in BETWEEN.split(FIELD.sub("", text, count=1) if FIELD.match(text) else text):
        part = part.strip("# \t")
        if part != text:
            gathered.add(PERSON if "^" in part else kind, part)


def _nifti_header(stream: BinaryIO) -> bytes:
    """The header and its extensions, without voxels, which would read as text by chance."""
    head = stream.read(HEAD)
    order = "<" if struct.unpack("<i", head[:4])[0] in (348, 540) else ">"
    version_1 = struct.unpack(order + "i", head[:4])[0] == 348
    size, voxels = (
        (348, int(struct.unpack(order + "f", head[108:112])[0]))
        if version_1
        else (540, struct.unpack(order + "q", head[168:176])[0])
    )
    stream.seek(0)
    return stream.read(max(size, min(voxels, MOST_BYTES)))


def _mgh_tags(stream: BinaryIO) -> bytes:
    """What follows the voxels: the commands that made the file, and paths of other files."""
    *sizes, kind = struct.unpack(">5i", stream.read(MGH_HEADER)[4:24])
    stream.seek(MGH_HEADER + math.prod(sizes) * MGH_BYTES[kind])
    return stream.read(MOST_TEXT)


def _jpeg_2000_boxes(stream: BinaryIO) -> bytes:
    """What lies around the codestream (T.800 I.4): XML, UUIDs and what else is written there; and the codestream's comments (A.9.2)."""
    content = stream.read()
    texts, place = [], 0
    while content.startswith(JP2) and place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if length == 1:
            length = struct.unpack_from(">Q", content, place + 8)[0]
        end = place + length if length else len(content)
        texts += [content[place + 8 : min(end, place + MOST_TEXT)]] if kind != b"jp2c" else []
        place = max(end, place + 8)
    for comment in re.finditer(rb"\xff\x64(..)", content, re.DOTALL):
        texts.append(
            content[comment.end() : comment.end() + struct.unpack(">H", comment[1])[0] - 2]
        )
    return b"\0".join(texts)


def _add_picture(gathered: Identifiers, stream: BinaryIO) -> None:
    image = Image.open(stream, formats=FORMATS)
    values: list[Any] = [*image.info.values(), *image.getexif().values()]
    for value in values:
        if isinstance(value, str):
            gathered.add(PICTURE, value)
        elif isinstance(value, bytes) and len(value) <= MOST_BYTES:
            _add_printable(gathered, PICTURE, value)
