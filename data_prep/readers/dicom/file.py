"""One DICOM file: its header as facts, its pixels as values (PS3.3, PS3.5). Any doubt is a Rejected with its reason."""

import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO
from warnings import WarningMessage

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    UID_dictionary,
    VLWholeSlideMicroscopyImageStorage,
)

from data_prep.exports.sources import Found
from data_prep.privacy.age_and_sex import age_from_dicom, sex, understood
from data_prep.privacy.deidentify import equipment, modality, study_year
from data_prep.readers.dicom import frame_bytes, frames, native
from data_prep.readers.dicom.decoders import (
    DECODERS,
    NO_PIXELS,
    bits_below,
    check_frames,
    check_warnings,
    stored_frames,
)
from data_prep.readers.dicom.frame_bytes import PixelData, StoredFrame
from data_prep.readers.dicom.header import identifier as _identifier
from data_prep.readers.dicom.header import numbers as _numbers
from data_prep.readers.dicom.header import parse
from data_prep.readers.dicom.header import tag_of as _tag
from data_prep.readers.dicom.header import text as _text
from data_prep.readers.dicom.header import whole as _whole
from data_prep.readers.dicom.meaning import ASKED, SCANNED, STATED
from data_prep.readers.dicom.mosaic import find_mosaic
from data_prep.readers.dicom.objects import Object, object_of
from data_prep.readers.dicom.said import said
from data_prep.readers.dicom.units import units
from data_prep.readers.dicom.values import COLOUR, GREY, PALETTE, padding, scaling, values_of
from data_prep.readers.image_file import (
    Facts,
    ImageFile,
    Pixels,
    Place,
    Rectangle,
    shared,
    shared_shape,
)
from data_prep.readers.quiet import quiet
from data_prep.rejects import Rejected, not_decodable

VISIBLE_LIGHT = (
    "1.2.840.10008.5.1.4.1.1.77.1."  # SOP classes of endoscopes, microscopes and slide scanners
)
FILMS = ("MPEG", "HEVC")  # in the names of transfer syntaxes of films (PS3.6 A)
MAX_PIXELS = 2**28  # of one image: 16,384 x 16,384
MAX_VOXELS = 2**30  # of all frames of a file: 1024 x 1024 x 1024

IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
DEVICE = ("Manufacturer", "ManufacturerModelName")
PARTS = (
    "ConcatenationUID",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
)  # PS3.3 C.7.6.16.2.2.4: one object as several files
# Whatever in a header names a person, a place or a visit: a maker's name that shares a piece with one of these is dropped.
IDENTIFYING = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "DeviceSerialNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "RequestingPhysician",
    "OperatorsName",
    "ResponsiblePerson",
)
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
PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, PIXEL_DATA)  # float, double and integer pixel data
ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD  # PS3.5 7.5
UNDEFINED_LENGTH = 0xFFFFFFFF
LONG_FORM = (
    b"OB",
    b"OD",
    b"OF",
    b"OL",
    b"OV",
    b"OW",
    b"UN",
)  # PS3.5 7.1.2: a 32-bit length after two reserved bytes


