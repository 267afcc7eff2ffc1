"""One DICOM file: its header as facts, its pixels as values (PS3.3, PS3.5). Any doubt is a Rejected with its reason."""

import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import BinaryIO
from warnings import WarningMessage

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, apply_modality_lut, iter_pixels, pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedUSVolumeStorage,
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

from data_prep import frame_bytes, frames, native
from data_prep.codestream import check_frame
from data_prep.deidentify import age_from_dicom, equipment, modality, sex, study_year
from data_prep.frame_bytes import PixelData, StoredFrame
from data_prep.header import identifier as _identifier
from data_prep.header import numbers as _numbers
from data_prep.header import tag_of as _tag
from data_prep.header import text as _text
from data_prep.header import whole as _whole
from data_prep.image_file import Facts, ImageFile, Pixels, Place, Rectangle, shared, shared_shape
from data_prep.mosaic import find_mosaic
from data_prep.quiet import quiet
from data_prep.rejects import Rejected, not_decodable
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
          "ImagesInAcquisition", "NumberOfSlices", "InstanceNumber", "NumberOfTemporalPositions", "EchoTime", "DiffusionBValue",
          "ComplexImageComponent", "TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime", *frames.NEEDED,
          "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope",
          "RescaleIntercept", "ModalityLUTSequence", *frame_bytes.NEEDED)
HEADER_TAGS = [_tag(keyword) for keyword in (*IDENTIFIERS, *IDENTIFYING, *NEEDED)]
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
        pixels = None
        identifiers = {keyword: shared(value) for keyword in (*IDENTIFIERS, *DEVICE, *asked) if (value := _identifier(data, keyword))}
        try:
            _check_object(data)
            if syntax != DeflatedExplicitVRLittleEndian:  # deflated, there is no place to look at; decoding tells
                pixels = _whole_pixels(stream, data)
            shape = shared_shape(_check_image(data, syntax))
            headers = frames.frame_headers(data)
            if math.prod(shape) * len(headers) > MAX_VOXELS:
                raise Rejected("too_large")
            if not identifiers.get("SOPInstanceUID"):
                raise Rejected("no_instance_uid")
        except Rejected as rejected:
            raise Rejected(rejected.reason, rejected.found, identifiers.get("SeriesInstanceUID", ""),
                           identifiers.get("SOPInstanceUID", "")) from None
        places = [(_place(header), _spacing(header)) for header in headers]
        facts = _facts(data, syntax, places[0][1])
        image = ImageFile(found, "dicom", shape, facts, identifiers, places[0][0],
                          clean=_text(data, "BurnedInAnnotation").upper() == "NO", regions=_regions(data))
        if len(headers) == 1:
            return replace(image, native=_native(stream, data, syntax, pixels)) if headers[0] is data else image
        return replace(image, shape=(len(headers), *_frame_shape(data, shape)), place=None, frames=tuple(places),
                       stored=_stored_frames(stream, data, syntax, pixels, headers))


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
        data, headers, indices = _read_frames(stream, wanted) or _read_whole(stream, wanted, caught)
        syntax = _transfer_syntax(data)
        _check_frames(data, syntax, _check_image(data, syntax))
        caught.clear()
        try:
            pixels = _decode(data, syntax, headers, indices)
        except Rejected:
            raise
        except Exception as error:  # decoders raise whatever they like on damaged streams, and their texts may quote values
            raise not_decodable(error) from None
        if any(HARMLESS not in str(warning.message) for warning in caught):
            raise Rejected("decode_warning")
        return pixels


def _read_frames(stream: BinaryIO, wanted: Sequence[ImageFile]) -> tuple[Dataset, list[Dataset], list[int]] | None:
    """A data set of the wanted frames, their headers and where each is; None where it takes the whole file."""
    stored = [image.native for image in wanted if isinstance(image.native, StoredFrame)]
    read = frame_bytes.read(stream, stored) if len(stored) == len(wanted) else None
    return None if read is None else (*read, list(range(len(wanted))))


def _read_whole(stream: BinaryIO, wanted: Sequence[ImageFile], caught: list[WarningMessage]) -> tuple[Dataset, list[Dataset], list[int]]:
    """The same of a whole file. Raises Rejected, also where it is not the one that was scanned."""
    expected = wanted[0]
    stream.seek(0)
    data = _parse(stream, force=True)
    if any("End of file" in str(warning.message) for warning in caught) or "Rows" not in data:
        raise Rejected("truncated")
    shape = _check_image(data, _transfer_syntax(data))
    headers = frames.frame_headers(data)
    indices = [image.frame or 0 for image in wanted]
    read = (_text(data, "SOPInstanceUID"), *_frame_shape(data, shape))
    if read != (expected.identifiers["SOPInstanceUID"], *expected.shape) or max(indices) >= len(headers):
        raise Rejected("file_changed")
    return data, headers, indices


