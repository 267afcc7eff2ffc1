"""One DICOM file: its header as facts, its pixels as values (PS3.3, PS3.5). Any doubt is a Rejected with its reason."""

import math
import struct
import zlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, apply_modality_lut, iter_pixels, pixel_array
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSTransferSyntaxes,
    RLELossless,
    UID_dictionary,
)

from data_prep import frames, native
from data_prep.codestream import check_frame
from data_prep.deidentify import age_from_dicom, equipment, modality, sex, study_year
from data_prep.image_file import Facts, ImageFile, Pixels, Place, Rectangle, shared
from data_prep.meaning import (
    ASKED,
    PEPOLAR,
    PRIVATE,
    PULSE_SEQUENCE,
    SAME,
    SCANNED,
    SIEMENS,
    SIEMENS_CSA,
    STANDARD,
    STATED_VOLUMES,
    USER_DATA_12,
    Element,
)
from data_prep.quiet import quiet
from data_prep.rejects import Rejected
from data_prep.sources import Found

# One named decoder a syntax: pydicom would try another after a failure, and a lenient one may accept what a strict one refused.
DECODERS = {
    ImplicitVRLittleEndian: "", ExplicitVRLittleEndian: "", ExplicitVRBigEndian: "", DeflatedExplicitVRLittleEndian: "",
    RLELossless: "pydicom",
    JPEGBaseline8Bit: "pillow",  # notices a stream that ends early, which libjpeg does not
    JPEGExtended12Bit: "pylibjpeg", JPEGLossless: "pylibjpeg", JPEGLosslessSV1: "pylibjpeg",
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    **dict.fromkeys(JPEG2000TransferSyntaxes, "pylibjpeg"),
}
ENCAPSULATED = frozenset(syntax for syntax, decoder in DECODERS.items() if decoder)
END_OF_IMAGE = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike
FILLING = b"\0\xff"  # bytes after it that bring a frame to even length; PS3.5 A.4 wants 0, some write 255
HARMLESS = "excess padding"  # pydicom's words for bytes after the last pixel, which PS3.5 8.1.1 lets a reader ignore

LOSSLESS = (RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL)
GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
MAX_PIXELS = 2**28  # of one image: 16,384 x 16,384
MAX_VOXELS = 2**30  # of all frames of a file: 1024 x 1024 x 1024

IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
DEVICE = ("Manufacturer", "ManufacturerModelName")
# Whatever in a header names a person, a place or a visit: a maker's name that shares a piece with one of these is dropped.
IDENTIFYING = ("PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName",
               "PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "AccessionNumber", "StudyID", "StudyDate",
               "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "DeviceSerialNumber",
               "ReferringPhysicianName", "PerformingPhysicianName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy",
               "RequestingPhysician", "OperatorsName", "ResponsiblePerson")
NEEDED = ("SOPClassUID", "Modality", "PatientAge", "PatientSex", *DEVICE, "ImageType",
          "BurnedInAnnotation", "SequenceOfUltrasoundRegions", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns",
          "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
          "ImagesInAcquisition", "NumberOfSlices", "InstanceNumber", "NumberOfTemporalPositions", *ASKED, *frames.NEEDED,
          "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope",
          "RescaleIntercept", "ModalityLUTSequence")
_tag = cache(Tag)
DATE_OF = {"AcquisitionTime": "AcquisitionDate", "ContentTime": "ContentDate"}  # a time of day starts anew at midnight
STANDARD_MORE = tuple(element for element in STANDARD if not element.scanned)
HEADER_TAGS = [_tag(keyword) for keyword in (*IDENTIFIERS, *IDENTIFYING, *NEEDED)]
BLOCKS = range(0x10, 0x20)  # of private elements: PS3.5 7.8.1 allows more, but each makes reading slower


def _private_tags(elements: Iterable[tuple[int, str, int]]) -> list[BaseTag]:
    """Wherever private elements may lie, and who made them."""
    return [Tag(group, element) for group, _, byte in elements for block in BLOCKS for element in (block, block << 8 | byte)]


MORE_TAGS = [*map(_tag, (*(element.name for element in STANDARD_MORE), *DATE_OF.values(), *STATED_VOLUMES, "ImageType", *frames.NEEDED)),
             *_private_tags(element.private for element in PRIVATE)]