def read_header(
    stream: BinaryIO, found: Found, bare: bool = False, asked: tuple[str, ...] = ()
) -> ImageFile:
    """What the header says, without decoding pixels. `bare`: the file has no preamble; `asked`: more identifiers. Raises Rejected."""
    with quiet():
        data = parse(
            stream,
            force=bare,
            stop_before_pixels=True,
            specific_tags=[*HEADER_TAGS, *map(_tag, asked)],
        )
        syntax = shared(_transfer_syntax(data))
        pixels = None
        identifiers = {
            keyword: shared(value)
            for keyword in (*IDENTIFIERS, *DEVICE, *PARTS, *asked)
            if (value := _identifier(data, keyword))
        }
        identifiers["SOPClassUID"] = shared(_sop_class(data))
        try:
            _check_object(data, _has_pixels(stream, data, syntax))
            if (
                syntax != DeflatedExplicitVRLittleEndian
            ):  # deflated, there is no place to look at; decoding tells
                pixels = _whole_pixels(stream, data)
            shape = shared_shape(_check_image(data, syntax))
            bits_below(data)
            headers = frames.frame_headers(data)
            if math.prod(shape) * len(headers) > MAX_VOXELS:
                raise Rejected("too_large")
            if not identifiers.get("SOPInstanceUID"):
                raise Rejected("no_instance_uid")
        except Rejected as rejected:
            raise Rejected(
                rejected.reason,
                rejected.found,
                identifiers.get("SeriesInstanceUID", ""),
                identifiers.get("SOPInstanceUID", ""),
                sop_class=identifiers["SOPClassUID"],
            ) from None
        grey = _text(data, "PhotometricInterpretation") in GREY
        places = [(_place(data, header, grey), _spacing(header)) for header in headers]
        facts = _facts(data, syntax, places[0][1], places[0][0].units)
        image = ImageFile(
            found,
            "dicom",
            shape,
            facts,
            identifiers,
            places[0][0],
            clean=_text(data, "BurnedInAnnotation").upper() == "NO",
            exposed=_is_exposed(data, identifiers["SOPClassUID"]),
            regions=_regions(data),
        )
        if len(headers) == 1:
            return (
                replace(image, native=_native(stream, data, syntax, pixels))
                if headers[0] is data
                else image
            )
        return replace(
            image,
            shape=(len(headers), *_frame_shape(data, shape)),
            place=None,
            frames=tuple(places),
            stored=_stored_frames(stream, data, syntax, pixels, headers),
        )


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
        shape = _check_image(data, syntax)
        check_frames(data, syntax, shape)
        caught.clear()
        try:
            pixels = _decode(data, syntax, headers, indices)
        except Rejected:
            raise
        except Exception as error:  # decoders raise whatever they like on damaged streams, and their texts may quote values
            raise not_decodable(error) from None
        check_warnings(caught, data, shape)
        return pixels


def _read_frames(
    stream: BinaryIO, wanted: Sequence[ImageFile]
) -> tuple[Dataset, list[Dataset], list[int]] | None:
    """A data set of the wanted frames, their headers and where each is; None where it takes the whole file."""
    stored = [image.native for image in wanted if isinstance(image.native, StoredFrame)]
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
    shape = _check_image(data, _transfer_syntax(data))
    headers = frames.frame_headers(data)
    indices = [image.frame or 0 for image in wanted]
    read = (_identifier(data, "SOPInstanceUID"), *_frame_shape(data, shape))
    if read != (expected.identifiers["SOPInstanceUID"], *expected.shape) or max(indices) >= len(
        headers
    ):
        raise Rejected("file_changed")
    return data, headers, indices


def _check_object(data: Dataset, has_pixels: bool) -> None:
    """Tell images from reports, plans and derived objects by SOP class (PS3.4 B.5). Raises Rejected."""
    sop_class = _sop_class(data)
    kind = object_of(sop_class, _text(data, "Modality"))
    if kind is Object.UNKNOWN and not has_pixels:
        raise Rejected("no_pixels")
    if kind in (Object.UNKNOWN, Object.UNSAID):
        raise Rejected("unknown_sop_class")
    if kind is Object.NO_IMAGE:
        raise Rejected("derived_object" if has_pixels else "no_pixels")
    name = UID(sop_class).name
    if not _whole(data, "Rows") or not _whole(data, "Columns"):
        raise Rejected("truncated", "no rows and columns: it ends before them, or was sent without")
    burned_in = _text(data, "BurnedInAnnotation").upper()
    if burned_in == "YES" or ("Secondary Capture" in name and burned_in != "NO"):
        raise Rejected("burned_in_annotation")
    if _shows_a_label(data, sop_class):
        raise Rejected("slide_label")
    in_tiles = sop_class == VLWholeSlideMicroscopyImageStorage or "TotalPixelMatrixColumns" in data
    if in_tiles and (_whole(data, "NumberOfFrames") or 1) > 1:
        raise Rejected("slide")


