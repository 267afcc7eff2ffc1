"""What a NRRD or MetaImage header promises, field by field.

http://teem.sourceforge.net/nrrd/format.html, https://itk.org/Wiki/MetaIO/Documentation
"""

import math
import re
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from data_prep.readers.itk.encoded import (
    BZIP2,
    ENCODINGS,
    GZIP,
    RAW,
    TEXT,
    TO_THE_END,
    Encoding,
)
from data_prep.rejects import Rejected

NRRD_MAGIC = b"NRRD000"  # and the version
NRRD, META = "nrrd", "metaimage"
MAX_HEADER = 2**20  # bytes; segmentations list every segment in theirs
# In one unit of the header.
MM = {
    "": 1.0,
    "?": 1.0,
    "???": 1.0,
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "um": 0.001,
}
VECTOR = re.compile(r"none|\([^()]*\)")  # one axis of NRRD's space directions
DATA_FILE = ("data file", "ElementDataFile")

NRRD_TYPES = {
    name: code
    for code, names in {  # http://teem.sourceforge.net/nrrd/format.html#type
        "i1": ("signed char", "int8", "int8_t"),
        "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
        "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
        "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
        "i4": ("int", "signed int", "int32", "int32_t"),
        "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
        "i8": (
            "longlong",
            "long long",
            "long long int",
            "signed long long",
            "signed long long int",
            "int64",
            "int64_t",
        ),
        "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
        "f4": ("float",),
        "f8": ("double",),
    }.items()
    for name in names
}
NRRD_SPACES = (
    "left-posterior-superior",
    "lps",
    "right-anterior-superior",
    "ras",
    "left-anterior-superior",
    "las",
)
SPATIAL_KINDS = ("domain", "space", "???", "none")
# https://itk.org/Wiki/MetaIO/Documentation; MET_LONG has 4 bytes or 8, so it is left out
META_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
META_MATRIX = ("TransformMatrix", "Orientation", "Rotation")
META_GEOMETRY = (*META_MATRIX, "Offset", "Position", "Origin", "ElementSpacing")
COLOURS = 3


@dataclass(frozen=True)
class ItkHeader:
    """What a header promises.

    `sizes`: columns, rows, slices; `geometry`: the lines that SimpleITK is given.

    `in_data_files`: whether the voxels lie in data files, and do not follow the header. `oriented`,
    `spaced`: whether it says how the voxels lie in the patient, and how large they are; `unit`: mm
    in its own.
    """

    kind: str
    sizes: tuple[int, ...]
    colours: int
    element: np.dtype
    encoding: Encoding
    in_data_files: bool
    oriented: bool
    spaced: bool
    unit: float
    geometry: tuple[str, ...]

    @property
    def count(self) -> int:
        return math.prod(self.sizes) * self.colours

    @property
    def bytes(self) -> int:
        return self.count * self.element.itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        """(columns, rows) of an image or (columns, rows, slices) of a volume."""
        return self.sizes if len(self.sizes) == 3 and self.sizes[2] > 1 else self.sizes[:2]


def read_fields(stream: BinaryIO) -> tuple[dict[str, str], bytes, list[str]]:
    """The header's fields, what was read behind it, and the data files that it lists.

    NRRD's names are in small letters, MetaImage's as written.
    """
    start = stream.read(MAX_HEADER)
    nrrd = start.startswith(NRRD_MAGIC)
    end = re.search(
        rb"\r?\n\r?\n" if nrrd else rb"(^|\n)ElementDataFile(?![^\n]*=\s*LIST)[^\n]*\n?", start
    )
    text, rest = (start[: end.end()], start[end.end() :]) if end else (start, b"")
    fields = {"magic": NRRD} if nrrd else {}
    lines = text.decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        name, separator, value = line.partition(":" if nrrd else "=")
        # NRRD's key:=value pairs mean nothing to it.
        if line.startswith("#") or not separator or (nrrd and value.startswith("=")):
            continue
        name = (
            name.strip()
            .lower()
            .replace("datafile", "data file")
            .replace("skip", " skip")
            .replace("  ", " ")
            if nrrd
            else name.strip()
        )
        if name in fields:
            raise Rejected("not_decodable", "a header that says a thing twice")
        fields[name] = value.strip()
        if name in DATA_FILE and value.split()[:1] == ["LIST"]:  # all that follows are names
            return fields, b"", [line.strip() for line in lines[number:] if line.strip()]
    return fields, rest, []


def data_file_of(fields: dict[str, str]) -> str:
    """Which data files the header names; empty where the voxels follow it."""
    written = next((fields[name] for name in DATA_FILE if name in fields), "")
    return "" if written.upper() == "LOCAL" else written


def header_of(fields: dict[str, str]) -> ItkHeader:
    """Raises Rejected where a field is missing or says what is not read here."""
    try:
        header = _nrrd(fields) if "magic" in fields else _meta(fields)
    except (KeyError, ValueError, IndexError) as error:
        raise Rejected("not_decodable", f"{type(error).__name__} in its header") from None
    if (
        len(header.sizes) < 2
        or min(*header.sizes, header.colours) < 1
        or header.encoding.skip < TO_THE_END
        or header.encoding.lines < 0
    ):
        raise Rejected("not_decodable", "dimensions that cannot be")
    if header.colours > 1 and (
        header.colours != COLOURS or header.element != np.uint8 or len(header.shape) == 3
    ):
        raise Rejected(
            "several_values",
            "several values in each voxel of a volume, or colours of other than three times 8 bits",
        )
    return header