SEQUENCE_TAGS = _private_tags((PULSE_SEQUENCE, USER_DATA_12))
PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, PIXEL_DATA)  # float, double and integer pixel data
ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD  # PS3.5 7.5
UNDEFINED_LENGTH = 0xFFFFFFFF
LONG_FORM = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN")  # PS3.5 7.1.2: a 32-bit length after two reserved bytes


def read_header(stream: BinaryIO, found: Found, bare: bool = False, asked: tuple[str, ...] = ()) -> ImageFile:
    """What the header says, without decoding pixels. `bare`: the file has no preamble; `asked`: more identifiers. Raises Rejected."""
    with quiet():
        data = _parse(stream, force=bare, stop_before_pixels=True, specific_tags=[*HEADER_TAGS, *map(_tag, asked)])
        syntax = shared(_transfer_syntax(data))
        start = None
        identifiers = {keyword: shared(value) for keyword in (*IDENTIFIERS, *DEVICE, *asked) if (value := _identifier(data, keyword))}
        try:
            _check_object(data)
            if syntax != DeflatedExplicitVRLittleEndian:  # deflated, there is no place to look at; decoding tells
                start = _check_pixels_are_whole(stream, data)
            shape = shared(_check_image(data, syntax))
            headers = frames.frame_headers(data)
            if math.prod(shape) * len(headers) > MAX_VOXELS:
                raise Rejected("too_large")
            if not identifiers.get("SOPInstanceUID"):
                raise Rejected("no_instance_uid")
        except Rejected as rejected:
            raise Rejected(rejected.reason, rejected.found, identifiers.get("SeriesInstanceUID", ""),
                           identifiers.get("SOPInstanceUID", "")) from None
        places = [(_place(header, data), _spacing(header)) for header in headers]
        facts = _facts(data, syntax, places[0][1])
        image = ImageFile(found, "dicom", shape, facts, identifiers, places[0][0],
                          clean=_text(data, "BurnedInAnnotation").upper() == "NO", regions=_regions(data))
        if len(headers) == 1:
            return replace(image, native=_native(stream, data, syntax, start)) if headers[0] is data else image
        return replace(image, shape=(len(headers), *_frame_shape(data, shape, len(headers))), place=None, frames=tuple(places))


def read_slices(stream: BinaryIO, wanted: Sequence[ImageFile]) -> list[Pixels]:
    """Decode some slices of one file: grey values, each rescaled as its own frame says, or RGB of 8 bits.

    Raises Rejected, also where the file is no longer the one whose header was read.
    """
    expected = wanted[0]
    with quiet() as caught:
        if (pixels := _read_native(stream, expected)) and not caught:
            return [pixels]
        stream.seek(0)
        caught.clear()
        data = _parse(stream, force=True)
        if any("End of file" in str(warning.message) for warning in caught) or "Rows" not in data:
            raise Rejected("truncated")
        syntax = _transfer_syntax(data)
        shape = _check_image(data, syntax)
        headers = frames.frame_headers(data)
        indices = [image.frame or 0 for image in wanted]
        read = (_text(data, "SOPInstanceUID"), *_frame_shape(data, shape, len(headers)))
        if read != (expected.identifiers["SOPInstanceUID"], *expected.shape) or max(indices) >= len(headers):
            raise Rejected("file_changed")
        _check_frames(data, syntax, shape)
        caught.clear()
        try:
            pixels = _decode(data, syntax, headers, indices)
        except Rejected:
            raise
        except Exception as error:  # decoders raise whatever they like on damaged streams, and their texts may quote values
            raise Rejected("not_decodable", type(error).__name__) from None
        if any(HARMLESS not in str(warning.message) for warning in caught):
            raise Rejected("decode_warning")
        return pixels


def _parse(stream: BinaryIO, **options: object) -> Dataset:
    try:
        return pydicom.dcmread(stream, **options)  # type: ignore[arg-type]
    except (EOFError, zlib.error, struct.error):
        raise Rejected("truncated") from None
    except Exception as error:  # a malformed file makes pydicom raise nearly anything, and the text may quote a value
        raise Rejected("not_decodable", type(error).__name__) from None