def _shows_a_label(data: Dataset, sop_class: str) -> bool:
    """Whether a picture shows a slide's label: its flavour says so (PS3.3 C.8.12.4.1.1), or Specimen Label in Image."""
    stated = _text(data, "SpecimenLabelInImage").upper()
    flavours = _slide_flavours(data, sop_class)
    return stated == "YES" or "LABEL" in flavours or ("OVERVIEW" in flavours and stated != "NO")


def _is_exposed(data: Dataset, sop_class: str) -> bool:
    """Whether a patient may be known by the picture, whatever modality made it: a face (PS3.3 C.7.6.1), or a slide seen whole."""
    stated = {
        _text(data, "SpecimenLabelInImage").upper(),
        _text(data, "BurnedInAnnotation").upper(),
    }
    flavours = _slide_flavours(data, sop_class)
    whole = "THUMBNAIL" in flavours or (
        sop_class == VLWholeSlideMicroscopyImageStorage and "VOLUME" not in flavours
    )
    return (whole and "NO" not in stated) or _text(
        data, "RecognizableVisualFeatures"
    ).upper() == "YES"


def _slide_flavours(data: Dataset, sop_class: str) -> set[str]:
    """A microscope's Image Type from the third value on; in other modalities it means other things, such as the label of an ASL series."""
    if not sop_class.startswith(VISIBLE_LIGHT):
        return set()
    return {value.strip() for value in _identifier(data, "ImageType").upper().split("\\")[2:]}


def _sop_class(data: Dataset) -> str:
    return _text(data, "SOPClassUID") or _text(data.file_meta, "MediaStorageSOPClassUID")


def _check_image(data: Dataset, syntax: str) -> tuple[int, int]:
    """Rows and columns of an image that fewsite decodes. Raises Rejected."""
    if syntax not in DECODERS:
        if (_whole(data, "NumberOfFrames") or 1) > 1 and any(
            word in UID(syntax).name for word in FILMS
        ):
            raise Rejected("film", UID(syntax).name)
        raise Rejected(
            "unknown_transfer_syntax",
            syntax if syntax in UID_dictionary else "a private transfer syntax",
        )
    photometric, samples = _text(data, "PhotometricInterpretation"), _whole(data, "SamplesPerPixel")
    if (photometric, samples) not in [(name, 1) for name in (*GREY, PALETTE)] + [
        (name, 3) for name in COLOUR
    ]:
        raise Rejected(
            "unsupported_pixels",
            "a photometric interpretation and samples per pixel that do not fit",
        )
    shape = _whole(data, "Rows") or 0, _whole(data, "Columns") or 0
    if not 0 < math.prod(shape) <= MAX_PIXELS:
        raise (
            Rejected("too_large")
            if math.prod(shape)
            else Rejected("not_decodable", "an image of no rows or no columns")
        )
    return shape


def _has_pixels(stream: BinaryIO, data: Dataset, syntax: str) -> bool:
    """Whether `stream`, which is left where it stands, goes on with pixel data; of a deflated file whether its header speaks of them."""
    if syntax == DeflatedExplicitVRLittleEndian:
        return "Rows" in data
    place = stream.tell()
    tag = stream.read(4)
    stream.seek(place)
    if len(tag) < 4:
        return False
    group, element = struct.unpack(("<" if data.original_encoding[1] else ">") + "HH", tag)
    return group << 16 | element in PIXEL_TAGS


def _frame_shape(data: Dataset, shape: tuple[int, int]) -> tuple[int, int]:
    mosaic = find_mosaic(data)
    return shape if mosaic is None else mosaic.shape(shape)


def _whole_pixels(stream: BinaryIO, data: Dataset) -> PixelData:
    """Follow the lengths of the pixel data that `stream` stands at, to its end. Raises Rejected if the file ends before."""
    implicit, little = data.original_encoding
    order = "<" if little else ">"
    header = stream.read(12)
    if len(header) < 12:
        raise Rejected("truncated", NO_PIXELS)
    group, element = struct.unpack(order + "HH", header[:4])
    if group << 16 | element not in PIXEL_TAGS:
        raise Rejected("truncated", NO_PIXELS)
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


