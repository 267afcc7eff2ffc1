"""DICOM files of several slices: one header a frame, with the elements that a file of its own would have.

Frames of enhanced objects are told by their functional groups (PS3.3 C.7.6.16), tiles of a Siemens mosaic by its private header.
"""

import math

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from data_prep.rejects import Rejected

# (functional group, element) -> the element of a single-frame image that says the same
SAME_AS = {
    ("PlanePositionSequence", "ImagePositionPatient"): "ImagePositionPatient",
    ("PlaneOrientationSequence", "ImageOrientationPatient"): "ImageOrientationPatient",
    ("PixelMeasuresSequence", "PixelSpacing"): "PixelSpacing",
    ("PixelValueTransformationSequence", "RescaleSlope"): "RescaleSlope",
    ("PixelValueTransformationSequence", "RescaleIntercept"): "RescaleIntercept",
    ("PixelValueTransformationSequence", "RescaleType"): "RescaleType",
    ("MRImageFrameTypeSequence", "FrameType"): "ImageType",
    ("MRImageFrameTypeSequence", "ComplexImageComponent"): "ComplexImageComponent",
    ("CTImageFrameTypeSequence", "FrameType"): "ImageType",
    ("PETFrameTypeSequence", "FrameType"): "ImageType",
    ("MREchoSequence", "EffectiveEchoTime"): "EchoTime",
    ("MRDiffusionSequence", "DiffusionBValue"): "DiffusionBValue",
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"): "TriggerTime",
    ("FrameContentSequence", "StackID"): "StackID",
    ("FrameContentSequence", "TemporalPositionIndex"): "TemporalPositionIdentifier",
    ("FrameContentSequence", "FrameAcquisitionNumber"): "AcquisitionNumber",
    ("FrameContentSequence", "DimensionIndexValues"): "DimensionIndexValues",
}
INHERITED = ("ImageType", "InstanceNumber", "AcquisitionNumber", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence",
             "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")  # of the whole file, where a frame says nothing
# Dimensions that tell where in a volume a frame lies; what is left tells volumes apart.
WITHIN_A_VOLUME = frozenset(map(tag_for_keyword, ("InStackPositionNumber", "ImagePositionPatient")))
CSA_TAGS = (0x00290010, 0x00290011, 0x00291010, 0x00291110)  # Siemens' private header and who made it
NEEDED = ("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence",
          "SpacingBetweenSlices", *CSA_TAGS)


def frame_headers(data: Dataset) -> list[Dataset]:
    """A header for each frame; of a single-frame image its own. Raises Rejected, also for frames without positions."""
    try:
        if is_mosaic(data):
            return _tile_headers(data)
        count = int(data.get("NumberOfFrames") or 1)
        if not data.get("PerFrameFunctionalGroupsSequence"):
            if count > 1:
                raise Rejected("multi_frame")
            return [data]
        headers = _functional_groups(data)
    except Rejected:
        raise
    except Exception as error:  # malformed groups make pydicom raise nearly anything, and the text may quote a value
        raise Rejected("not_decodable", type(error).__name__) from None
    if len(headers) != count:
        raise Rejected("not_decodable", f"{len(headers)} descriptions of {count} frames")
    if count > 1 and any("ImagePositionPatient" not in header for header in headers):
        raise Rejected("multi_frame")
    return headers


def is_mosaic(data: Dataset) -> bool:
    """Whether the slices of a volume lie side by side in one picture."""
    return "MOSAIC" in str(data.get("ImageType", "")).upper()


def tile(mosaic: np.ndarray, count: int, index: int) -> np.ndarray:
    """Slice `index` of `count` in a mosaic, which is a square of tiles, row by row."""
    side = _side(count)
    rows, columns = mosaic.shape[0] // side, mosaic.shape[1] // side
    top, left = index // side * rows, index % side * columns
    return mosaic[top : top + rows, left : left + columns]


def _side(count: int) -> int:
    return math.isqrt(count - 1) + 1


def _functional_groups(data: Dataset) -> list[Dataset]:
    shared = data.SharedFunctionalGroupsSequence[0] if data.get("SharedFunctionalGroupsSequence") else Dataset()
    pointers = [item.get("DimensionIndexPointer") for item in data.get("DimensionIndexSequence") or []]
    between = [place for place, pointer in enumerate(pointers) if pointer not in WITHIN_A_VOLUME]
    headers = []
    for group in data.PerFrameFunctionalGroupsSequence:
        header = Dataset()
        for keyword in INHERITED:
            if keyword in data:
                header[keyword] = data[keyword]
        for (sequence, keyword), same in SAME_AS.items():
            items = group.get(sequence) or shared.get(sequence)
            if items and keyword in items[0]:
                setattr(header, same, items[0][keyword].value)
        mapping = group.get("RealWorldValueMappingSequence") or shared.get("RealWorldValueMappingSequence")
        if mapping:
            header.RealWorldValueMappingSequence = mapping
        indices = header.get("DimensionIndexValues")
        if indices is not None:
            header.DimensionIndexValues = [indices[place] for place in between] if len(indices) == len(pointers) > 1 else None
        headers.append(header)
    return headers


def _tile_headers(data: Dataset) -> list[Dataset]:
    """Where the tiles lie. The header's own position is the corner of the whole picture, as if it were one slice."""
    from nibabel.nicom import csareader  # warns as it is imported, here where callers are quiet

    csa = csareader.get_csa_header(data)
    count = csareader.get_n_mosaic(csa) if csa else None
    normal = csareader.get_slice_normal(csa) if csa else None
    if not count or normal is None or any(not data.get(keyword) for keyword in
                                          ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices")):
        raise Rejected("no_position", "a mosaic without the private header that says where its slices lie")
    side = _side(count)
    if data.Rows % side or data.Columns % side:
        raise Rejected("not_decodable", "a mosaic that does not divide into its slices")
    along_row, along_column = np.reshape(np.array(data.ImageOrientationPatient, float), (2, 3))
    between_rows, between_columns = map(float, data.PixelSpacing)
    corner = (np.array(data.ImagePositionPatient, float)
              + along_row * between_columns * (data.Columns - data.Columns // side) / 2
              + along_column * between_rows * (data.Rows - data.Rows // side) / 2)
    headers = []
    for index in range(count):
        header = Dataset()
        for keyword in (*INHERITED, "ImageOrientationPatient", "EchoTime", "TemporalPositionIdentifier"):
            if keyword in data:
                header[keyword] = data[keyword]
        header.ImagePositionPatient = [float(place) for place in corner + index * float(data.SpacingBetweenSlices) * normal]
        headers.append(header)
    return headers