def _check_object(data: Dataset) -> None:
    """Tell images from reports, plans and derived objects by SOP class (PS3.4 B.5). Raises Rejected."""
    sop_class = UID(_text(data, "SOPClassUID") or _text(data.file_meta, "MediaStorageSOPClassUID"))
    name = sop_class.name if sop_class in UID_dictionary else ""
    if not name:
        raise Rejected("unknown_sop_class")
    if "Image Storage" not in name:
        raise Rejected("derived_object" if "Rows" in data else "no_pixels")
    if not _whole(data, "Rows") or not _whole(data, "Columns"):
        raise Rejected("truncated", "a header without rows and columns")
    burned_in = _text(data, "BurnedInAnnotation").upper()
    if burned_in == "YES" or ("Secondary Capture" in name and burned_in != "NO"):
        raise Rejected("burned_in_annotation")


def _check_image(data: Dataset, syntax: str) -> tuple[int, int]:
    """Rows and columns of an image that fewsite decodes. Raises Rejected."""
    if syntax not in DECODERS:
        raise Rejected("unknown_transfer_syntax", syntax if syntax in UID_dictionary else "a private transfer syntax")
    photometric, samples = _text(data, "PhotometricInterpretation"), _whole(data, "SamplesPerPixel")
    if (photometric, samples) not in [(name, 1) for name in (*GREY, PALETTE)] + [(name, 3) for name in COLOUR]:
        raise Rejected("unsupported_pixels", "a photometric interpretation and samples per pixel that do not fit")
    shape = _whole(data, "Rows") or 0, _whole(data, "Columns") or 0
    if not 0 < math.prod(shape) <= MAX_PIXELS:
        raise Rejected("too_large" if math.prod(shape) else "unsupported_pixels")
    return shape


def _frame_shape(data: Dataset, shape: tuple[int, int], count: int) -> tuple[int, int]:
    return frames.tile(np.broadcast_to(0, shape), count, 0).shape if frames.is_mosaic(data) else shape


def _check_pixels_are_whole(stream: BinaryIO, data: Dataset) -> int | None:
    """Follow the lengths of the pixel data that `stream` stands at, to its end. Raises Rejected if the file ends before.

    Gives the place where integer pixels begin that fill the rest of the file.
    """
    implicit, little = data.original_encoding
    order = "<" if little else ">"
    header = stream.read(12)
    if len(header) < 12:
        raise Rejected("truncated", "no pixel data")
    group, element = struct.unpack(order + "HH", header[:4])
    if group << 16 | element not in PIXEL_TAGS:
        raise Rejected("truncated", "no pixel data")
    if implicit:
        length, start = struct.unpack(order + "I", header[4:8])[0], stream.tell() - 4
    elif header[4:6] in LONG_FORM:
        length, start = struct.unpack(order + "I", header[8:12])[0], stream.tell()
    else:
        raise Rejected("not_decodable", "a pixel data element of another kind")
    end = stream.seek(0, 2)
    if length != UNDEFINED_LENGTH:
        if start + length > end:
            raise Rejected("truncated", f"{end - start} of {length} bytes of pixels")
        return start if group << 16 | element == PIXEL_DATA and start + length == end else None
    place = start
    while place + 8 <= end:
        stream.seek(place)
        group, element, length = struct.unpack("<HHI", stream.read(8))
        if group << 16 | element == SEQUENCE_END:
            return None
        if group << 16 | element != ITEM:
            raise Rejected("not_decodable", "pixel data that is no sequence of fragments")
        place += 8 + length
    raise Rejected("truncated", "encapsulated pixel data without its end")


def _native(stream: BinaryIO, data: Dataset, syntax: str, start: int | None) -> native.Native | None:
    """How to read the pixels without parsing the file again; None where there is more to them than grey values and a scale."""
    if start is None or _text(data, "PhotometricInterpretation") not in GREY:
        return None
    try:
        if data.get("ModalityLUTSequence"):
            return None
        return native.locate(stream, data, syntax, start, _scaling(data), _padding(data))
    except Exception:  # a doubtful or malformed value matters only where the file is used, and then decoding tells
        return None


def _read_native(stream: BinaryIO, expected: ImageFile) -> Pixels | None:
    """The pixels of a file that is still as it was scanned; None where anything is unusual."""
    known = expected.native
    if known is None:
        return None
    stored = native.read_stored(stream, known)
    if stored is None:
        return None
    values = native.rescaled(stored, known.scaling)
    if not np.isfinite(values).all():
        return None
    inverted = expected.facts.photometric == "MONOCHROME1"
    return Pixels(values, native.valid(stored, known.padding), inverted, rescaled=known.scaling is not None)