def _parse(stream: BinaryIO, **options: object) -> Dataset:
    try:
        return pydicom.dcmread(stream, **options)  # type: ignore[arg-type]
    except (EOFError, zlib.error, struct.error):
        raise Rejected("truncated") from None
    except Exception as error:  # a malformed file makes pydicom raise nearly anything, and the text may quote a value
        raise not_decodable(error) from None


def _check_object(data: Dataset) -> None:
    """Tell images from reports, plans and derived objects by SOP class (PS3.4 B.5). Raises Rejected."""
    sop_class = UID(_text(data, "SOPClassUID") or _text(data.file_meta, "MediaStorageSOPClassUID"))
    name = sop_class.name if sop_class in UID_dictionary else ""
    if not name:
        raise Rejected("unknown_sop_class")
    if "Image Storage" not in name and sop_class != EnhancedUSVolumeStorage:  # the one image whose name does not say so
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


def _frame_shape(data: Dataset, shape: tuple[int, int]) -> tuple[int, int]:
    mosaic = find_mosaic(data)
    return shape if mosaic is None else mosaic.shape(shape)


def _whole_pixels(stream: BinaryIO, data: Dataset) -> PixelData:
    """Follow the lengths of the pixel data that `stream` stands at, to its end. Raises Rejected if the file ends before."""
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
        return PixelData(start, length, group << 16 | element == PIXEL_DATA, start + length == end)
    place, items = start, []
    while place + 8 <= end:
        stream.seek(place)
        group, element, length = struct.unpack("<HHI", stream.read(8))
        if group << 16 | element == SEQUENCE_END:
            return PixelData(start, None, True, place + 8 == end, tuple(items))
        if group << 16 | element != ITEM:
            raise Rejected("not_decodable", "pixel data that is no sequence of fragments")
        items.append((place, place + 8 + length))
        place += 8 + length
    raise Rejected("truncated", "encapsulated pixel data without its end")


def _native(stream: BinaryIO, data: Dataset, syntax: str, pixels: PixelData | None) -> native.Native | None:
    """How to read the pixels without parsing the file again; None where there is more to them than grey values and a scale."""
    if pixels is None or not pixels.integer or not pixels.fills_file or _text(data, "PhotometricInterpretation") not in GREY:
        return None
    try:
        if data.get("ModalityLUTSequence"):
            return None
        return native.locate(stream, data, syntax, pixels.start, _scaling(data), _padding(data))
    except Exception:  # a doubtful or malformed value matters only where the file is used, and then decoding tells
        return None


def _stored_frames(stream: BinaryIO, data: Dataset, syntax: str, pixels: PixelData | None,
                   headers: list[Dataset]) -> tuple[StoredFrame, ...]:
    """The same of each frame; none where the frames are tiles of one picture."""
    if pixels is None or len(headers) != _whole(data, "NumberOfFrames"):
        return ()
    try:
        return frame_bytes.locate(stream, data, syntax, pixels, headers)
    except Exception:  # as in _native
        return ()


def _read_native(stream: BinaryIO, expected: ImageFile) -> Pixels | None:
    """The pixels of a file that is still as it was scanned; None where anything is unusual."""
    known = expected.native
    if not isinstance(known, native.Native):
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
        raise not_decodable(error) from None


def _decode(data: Dataset, syntax: str, headers: list[Dataset], indices: list[int]) -> list[Pixels]:
    data.file_meta.TransferSyntaxUID = UID(syntax)  # a file without meta header has none, and the decoder asks for it
    plugin = DECODERS[UID(syntax)]
    stored: Iterable[np.ndarray]
    mosaic = find_mosaic(data)
    if mosaic is not None:
        picture = pixel_array(data, decoding_plugin=plugin)
        stored = [mosaic.tile(picture, index) for index in indices]
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


def _place(data: Dataset) -> Place:
    image_type = _text(data, "ImageType").upper()
    echo = _numbers(data, "EchoTime", 1) or (0.0,)  # 0 in enhanced objects where there is none
    weighting = _numbers(data, "DiffusionBValue", 1) or (0.0,)
    number = _whole(data, "InstanceNumber")
    return Place(
        _numbers(data, "ImagePositionPatient", 3), _numbers(data, "ImageOrientationPatient", 6), "LOCALIZER" in image_type,
        stated=_whole(data, "ImagesInAcquisition") or _whole(data, "NumberOfSlices"),
        stack=_text(data, "StackID"),
        meaning=shared((round(echo[0], 3) or math.inf, round(weighting[0], 3), image_type, _text(data, "ComplexImageComponent").upper())),
        moments=(_whole(data, "TemporalPositionIdentifier"), _text(data, "DimensionIndexValues") or None,
                 _whole(data, "AcquisitionNumber"), (_numbers(data, "TriggerTime", 1) or (None,))[0], number),
        number=number,
        times=_whole(data, "NumberOfTemporalPositions"))
