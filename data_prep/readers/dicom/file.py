"""One DICOM file: its header as facts, its pixels as values (PS3.3, PS3.5).

Any doubt is a Rejected with its reason.
"""

import math
from collections.abc import Iterable, Sequence
from typing import BinaryIO
from warnings import WarningMessage

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from data_prep.exports.sources import Found
from data_prep.readers.dicom import frames
from data_prep.readers.dicom.checks import check_image, check_object, is_exposed
from data_prep.readers.dicom.facts import IDENTIFYING, facts_of, place_of, regions_of, spacing_of
from data_prep.readers.dicom.header import identifier as _identifier
from data_prep.readers.dicom.header import parse, sop_class_of
from data_prep.readers.dicom.header import tag_of as _tag
from data_prep.readers.dicom.header import text as _text
from data_prep.readers.dicom.header import whole as _whole
from data_prep.readers.dicom.meaning import ASKED
from data_prep.readers.dicom.mosaic import find_mosaic
from data_prep.readers.dicom.pixels import frame_bytes, native, pixel_data
from data_prep.readers.dicom.pixels.decoders import (
    bits_below,
    check_frames,
    check_warnings,
    stored_frames,
)
from data_prep.readers.dicom.pixels.frame_bytes import PixelData, StoredFrame
from data_prep.readers.dicom.pixels.values import GREY, padding, scaling, values_of
from data_prep.readers.image_file import (
    NOWHERE,
    Header,
    Identity,
    ImageFile,
    Pixels,
    shared,
    shared_shape,
)
from data_prep.readers.quiet import quiet
from data_prep.rejects import Rejected, not_decodable

MAX_VOXELS = 2**30  # of all frames of a file: 1024 x 1024 x 1024
IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
DEVICE = ("Manufacturer", "ManufacturerModelName")
# PS3.3 C.7.6.16.2.2.4: one object as several files.
PARTS = ("ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber")
NEEDED = (
    "SOPClassUID",
    "Modality",
    "PatientAge",
    "PatientSex",
    *DEVICE,
    *PARTS,
    "ImageType",
    "BurnedInAnnotation",
    "SpecimenLabelInImage",
    "RecognizableVisualFeatures",
    "TotalPixelMatrixColumns",
    "SequenceOfUltrasoundRegions",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "ImagesInAcquisition",
    "NumberOfSlices",
    "InstanceNumber",
    "NumberOfTemporalPositions",
    *ASKED,
    *frames.NEEDED,
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "RealWorldValueMappingSequence",
    "SUVType",
    "MultienergyCTAcquisition",
    *frame_bytes.NEEDED,
)
HEADER_TAGS = list(
    dict.fromkeys(_tag(keyword) for keyword in (*IDENTIFIERS, *IDENTIFYING, *NEEDED))
)


def read_header(
    stream: BinaryIO, found: Found, bare: bool = False, asked: tuple[str, ...] = ()
) -> ImageFile:
    """What the header says, without decoding pixels.

    `bare`: the file has no preamble; `asked`: more identifiers. Raises Rejected.
    """
    with quiet():
        tags = [*HEADER_TAGS, *map(_tag, asked)]
        data = parse(stream, force=bare, stop_before_pixels=True, specific_tags=tags)
        elements = _elements(data, asked)
        try:
            return ImageFile(Identity(found, elements), _header(stream, data, elements))
        except Rejected as rejected:
            raise Rejected(
                rejected.reason,
                rejected.found,
                elements.get("SeriesInstanceUID", ""),
                elements.get("SOPInstanceUID", ""),
                sop_class=elements["SOPClassUID"],
            ) from None


def _elements(data: Dataset, asked: tuple[str, ...]) -> dict[str, str]:
    """What files are matched by: keyword -> value."""
    elements = {
        keyword: shared(value)
        for keyword in (*IDENTIFIERS, *DEVICE, *PARTS, *asked)
        if (value := _identifier(data, keyword))
    }
    elements["SOPClassUID"] = shared(sop_class_of(data))
    return elements


def _header(stream: BinaryIO, data: Dataset, elements: dict[str, str]) -> Header:
    """`stream` stands where the pixel data begin. Raises Rejected."""
    syntax = shared(_transfer_syntax(data))
    check_object(data, pixel_data.follows(stream, data, syntax))
    # Deflated, there is no place to look at; decoding tells.
    deflated = syntax == DeflatedExplicitVRLittleEndian
    pixels = None if deflated else pixel_data.locate(stream, data)
    shape = check_image(data, syntax)
    bits_below(data)
    headers = frames.frame_headers(data)
    if math.prod(shape) * len(headers) > MAX_VOXELS:
        raise Rejected("too_large")
    if not elements.get("SOPInstanceUID"):
        raise Rejected("no_instance_uid")
    grey = _text(data, "PhotometricInterpretation") in GREY
    places = [(place_of(data, header, grey), spacing_of(header)) for header in headers]
    place, spacing = places[0]
    one = len(headers) == 1
    whole_file = one and headers[0] is data
    return Header(
        "dicom",
        shared_shape(shape if one else (len(headers), *_frame_shape(data, shape))),
        facts_of(data, syntax, spacing, place.units),
        place=place if one else NOWHERE,
        frames=() if one else tuple(places),
        clean=_text(data, "BurnedInAnnotation").upper() == "NO",
        exposed=is_exposed(data, elements["SOPClassUID"]),
        regions=regions_of(data),
        native=_native(stream, data, syntax, pixels) if whole_file else None,
        stored=() if one else _stored_frames(stream, data, syntax, pixels, headers),
    )