def _check_frames(data: Dataset, syntax: str, shape: tuple[int, int]) -> None:
    """Raise Rejected where compressed frames end early or are of another size than the header's."""
    if "PixelData" not in data and not any(tag in data for tag in PIXEL_TAGS):
        raise Rejected("truncated", "no pixel data")
    if syntax not in ENCAPSULATED:
        return
    pixel_bytes = (_whole(data, "SamplesPerPixel") or 1) * max((_whole(data, "BitsAllocated") or 8) // 8, 1)
    try:
        for frame in generate_frames(data.PixelData, number_of_frames=_whole(data, "NumberOfFrames") or 1):
            if syntax != RLELossless and not frame.rstrip(FILLING).endswith(END_OF_IMAGE):
                raise Rejected("truncated", "a compressed image without its end marker")
            check_frame(frame, syntax, *shape, pixel_bytes)
    except Rejected:
        raise
    except Exception as error:  # the fragments themselves may be damaged
        raise Rejected("not_decodable", type(error).__name__) from None


def _decode(data: Dataset, syntax: str, headers: list[Dataset], indices: list[int]) -> list[Pixels]:
    data.file_meta.TransferSyntaxUID = UID(syntax)  # a file without meta header has none, and the decoder asks for it
    plugin = DECODERS[UID(syntax)]
    stored: Iterable[np.ndarray]
    if frames.is_mosaic(data):
        mosaic = pixel_array(data, decoding_plugin=plugin)
        stored = [frames.tile(mosaic, len(headers), index) for index in indices]
    else:
        stored = iter_pixels(data, indices=indices, decoding_plugin=plugin)
    return [_pixels(data, headers[index], values) for index, values in zip(indices, stored, strict=True)]


def _pixels(data: Dataset, header: Dataset, stored: np.ndarray) -> Pixels:
    photometric = _text(data, "PhotometricInterpretation")
    if photometric == PALETTE:
        return Pixels(_eight_bits(apply_color_lut(stored, data)[..., :3], _palette_bits(data)))
    if photometric not in GREY:
        return Pixels(_eight_bits(stored, _whole(data, "BitsStored") or 8))
    rescaled = bool(header.get("ModalityLUTSequence")) or "RescaleSlope" in header
    return Pixels(_rescaled(header, stored), native.valid(stored, _padding(data)), photometric == "MONOCHROME1", rescaled,
                  _outside_stated_range(data, stored))


def _rescaled(data: Dataset, stored: np.ndarray) -> np.ndarray:
    """Stored values after the modality LUT (PS3.3 C.11.1), float32. Raises Rejected."""
    if data.get("ModalityLUTSequence"):
        values = apply_modality_lut(stored, data).astype(np.float32)
    else:
        values = native.rescaled(stored, _scaling(data))
    if not np.isfinite(values).all():
        raise Rejected("not_finite")
    return values


def _scaling(data: Dataset) -> tuple[float, float] | None:
    """Rescale Slope and Intercept; None where there is no slope. Raises Rejected."""
    if "RescaleSlope" not in data:
        return None
    slope, intercept = _numbers(data, "RescaleSlope", 1), _numbers(data, "RescaleIntercept", 1)
    if not slope or slope[0] == 0 or not intercept:
        raise Rejected("bad_rescale")
    return shared((slope[0], intercept[0]))


def _padding(data: Dataset) -> tuple[int, int] | None:
    """Pixel Padding Value, and the other end of its range."""
    value, limit = _whole(data, "PixelPaddingValue"), _whole(data, "PixelPaddingRangeLimit")
    return None if value is None else (value, value if limit is None else limit)


def _outside_stated_range(data: Dataset, stored: np.ndarray) -> bool:
    """Whether a losslessly compressed image has values beyond Smallest and Largest Image Pixel Value (PS3.3 C.7.6.3)."""
    low, high = _whole(data, "SmallestImagePixelValue"), _whole(data, "LargestImagePixelValue")
    if data.file_meta.TransferSyntaxUID not in LOSSLESS or low is None or high is None:
        return False
    low, high = np.array([low, high], np.int64).astype(stored.dtype)  # as with padding
    return bool(low < high and (stored.min() < low or stored.max() > high))


def _eight_bits(colour: np.ndarray, bits: int) -> np.ndarray:
    """(rows, columns, 3) of `bits` as uint8: colours are relative to full scale, so the low bits go."""
    return (colour >> max(bits - 8, 0)).astype(np.uint8)


def _palette_bits(data: Dataset) -> int:
    """Bits of apply_color_lut's output: 8 or 16, by the descriptor's third value (PS3.3 C.7.6.3.1.5)."""
    return 16 if data.RedPaletteColorLookupTableDescriptor[2] > 8 else 8


def _transfer_syntax(data: Dataset) -> str:
    stated = _text(data.file_meta, "TransferSyntaxUID")
    if stated:
        return stated
    implicit, little = data.original_encoding
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _facts(data: Dataset, syntax: str, spacing: tuple[float, ...] | None) -> Facts:
    identifying = [_text(data, keyword) for keyword in IDENTIFYING]
    study_date = _text(data, "StudyDate")
    return shared(Facts(
        transfer_syntax=syntax,
        photometric=_text(data, "PhotometricInterpretation"),  # one that _check_image knows
        modality=modality(_text(data, "Modality")),
        manufacturer=equipment(_text(data, "Manufacturer"), identifying),
        model=equipment(_text(data, "ManufacturerModelName"), identifying),
        age=age_from_dicom(_text(data, "PatientAge"), _text(data, "PatientBirthDate"), study_date),
        sex=sex(_text(data, "PatientSex")),
        study_year=study_year(study_date),
        spacing=spacing,
    ))


def _spacing(data: Dataset) -> tuple[float, ...] | None:
    return next((found for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
                 if (found := _numbers(data, keyword, 2)) and min(found) > 0), None)


def _regions(data: Dataset) -> Rectangle | None:
    """What all ultrasound regions span (PS3.3 C.8.5.5); None where there is none or one says no place.

    Makers differ in whether Max is the last pixel of a region or the next one: it is left out, so that no pixel beside one is kept.
    """
    try:
        corners = [[int(region[f"RegionLocation{corner}"].value) for corner in ("MinY0", "MinX0", "MaxY1", "MaxX1")]
                   for region in data.SequenceOfUltrasoundRegions]
    except Exception:  # as in _text
        return None
    if not corners:
        return None
    tops, lefts, bottoms, rights = zip(*corners, strict=True)
    return min(tops), min(lefts), max(bottoms) - min(tops), max(rights) - min(lefts)


def _place(data: Dataset, whole: Dataset) -> Place:
    """Of a file's image or of a frame, which has a header of its own; `whole`: the file's."""
    return Place(
        _numbers(data, "ImagePositionPatient", 3), _numbers(data, "ImageOrientationPatient", 6),
        "LOCALIZER" in _text(data, "ImageType").upper(),
        stated=_whole(data, "ImagesInAcquisition") or _whole(data, "NumberOfSlices"),
        stack=_text(data, "StackID"),
        meaning=shared(tuple(_said(data if _tag(element.name) in data else whole, element) for element in SAME)),
        moments=shared(tuple(_said(data if _tag(element.name) in data else whole, element) for element in SCANNED)),
        number=_whole(data, "InstanceNumber"),
        times=_whole(data, "NumberOfTemporalPositions"))


def read_more(stream: BinaryIO, wanted: Sequence[int | None]) -> list[dict[str, Hashable]]:
    """What the elements say that tell volumes apart and that no scan asks for, of some frames of a file or of its one image. Raises Rejected."""
    with quiet():
        data = _parse(stream, force=True, stop_before_pixels=True, specific_tags=MORE_TAGS)
        headers = frames.frame_headers(data) if data.get("PerFrameFunctionalGroupsSequence") else []
        stated = {name: _plain(_value(data, name)) for name in (*STATED_VOLUMES, "SpacingBetweenSlices")}
        of_file = {element.name: _said(data, element) for element in STANDARD_MORE} | _private_said(data)
        of_frames = [{element.name: _said(header, element) for element in STANDARD_MORE if _tag(element.name) in header} for header in headers]
        return [stated | of_file | (of_frames[frame] if frame is not None and frame < len(of_frames) else {}) for frame in wanted]


def reverses_rows(stream: BinaryIO) -> bool:
    """Whether a file is of a sequence that writes some volumes with reversed rows, and says so in private elements alone. Raises Rejected."""
    with quiet():
        data = _parse(stream, force=True, stop_before_pixels=True, specific_tags=SEQUENCE_TAGS)
        blocks = _private_blocks(data)
        return PEPOLAR in str(_private(data, blocks, *PULSE_SEQUENCE)).lower() and _private(data, blocks, *USER_DATA_12) != 0


def _said(data: Dataset, element: Element) -> Hashable:
    """What a header says by an element, so that equal values compare equal; what is missing or malformed says nothing."""
    try:
        value = _plain(_value(data, element.name))
        if element.name in DATE_OF and value is not None:
            value = _text(data, DATE_OF[element.name]), value
    except Exception:  # as in _text
        value = None
    if element.name == "EchoTime" and value == 0:  # enhanced objects say so where there is no echo
        value = None
    return element.absent if value is None else value


def _private_said(data: Dataset) -> dict[str, Hashable]:
    blocks = _private_blocks(data)
    packed = _packed(data) if SIEMENS_CSA in {creator for _, creator in blocks} and SIEMENS not in {creator for _, creator in blocks} else {}
    return {element.name: packed.get(element.field) if element.field else _private(data, blocks, *element.private) for element in PRIVATE}


def _packed(data: Dataset) -> dict[str, Hashable]:
    """The fields of Siemens' private header; those that older software says nowhere else."""
    from nibabel.nicom import csareader  # warns as it is imported, here where callers are quiet

    try:
        return {name: _plain(tag["items"]) for name, tag in csareader.get_csa_header(data)["tags"].items()}
    except Exception:  # as in _text
        return {}


def _private_blocks(data: Dataset) -> dict[tuple[int, str], int]:
    """Group and creator -> where the maker's block begins (PS3.5 7.8.1)."""
    blocks = {}
    for tag in data.keys():
        if tag.is_private_creator:
            try:
                blocks.setdefault((tag.group, str(data[tag].value).strip(" \0")), tag.group << 16 | tag.element << 8)
            except Exception:  # as in _text
                continue
    return blocks


def _private(data: Dataset, blocks: dict[tuple[int, str], int], group: int, creator: str, byte: int) -> Hashable:
    block = blocks.get((group, creator))
    try:
        element = None if block is None else data.get(Tag(block | byte))
        return None if element is None else _plain(element.value)
    except Exception:  # as in _text
        return None


def _plain(value: object) -> Hashable:
    """A number, text or tuple of them; None where there is nothing. Zero has no sign."""
    if value is None or isinstance(value, bytes):
        return value or None
    if isinstance(value, int | float):
        return float(value) + 0.0
    if isinstance(value, MultiValue | list | tuple):
        return tuple(map(_plain, value)) or None
    text = str(value).strip(" \0").upper()
    if text[:1].isdigit():  # a time, or a number that its maker wrote as text
        try:
            return float(text)
        except ValueError:
            pass
    return text or None


def _value(data: Dataset, keyword: str) -> object:
    """An element's value, asked for by tag: by keyword, each one that is missing would cost pydicom two exceptions."""
    element = data.get(_tag(keyword))
    return None if element is None else element.value


def _text(data: Dataset, keyword: str) -> str:
    """An element's value as text; empty where it is missing or cannot be read."""
    try:
        value = _value(data, keyword)
    except Exception:  # converting a malformed value may raise anything; to us it is missing
        return ""
    return "" if value is None else str(value).strip(" \0")


def _identifier(data: Dataset, keyword: str) -> str:
    """As _text; several values with the backslash that the file parts them by (PS3.5 6.4)."""
    try:
        value = _value(data, keyword)
    except Exception:  # as in _text
        return ""
    return "\\".join(map(str, value)).strip(" \0") if isinstance(value, MultiValue) else _text(data, keyword)


def _whole(data: Dataset, keyword: str) -> int | None:
    try:
        return int(_value(data, keyword))  # type: ignore[arg-type]
    except Exception:  # as in _text
        return None


def _numbers(data: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None. Zero has no sign, so that equal tuples are the same to the bit, and shared."""
    try:
        value = _value(data, keyword)
        numbers = tuple(float(number) + 0.0 for number in ([value] if count == 1 else value))  # type: ignore[arg-type, union-attr]
    except Exception:  # as in _text
        return None
    return shared(numbers) if len(numbers) == count and all(map(math.isfinite, numbers)) else None
