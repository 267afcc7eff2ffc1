"""Which DICOM objects are images that fewsite uses (PS3.3, PS3.4 B.5).

Any doubt is a Rejected with its reason.
"""

import math

from pydicom.dataset import Dataset
from pydicom.uid import UID, UID_dictionary, VLWholeSlideMicroscopyImageStorage

from data_prep.readers.dicom.header import identifier as _identifier
from data_prep.readers.dicom.header import sop_class_of
from data_prep.readers.dicom.header import text as _text
from data_prep.readers.dicom.header import whole as _whole
from data_prep.readers.dicom.objects import Object, object_of
from data_prep.readers.dicom.pixels.decoders import DECODERS
from data_prep.readers.dicom.pixels.values import COLOUR, GREY, PALETTE
from data_prep.rejects import Rejected

VISIBLE_LIGHT = (
    "1.2.840.10008.5.1.4.1.1.77.1."  # SOP classes of endoscopes, microscopes and slide scanners
)
FILMS = ("MPEG", "HEVC")  # in the names of transfer syntaxes of films (PS3.6 A)
MAX_PIXELS = 2**28  # of one image: 16,384 x 16,384


def check_object(data: Dataset, has_pixels: bool) -> None:
    """Tell images from reports, plans and derived objects by SOP class (PS3.4 B.5).

    Raises Rejected.
    """
    sop_class = sop_class_of(data)
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
    """Whether a picture shows a slide's label: its flavour says so (PS3.3 C.8.12.4.1.1), or
    Specimen Label in Image.
    """
    stated = _text(data, "SpecimenLabelInImage").upper()
    flavours = _slide_flavours(data, sop_class)
    return stated == "YES" or "LABEL" in flavours or ("OVERVIEW" in flavours and stated != "NO")


def is_exposed(data: Dataset, sop_class: str) -> bool:
    """Whether a patient may be known by the picture, whatever modality made it: a face (PS3.3
    C.7.6.1), or a slide seen whole.
    """
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
    """A microscope's Image Type from the third value on; in other modalities it means other things,
    such as the label of an ASL series.
    """
    if not sop_class.startswith(VISIBLE_LIGHT):
        return set()
    return {value.strip() for value in _identifier(data, "ImageType").upper().split("\\")[2:]}


def check_image(data: Dataset, syntax: str) -> tuple[int, int]:
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