def read_slices(stream: BinaryIO, wanted: Sequence[ImageFile]) -> list[Pixels]:
    """Decode some slices of one file: grey values, each rescaled as its own frame says, or RGB of 8
    bits.

    Raises Rejected, also where the file is no longer the one whose header was read.
    """
    expected = wanted[0]
    with quiet() as caught:
        if (one := _read_native(stream, expected)) and not caught:
            return [one]
        stream.seek(0)
        caught.clear()
        data, headers, indices = _read_frames(stream, wanted) or _read_whole(stream, wanted, caught)
        syntax = _transfer_syntax(data)
        shape = check_image(data, syntax)
        check_frames(data, syntax, shape)
        caught.clear()
        try:
            pixels = _decode(data, syntax, headers, indices)
        except Rejected:
            raise
        # Decoders raise whatever they like on damaged streams, and their texts may quote values.
        except Exception as error:
            raise not_decodable(error) from None
        check_warnings(caught, data, shape)
        return pixels


def _read_frames(
    stream: BinaryIO, wanted: Sequence[ImageFile]
) -> tuple[Dataset, list[Dataset], list[int]] | None:
    """A data set of the wanted frames, their headers and where each is; None where it takes the
    whole file.
    """
    stored = [
        image.header.native for image in wanted if isinstance(image.header.native, StoredFrame)
    ]
    read = frame_bytes.read(stream, stored) if len(stored) == len(wanted) else None
    return None if read is None else (*read, list(range(len(wanted))))


def _read_whole(
    stream: BinaryIO, wanted: Sequence[ImageFile], caught: list[WarningMessage]
) -> tuple[Dataset, list[Dataset], list[int]]:
    """The same of a whole file. Raises Rejected, also where it is not the one that was scanned."""
    expected = wanted[0]
    stream.seek(0)
    data = parse(stream, force=True)
    if any("End of file" in str(warning.message) for warning in caught) or "Rows" not in data:
        raise Rejected("truncated")
    shape = check_image(data, _transfer_syntax(data))
    headers = frames.frame_headers(data)
    indices = [image.header.frame or 0 for image in wanted]
    read = (_identifier(data, "SOPInstanceUID"), *_frame_shape(data, shape))
    if read != (expected.identity.elements["SOPInstanceUID"], *expected.header.shape) or max(
        indices
    ) >= len(headers):
        raise Rejected("file_changed")
    return data, headers, indices


def _frame_shape(data: Dataset, shape: tuple[int, int]) -> tuple[int, int]:
    mosaic = find_mosaic(data)
    return shape if mosaic is None else mosaic.shape(shape)


def _native(
    stream: BinaryIO, data: Dataset, syntax: str, pixels: PixelData | None
) -> native.Native | None:
    """How to read the pixels without parsing the file again; None where there is more to them than
    grey values and a scale.
    """
    if (
        pixels is None
        or not pixels.integer
        or not pixels.fills_file
        or _text(data, "PhotometricInterpretation") not in GREY
    ):
        return None
    try:
        if data.get("ModalityLUTSequence") or bits_below(data):
            return None
        return native.locate(stream, data, syntax, pixels.start, scaling(data), padding(data))
    # A doubtful or malformed value matters only where the file is used, and then decoding tells.
    except Exception:
        return None


def _stored_frames(
    stream: BinaryIO, data: Dataset, syntax: str, pixels: PixelData | None, headers: list[Dataset]
) -> tuple[StoredFrame, ...]:
    """The same of each frame; none where the frames are tiles of one picture."""
    if pixels is None or len(headers) != _whole(data, "NumberOfFrames"):
        return ()
    try:
        return frame_bytes.locate(stream, data, syntax, pixels, headers)
    except Exception:  # as in _native
        return ()


def _read_native(stream: BinaryIO, expected: ImageFile) -> Pixels | None:
    """The pixels of a file that is still as it was scanned; None where anything is unusual."""
    known = expected.header.native
    if not isinstance(known, native.Native):
        return None
    stored = native.read_stored(stream, known)
    if stored is None:
        return None
    values = native.rescaled(stored, known.scaling)
    if not np.isfinite(values).all():
        return None
    inverted = expected.header.facts.photometric == "MONOCHROME1"
    return Pixels(
        values, native.valid(stored, known.padding), inverted, rescaled=known.scaling is not None
    )


def _decode(data: Dataset, syntax: str, headers: list[Dataset], indices: list[int]) -> list[Pixels]:
    mosaic = find_mosaic(data)
    stored: Iterable[np.ndarray]  # of compressed frames one at a time
    if mosaic is None:
        stored = stored_frames(data, syntax, indices)
    else:
        picture = next(stored_frames(data, syntax, [0]))
        stored = [mosaic.tile(picture, index) for index in indices]
    pairs = zip(indices, stored, strict=True)
    return [values_of(data, headers[index], frame) for index, frame in pairs]


def _transfer_syntax(data: Dataset) -> str:
    stated = _text(data.file_meta, "TransferSyntaxUID")
    if stated:
        return stated
    implicit, little = data.original_encoding
    return str(
        ImplicitVRLittleEndian
        if implicit
        else ExplicitVRLittleEndian
        if little
        else ExplicitVRBigEndian
    )
