"""Sound files of every kind that is read, and strategies that damage them: bytes, lengths and header fields at their extremes."""

import bz2
import gzip
import io
import re
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from hypothesis import strategies as st
from nibabel.freesurfer.mghformat import MGHImage
from PIL import Image, PngImagePlugin
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from data_prep.readers.quiet import quiet
from tests.data_prep.made_dicom import as_bytes, colour, encapsulated, enhanced, grey
from tests.data_prep.made_exports import make_tar, make_zip
from tests.data_prep.made_jpeg import lossless

NAME = "ZZPHI^Doe"  # in every file that has a place for it, as made_dicom's patients are named
SIDE, SLICES = 64, 6
PIXELS = np.random.default_rng(0).integers(0, 4000, (SLICES, SIDE, SIDE)).astype(np.uint16)
PHOTOGRAPH = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
WHOLE = (0, 1, 2, 3, 8, 255, 4096, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)
TEXTS = (
    b"0",
    b"-1",
    b"1e308",
    b"-1e308",
    b"1e-308",
    b"nan",
    b"inf",
    b"",
    b"2147483648",
    b"65535",
    b"x",
    b"1\\2",
    b"\xff\xfe",
    b"1e99\\1e99\\1e99",
    b"0\\0\\0\\0\\0\\0",
    b"99999999999999999999",
)
FLOATS = (0.0, -1.0, 1e-45, 3e38, float("nan"), float("inf"), 65535.0, 1e9)

DICOM_FIELDS = (
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "NumberOfFrames",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "InstanceNumber",
    "ImagesInAcquisition",
    "NumberOfTemporalPositions",
    "SpacingBetweenSlices",
    "PatientAge",
    "StudyDate",
    "ImageType",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SOPClassUID",
    "RedPaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "PhotometricInterpretation",
    "PatientID",
    "ModalityLUTSequence",
    "PerFrameFunctionalGroupsSequence",
    "SharedFunctionalGroupsSequence",
    "PixelData",
    "ExtendedOffsetTable",
    "SpecificCharacterSet",
)
PHOTOMETRIC = (
    b"MONOCHROME1 ",
    b"PALETTE COLOR ",
    b"RGB ",
    b"YBR_FULL",
    b"YBR_FULL_422",
    b"YBR_RCT ",
)
NIFTI_FIELDS = {
    40: "h",
    42: "h",
    44: "h",
    46: "h",
    48: "h",
    70: "h",
    72: "h",
    76: "f",
    80: "f",
    84: "f",
    108: "f",
    112: "f",
    116: "f",
    123: "B",
    252: "h",
    254: "h",
    256: "f",
    280: "f",
    284: "f",
    296: "f",
    312: "f",
    344: "i",
}  # nifti1.h
NIFTI_2_FIELDS = {
    4: "q",
    12: "h",
    14: "h",
    16: "q",
    24: "q",
    32: "q",
    40: "q",
    48: "q",
    104: "d",
    112: "d",
    168: "q",
    176: "d",
    184: "d",
    344: "i",
    348: "i",
    400: "d",
    500: "i",
}  # nifti2.h
BMP_FIELDS = {
    10: "I",
    14: "I",
    18: "i",
    22: "i",
    28: "h",
    30: "I",
    34: "I",
    46: "I",
}  # BITMAPINFOHEADER
MGH_FIELDS = dict.fromkeys((0, 4, 8, 12, 16, 20), "i") | {28: "h", 30: "f", 42: "f", 78: "f"}
TEXT_VALUES = (
    "0",
    "-1",
    "1",
    "99999999999",
    "65535 65535 65535",
    "2147483647 2147483647",
    "nan nan nan",
    "(1,0,0) (1,0,0) (1,0,0)",
    "gzip",
    "raw",
    "bzip2",
    "ascii",
    "hex",
    "LIST",
    "%d.raw 0 99999999 1",
    "",
    "none",
    "1e308 1e308 1e308",
    "double",
    "MET_DOUBLE",
    "True",
    "x.raw",
)
ZIP_FIELDS = {
    b"PK\1\2": (8, 10, 16, 20, 24, 28, 30, 42),
    b"PK\3\4": (6, 8, 14, 18, 22, 26, 28),
    b"PK\5\6": (8, 10, 12, 16, 20),
}  # APPNOTE 4.3