def _native(
    stream: BinaryIO, data: Dataset, syntax: str, pixels: PixelData | None
) -> native.Native | None:
    """How to read the pixels without parsing the file again; None where there is more to them than grey values and a scale."""
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
    except (
        Exception
    ):  # a doubtful or malformed value matters only where the file is used, and then decoding tells
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
    return Pixels(
        values, native.valid(stored, known.padding), inverted, rescaled=known.scaling is not None
    )


def _decode(data: Dataset, syntax: str, headers: list[Dataset], indices: list[int]) -> list[Pixels]:
    mosaic = find_mosaic(data)
    if mosaic is not None:
        picture = next(stored_frames(data, syntax, [0]))
        stored = [mosaic.tile(picture, index) for index in indices]
    else:
        stored = stored_frames(data, syntax, indices)
    return [
        values_of(data, headers[index], frame) for index, frame in zip(indices, stored, strict=True)
    ]


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


def _facts(
    data: Dataset, syntax: str, spacing: tuple[float, ...] | None, its_units: str | None
) -> Facts:
    identifying = [_text(data, keyword) for keyword in IDENTIFYING]
    study_date = _text(data, "StudyDate")
    age, age_read = understood(
        age_from_dicom, _text(data, "PatientAge"), _text(data, "PatientBirthDate"), study_date
    )
    patient_sex, sex_read = understood(sex, _text(data, "PatientSex"))
    return shared(
        Facts(
            transfer_syntax=syntax,
            photometric=_text(data, "PhotometricInterpretation"),  # one that _check_image knows
            modality=modality(_text(data, "Modality")),
            manufacturer=equipment(_text(data, "Manufacturer"), identifying),
            model=equipment(_text(data, "ManufacturerModelName"), identifying),
            age=age,
            sex=patient_sex,
            study_year=study_year(study_date),
            spacing=spacing,
            units=its_units,
            unread=("age",) * (not age_read) + ("sex",) * (not sex_read),
        )
    )


def _spacing(data: Dataset) -> tuple[float, ...] | None:
    return next(
        (
            found
            for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
            if (found := _numbers(data, keyword, 2)) and min(found) > 0
        ),
        None,
    )


def _regions(data: Dataset) -> Rectangle | None:
    """What all ultrasound regions span (PS3.3 C.8.5.5); None where there is none or one says no place.

    Makers differ in whether Max is the last pixel of a region or the next one: it is left out, so that no pixel beside one is kept.
    """
    try:
        corners = [
            [
                int(region[f"RegionLocation{corner}"].value)
                for corner in ("MinY0", "MinX0", "MaxY1", "MaxX1")
            ]
            for region in data.SequenceOfUltrasoundRegions
        ]
    except Exception:  # as in _text
        return None
    if not corners:
        return None
    tops, lefts, bottoms, rights = zip(*corners, strict=True)
    return min(tops), min(lefts), max(bottoms) - min(tops), max(rights) - min(lefts)


def _place(whole: Dataset, data: Dataset, grey: bool) -> Place:
    """`whole`: the file's header; `data`: its image's, or one frame's own."""
    its_units = units(whole, data) if grey else None
    meant = (
        its_units
        if _tag("RescaleSlope") in data or not grey
        else units(whole, data, as_if_rescaled=True)
    )
    return Place(
        _numbers(data, "ImagePositionPatient", 3),
        _numbers(data, "ImageOrientationPatient", 6),
        "LOCALIZER" in _text(data, "ImageType").upper(),
        stated=_whole(data, "ImagesInAcquisition") or _whole(data, "NumberOfSlices"),
        stack=_text(data, "StackID"),
        meaning=shared((*(said(data, element) for element in STATED), meant or "")),
        moments=shared(tuple(said(data, element) for element in SCANNED)),
        number=_whole(data, "InstanceNumber"),
        times=_whole(data, "NumberOfTemporalPositions"),
        between=_numbers(data, "SpacingBetweenSlices", 1),
        units=its_units,
    )