def _nrrd(fields: dict[str, str]) -> ItkHeader:
    sizes = _whole(fields["sizes"])
    directions = (
        VECTOR.findall(fields["space directions"].lower())
        if "space directions" in fields
        else [""] * len(sizes)
    )
    kinds = fields["kinds"].lower().split() if "kinds" in fields else ["domain"] * len(sizes)
    if not len(sizes) == int(fields["dimension"]) == len(directions) == len(kinds):
        raise ValueError
    spatial = [
        axis
        for axis in range(len(sizes))
        if directions[axis] != "none" and kinds[axis] in SPATIAL_KINDS
    ]
    colours = sizes[0] if 0 not in spatial else 1
    if any(sizes[axis] > 1 for axis in range(1, len(sizes)) if axis not in spatial[:3]):
        raise Rejected("time_series")
    encoding, lines = ENCODINGS.get(fields["encoding"].lower()), int(fields.get("line skip", 0))
    if encoding is None:
        raise Rejected("unread_encoding")
    space = fields.get("space", "").lower()
    geometry = _nrrd_geometry(fields, space, directions, spatial[:3])
    in_data_files = bool(data_file_of(fields))
    if in_data_files and encoding in (GZIP, BZIP2) and not lines:
        encoding = RAW  # a packed file is unpacked where it is opened
    code = NRRD_TYPES.get(" ".join(fields["type"].lower().split()))
    return ItkHeader(
        NRRD,
        tuple(sizes[axis] for axis in spatial[:3]),
        colours,
        element=_element(
            code,
            code not in ("i1", "u1") and encoding != TEXT and fields["endian"].lower() == "big",
        ),
        encoding=Encoding(encoding, lines, int(fields.get("byte skip", 0))),
        in_data_files=in_data_files,
        oriented=space in NRRD_SPACES and "space directions" in fields,
        spaced=bool(geometry),
        unit=_unit(fields.get("space units" if "space directions" in fields else "units", "")),
        geometry=tuple(geometry),
    )


def _nrrd_geometry(
    fields: dict[str, str], space: str, directions: list[str], spatial: list[int]
) -> list[str]:
    """The lines that say how the `spatial` axes lie."""
    if "space directions" in fields:
        if space in NRRD_SPACES:
            lines = [f"space: {space}"]
        else:
            lines = [f"space dimension: {directions[spatial[0]].count(',') + 1}"]
        lines.append("space directions: " + " ".join(directions[axis] for axis in spatial))
        if "space origin" in fields:
            lines.append(f"space origin: {fields['space origin']}")
        return lines
    if "spacings" in fields:
        spacings = fields["spacings"].split()
        return ["spacings: " + " ".join(spacings[axis] for axis in spatial)]
    return []


def _meta(fields: dict[str, str]) -> ItkHeader:
    sizes = _whole(fields["DimSize"])
    if len(sizes) != int(fields["NDims"]):
        raise ValueError
    if math.prod(sizes[3:]) > 1:
        raise Rejected("time_series")
    packed, skip = _true(fields, "CompressedData"), int(fields.get("HeaderSize", 0))
    if packed and skip:
        raise Rejected("unread_encoding", "packed behind a header of their own")
    if (
        float(fields.get("ElementToIntensityFunctionSlope", 1)) != 1
        or float(fields.get("ElementToIntensityFunctionOffset", 0)) != 0
    ):
        raise Rejected("bad_rescale", "an intensity function, which readers do not agree on")
    # MetaIO would read on into the next lines.
    if any(
        len(fields[name].split()) != len(sizes) ** (2 if name in META_MATRIX else 1)
        for name in META_GEOMETRY
        if name in fields
    ):
        raise ValueError
    encoding = GZIP if packed else RAW if _true(fields, "BinaryData", "true") else TEXT
    big = _true(fields, "BinaryDataByteOrderMSB") or _true(fields, "ElementByteOrderMSB")
    return ItkHeader(
        META,
        sizes[:3],
        int(fields.get("ElementNumberOfChannels", 1)),
        element=_element(META_TYPES.get(fields["ElementType"]), big),
        encoding=Encoding(encoding, 0, skip),
        in_data_files=fields["ElementDataFile"].upper() != "LOCAL",
        oriented=any(name in fields for name in META_MATRIX),
        spaced="ElementSpacing" in fields,
        unit=_unit(fields.get("DistanceUnits", "")),
        geometry=tuple(
            f"{name} = {_of_space(name, fields[name], len(sizes))}"
            for name in META_GEOMETRY
            if name in fields
        ),
    )


def _of_space(name: str, text: str, axes: int) -> str:
    """What a field of MetaImage says of the first three axes.

    Raises ValueError where another one is not at right angles to them.
    """
    written = np.array(text.split())
    if name in META_MATRIX:
        written = written.reshape(axes, axes)
        if np.any(written[:3, 3:].astype(float)) or np.any(written[3:, :3].astype(float)):
            raise ValueError
        written = written[:3, :3]
    return " ".join(written[:3].ravel())


def _whole(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split())


def _true(fields: dict[str, str], name: str, default: str = "false") -> bool:
    return fields.get(name, default).lower() in ("true", "1")


def _element(code: str | None, big: bool) -> np.dtype:
    if code is None:
        raise Rejected("unsupported_pixels", "a type of voxels that fewsite does not read")
    return np.dtype((">" if big else "<") + code)


def _unit(text: str) -> float:
    """Millimetres in the one unit that `text` names, once an axis or once at all; nothing said
    means mm.
    """
    units = {unit.lower() for unit in re.findall(r'[^\s"]+', text)} or {""}
    if len(units) > 1 or not units <= MM.keys():
        raise Rejected("no_spacing", "an unknown unit of length")
    return MM[units.pop()]