@dataclass(frozen=True)
class Sound:
    """`edited`: changes a field of its header. `pixels`: their bytes as they are read. `wrap`: what it is packed in once its
    header was edited. `names`: the images in it, as labels name them."""

    content: bytes
    edited: Callable[[st.DrawFn, bytes], bytes]
    pixels: int
    name: str = "case"
    wrap: Callable[[bytes], bytes] = bytes
    names: tuple[str, ...] = ("case",)

    @property
    def file(self) -> bytes:
        return self.wrap(self.content)


@dataclass(frozen=True)
class Mutant:
    """What became of a sound file."""

    kind: str
    content: bytes = field(repr=False)


@st.composite
def mutants(draw: st.DrawFn) -> Mutant:
    """A sound file with up to two fields edited, then packed as it was, then damaged up to twice."""
    kind = draw(st.sampled_from(sorted(sound_files())))
    sound = sound_files()[kind]
    content = sound.content
    edits = draw(st.integers(0, 2))
    for _ in range(edits):
        content = sound.edited(draw, content)
    content = sound.wrap(content)
    fewest = 0 if edits else 1
    for _ in range(draw(st.integers(fewest, fewest + 1))):
        content = damaged(draw, content)
    return Mutant(kind, content)


def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes flipped, cut, put in, stated twice, or a length at its extreme; half of the time near the start, where headers are."""
    end = len(content) if draw(st.booleans()) else min(len(content), 1200)
    at = draw(st.integers(0, end))
    match draw(st.sampled_from(["flip", "cut", "end", "insert", "repeat", "extreme"])):
        case "flip":
            return content[:at] + draw(st.binary(min_size=1, max_size=8)) + content[at + 8 :]
        case "cut":
            return content[:at] + content[at + draw(st.integers(1, 2000)) :]
        case "end":
            return content[:at]
        case "insert":
            return content[:at] + draw(st.binary(min_size=1, max_size=64)) + content[at:]
        case "repeat":
            return content[: at + draw(st.integers(1, 2000))] + content[at:]
        case _:
            size = draw(st.sampled_from("HI"))
            written = struct.pack(
                draw(st.sampled_from("<>")) + size,
                draw(st.sampled_from(WHOLE)) % 2 ** (16 if size == "H" else 32),
            )
            return content[:at] + written + content[at + len(written) :]


@cache
def sound_files() -> dict[str, Sound]:
    flat, photograph, deep = PIXELS[0], PHOTOGRAPH, PIXELS.size * 4
    place = {
        "PixelSpacing": [0.7, 0.5],
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    }
    elements = place | {"RescaleSlope": 2, "RescaleIntercept": -5, "PixelPaddingValue": 3}
    made = {
        f"dicom {syntax.name}": dicom(grey(flat, syntax, **elements), flat.size * 4)
        for syntax in (
            ExplicitVRLittleEndian,
            ImplicitVRLittleEndian,
            ExplicitVRBigEndian,
            DeflatedExplicitVRLittleEndian,
            RLELossless,
            JPEGLSLossless,
            JPEG2000Lossless,
        )
    }
    heights = [2.0 * height for height in range(SLICES)]
    made |= {
        f"dicom enhanced {syntax.name}": dicom(
            enhanced(PIXELS, heights, syntax, RescaleSlope=[1.0] * SLICES), deep
        )
        for syntax in (ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless)
    }
    made["dicom JPEG"] = dicom(
        encapsulated(
            colour(photograph, PhotometricInterpretation="YBR_FULL_422"),
            JPEGBaseline8Bit,
            picture("JPEG", photograph),
        ),
        photograph.size,
    )
    made["dicom lossless JPEG"] = dicom(
        encapsulated(grey(flat), JPEGLosslessSV1, lossless(flat, bits=16)), flat.size * 4
    )
    made["dicom photograph"] = dicom(colour(photograph), photograph.size)
    made["dicom RLE photograph"] = dicom(colour(photograph, RLELossless), photograph.size)
    made["dicom palette"] = dicom(palette(), photograph.size)
    made["dicom gzip"] = Sound(
        as_bytes(grey(flat)), edited_dicom, flat.size * 4, wrap=gzip.compress
    )
    for kind, fields in (
        (nibabel.Nifti1Image, NIFTI_FIELDS),
        (nibabel.Nifti2Image, NIFTI_2_FIELDS),
    ):
        made[kind.__name__] = Sound(nifti(kind), edited_at(fields), deep)
        made[f"{kind.__name__} gzip"] = Sound(
            nifti(kind), edited_at(fields), deep, wrap=gzip.compress
        )
    for ending in ("nrrd", "mha"):
        made[ending] = Sound(by_itk(ending, packed=False), edited_text, deep)
        made[f"{ending} packed"] = Sound(by_itk(ending, packed=True), edited_text, deep)
    for kind, edited in (("PNG", edited_png), ("JPEG", edited_stream), ("TIFF", edited_stream)):
        made[f"{kind} colour"] = Sound(picture(kind, photograph), edited, photograph.size)
        made[f"{kind} grey"] = Sound(
            picture(kind, photograph[..., 0] if kind == "JPEG" else flat), edited, flat.size * 4
        )
    made["TIFF packed"] = Sound(
        picture("TIFF", photograph, compression="tiff_adobe_deflate"),
        edited_stream,
        photograph.size,
    )
    made["JPEG 2000 colour"] = Sound(
        picture("JPEG2000", photograph), edited_stream, photograph.size
    )
    made["JPEG 2000 grey"] = Sound(picture("JPEG2000", flat), edited_stream, flat.size * 4)
    made["BMP"] = Sound(picture("BMP", photograph), edited_at(BMP_FIELDS), photograph.size)
    made["mgh"] = Sound(mgh(), edited_at(MGH_FIELDS), deep)
    made["mgz"] = Sound(mgh(), edited_at(MGH_FIELDS), deep, wrap=gzip.compress)
    head = by_itk("nrrd", packed=False).partition(b"\n\n")[0]
    for encoding, content in (
        ("ascii", " ".join(map(str, PIXELS.ravel())).encode()),
        ("hex", PIXELS.tobytes().hex().encode()),
        ("bzip2", bz2.compress(PIXELS.tobytes())),
    ):
        made[f"nrrd {encoding}"] = Sound(
            head.replace(b"encoding: raw", f"encoding: {encoding}".encode()) + b"\n\n" + content,
            edited_text,
            deep,
        )
    slices = {}
    for number, pixels in enumerate(PIXELS):
        elements = place | {
            "SOPInstanceUID": f"1.2.{number}",
            "ImagePositionPatient": [0, 0, 2 * number],
        }
        slices[f"{number}.dcm"] = as_bytes(grey(pixels, **elements))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        archives = {
            "zip": make_zip(path, slices).read_bytes(),
            "tar": make_tar(path, slices).read_bytes(),
        }
        np.savez_compressed(path, train_images=PIXELS, train_labels=np.arange(SLICES) % 2)
        arrays = path.with_suffix(".npz").read_bytes()
    inside = tuple(f"case/{name}" for name in slices)
    made["zip"] = Sound(archives["zip"], edited_zip, deep, names=inside)
    made["tar"] = Sound(archives["tar"], edited_tar, deep, names=inside)
    made["tar gzip"] = Sound(archives["tar"], edited_tar, deep, wrap=gzip.compress, names=inside)
    made["npz"] = Sound(arrays, edited_zip, deep, name="case.npz")
    return made


def dicom(data: Dataset, pixels: int) -> Sound:
    return Sound(as_bytes(data), edited_dicom, pixels)


def palette() -> Dataset:
    data = grey(PIXELS[0].astype(np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(data, f"{name}PaletteColorLookupTableData", bytes(range(256)))
    return data


def picture(kind: str, array: np.ndarray, **options: str) -> bytes:
    stream, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("Description", NAME)
    Image.fromarray(array).save(
        stream, kind, description=NAME, comment=NAME, pnginfo=text, **options
    )
    return stream.getvalue()


def nifti(kind: type[nibabel.Nifti1Image]) -> bytes:
    image = kind(PIXELS.T.astype(np.int16), np.diag([0.5, 0.7, 2.0, 1.0]))
    image.header["descrip"] = NAME
    return image.to_bytes()


def mgh() -> bytes:
    image = MGHImage(PIXELS.T.astype(np.int16), np.diag([0.5, 0.7, 2.0, 1.0]))
    return image.to_bytes() + NAME.encode()  # where FreeSurfer writes its commands


def by_itk(ending: str, packed: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{ending}"
        image = sitk.GetImageFromArray(PIXELS)
        image.SetMetaData("patient", NAME)
        sitk.WriteImage(image, str(path), packed)
        return path.read_bytes()


def edited_dicom(draw: st.DrawFn, content: bytes) -> bytes:
    """One element with other bytes as its value, as if its sender had written them."""
    if draw(st.integers(0, 4)) == 0:
        return edited_stream(draw, content)
    keyword = draw(st.sampled_from(DICOM_FIELDS))
    tag, value_type = (
        Tag(tag_for_keyword(keyword)),
        dictionary_VR(tag_for_keyword(keyword)).split()[0],
    )
    if value_type == "US":
        value = struct.pack(
            draw(st.sampled_from("<>")) + "H", draw(st.sampled_from(WHOLE)) % 2**16
        ) * draw(st.sampled_from([1, 3]))
    elif keyword == "PhotometricInterpretation":
        value = draw(st.sampled_from(PHOTOMETRIC))
    else:
        value = draw(st.sampled_from([*TEXTS, bytes(600)]))
    with quiet():
        try:
            data = pydicom.dcmread(io.BytesIO(content), force=True)
            data._dict[tag] = RawDataElement(tag, value_type, len(value), value, 0, False, True)
            return as_bytes(data)
        except Exception:  # an earlier edit broke what the writer needs
            return content


def edited_at(fields: dict[int, str]) -> Callable[[st.DrawFn, bytes], bytes]:
    def edited(draw: st.DrawFn, content: bytes) -> bytes:
        place = draw(st.sampled_from(sorted(fields)))
        code = fields[place]
        if code in "fd":
            value = struct.pack("<" + code, draw(st.sampled_from(FLOATS)))
        else:
            bits = 8 * struct.calcsize("<" + code)
            value = (draw(st.sampled_from([*WHOLE, 2**63 - 1, -1])) % 2**bits).to_bytes(
                bits // 8, "little"
            )
        return content[:place] + value + content[place + len(value) :]

    return edited


def edited_text(draw: st.DrawFn, content: bytes) -> bytes:
    """One line of an NRRD's or a MetaImage's header with another value."""
    end = re.search(rb"\n\n|ElementDataFile[^\n]*\n", content)
    lines = list(re.finditer(rb"[:=] ([^\n]*)\n", content[: end.end()])) if end else []
    if not lines:
        return content
    value = draw(st.sampled_from(lines))
    return (
        content[: value.start(1)]
        + draw(st.sampled_from(TEXT_VALUES)).encode()
        + content[value.end(1) :]
    )


def edited_png(draw: st.DrawFn, content: bytes) -> bytes:
    """Width, height, bits or colours, under a checksum that is right."""
    header = bytearray(content[12:29])
    at, code = draw(st.sampled_from([(4, ">I"), (8, ">I"), (12, ">B"), (13, ">B"), (16, ">B")]))
    struct.pack_into(
        code, header, at, draw(st.sampled_from(WHOLE)) % 2 ** (8 * struct.calcsize(code))
    )
    return content[:12] + bytes(header) + struct.pack(">I", zlib.crc32(header)) + content[33:]


def edited_stream(draw: st.DrawFn, content: bytes) -> bytes:
    """Rows, columns, bits or colours where a JPEG, JPEG-LS or JPEG 2000 stream says them (T.81 B.2.2, T.87 C.2.2, T.800 A.5.1)."""
    start = re.search(rb"\xff[\xc0-\xc3\xf7]\0.[\x08\x0c\x10]|\xff\x51\0.\0\0", content, re.DOTALL)
    if not start:
        return damaged(draw, content)
    jpeg_2000 = content[start.start() + 1] == 0x51
    sizes = (
        [(at, ">I") for at in range(6, 38, 4)] + [(38, ">H"), (40, ">B")]
        if jpeg_2000
        else [(4, ">B"), (5, ">H"), (7, ">H"), (9, ">B")]
    )
    at, code = draw(st.sampled_from(sizes))
    value = struct.pack(code, draw(st.sampled_from(WHOLE)) % 2 ** (8 * struct.calcsize(code)))
    return content[: start.start() + at] + value + content[start.start() + at + len(value) :]


def edited_zip(draw: st.DrawFn, content: bytes) -> bytes:
    mark = draw(st.sampled_from(sorted(ZIP_FIELDS)))
    places = [match.start() for match in re.finditer(re.escape(mark), content)]
    if not places:
        return content
    at = draw(st.sampled_from(places)) + draw(st.sampled_from(ZIP_FIELDS[mark]))
    return content[:at] + struct.pack("<I", draw(st.sampled_from(WHOLE))) + content[at + 4 :]


def edited_tar(draw: st.DrawFn, content: bytes) -> bytes:
    """A member's size, kind or name, under a checksum that is right."""
    block = bytearray(content[:512])
    at, value = draw(
        st.sampled_from(
            [
                (0, b"../up\0"),
                (124, b"77777777777\0"),
                (124, b"00000000000\0"),
                (124, b"\xff" * 12),
                (124, b"\x80" + b"\0" * 10 + b"\1"),
                *((156, kind) for kind in (b"1", b"2", b"L", b"x", b"S")),
            ]
        )
    )
    block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + content[512:]
