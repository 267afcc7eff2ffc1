"""DICOM files of several slices: one header a frame, with the elements that a file of its own would
have.

Frames of enhanced objects are told by their functional groups (PS3.3 C.7.6.16), those of a tomogram
by its detector (tomogram.py), tiles of a mosaic by the maker's private elements (mosaic.py).
"""

from collections import defaultdict
from collections.abc import Iterable
from copy import copy

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import VR

from data_prep.readers.dicom import mosaic, tomogram
from data_prep.readers.dicom.header import checked_items, value
from data_prep.readers.dicom.mosaic import find_mosaic
from data_prep.rejects import Rejected, not_decodable

# Way through a frame's functional groups -> the element of a single-frame image that says the same.
# Sources: PS3.3 C.7.6.16.2 (any modality), C.8.13.5 (MR), C.8.15.3 (CT), C.8.22.5 (PET), C.8.19.6
# and C.8.21.3 (X-ray), C.8.24.6 (ultrasound), C.8.32.2 (maps).
SAME_AS = {
    ("PlanePositionSequence", "ImagePositionPatient"): "ImagePositionPatient",
    ("PlaneOrientationSequence", "ImageOrientationPatient"): "ImageOrientationPatient",
    ("PlanePositionVolumeSequence", "ImagePositionVolume"): "ImagePositionVolume",
    ("PlaneOrientationVolumeSequence", "ImageOrientationVolume"): "ImageOrientationVolume",
    ("PixelMeasuresSequence", "PixelSpacing"): "PixelSpacing",
    ("PixelMeasuresSequence", "SliceThickness"): "SliceThickness",
    ("PixelMeasuresSequence", "SpacingBetweenSlices"): "SpacingBetweenSlices",
    ("FramePixelDataPropertiesSequence", "ImagerPixelSpacing"): "ImagerPixelSpacing",
    # what values mean
    ("PixelValueTransformationSequence", "RescaleSlope"): "RescaleSlope",
    ("PixelValueTransformationSequence", "RescaleIntercept"): "RescaleIntercept",
    ("PixelValueTransformationSequence", "RescaleType"): "RescaleType",
    ("RealWorldValueMappingSequence",): "RealWorldValueMappingSequence",
    ("MRImageFrameTypeSequence", "FrameType"): "ImageType",
    ("MRImageFrameTypeSequence", "ComplexImageComponent"): "ComplexImageComponent",
    ("MRImageFrameTypeSequence", "AcquisitionContrast"): "AcquisitionContrast",
    ("CTImageFrameTypeSequence", "FrameType"): "ImageType",
    ("PETFrameTypeSequence", "FrameType"): "ImageType",
    ("XRay3DFrameTypeSequence", "FrameType"): "ImageType",
    ("ParametricMapFrameTypeSequence", "FrameType"): "ImageType",
    ("USImageDescriptionSequence", "FrameType"): "ImageType",
    ("ImageDataTypeSequence", "DataType"): "DataType",
    # how they were taken
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime"): "RepetitionTime",
    ("MRTimingAndRelatedParametersSequence", "FlipAngle"): "FlipAngle",
    ("MREchoSequence", "EffectiveEchoTime"): "EchoTime",
    ("MRModifierSequence", "InversionTimes"): "InversionTime",
    ("MRModifierSequence", "MagnetizationTransfer"): "MagnetizationTransfer",
    ("MRDiffusionSequence", "DiffusionBValue"): "DiffusionBValue",
    ("MRDiffusionSequence", "DiffusionDirectionality"): "DiffusionDirectionality",
    (
        "MRDiffusionSequence",
        "DiffusionGradientDirectionSequence",
        "DiffusionGradientOrientation",
    ): "DiffusionGradientOrientation",
    ("MRVelocityEncodingSequence", "VelocityEncodingDirection"): "VelocityEncodingDirection",
    ("MRVelocityEncodingSequence", "VelocityEncodingMinimumValue"): "VelocityEncodingMinimumValue",
    ("MRVelocityEncodingSequence", "VelocityEncodingMaximumValue"): "VelocityEncodingMaximumValue",
    ("MRArterialSpinLabelingSequence", "ASLContext"): "ASLContext",
    (
        "MRArterialSpinLabelingSequence",
        "ASLSlabSequence",
        "ASLPulseTrainDuration",
    ): "ASLPulseTrainDuration",
    ("MRMetaboliteMapSequence", "MetaboliteMapDescription"): "MetaboliteMapDescription",
    ("CTReconstructionSequence", "ConvolutionKernel"): "ConvolutionKernel",
    ("CTReconstructionSequence", "ReconstructionAlgorithm"): "ReconstructionAlgorithm",
    ("CTXRayDetailsSequence", "KVP"): "KVP",
    ("CTXRayDetailsSequence", "FilterType"): "FilterType",
    ("CTXRayDetailsSequence", "FilterMaterial"): "FilterMaterial",
    ("CTAcquisitionDetailsSequence", "GantryDetectorTilt"): "GantryDetectorTilt",
    ("CTAcquisitionDetailsSequence", "TableHeight"): "TableHeight",
    ("PETFrameAcquisitionSequence", "TableHeight"): "TableHeight",
    ("PETFrameCorrectionFactorsSequence", "DecayFactor"): "DecayFactor",
    ("FrameAcquisitionSequence", "KVP"): "KVP",
    # when, and which of several
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"): "TriggerTime",
    (
        "CardiacSynchronizationSequence",
        "NominalPercentageOfCardiacPhase",
    ): "NominalPercentageOfCardiacPhase",
    (
        "RespiratorySynchronizationSequence",
        "NominalRespiratoryTriggerDelayTime",
    ): "NominalRespiratoryTriggerDelayTime",
    (
        "RespiratorySynchronizationSequence",
        "NominalPercentageOfRespiratoryPhase",
    ): "NominalPercentageOfRespiratoryPhase",
    ("TemporalPositionSequence", "TemporalPositionTimeOffset"): "TemporalPositionTimeOffset",
    ("FrameContentSequence", "FrameAcquisitionDateTime"): "AcquisitionDateTime",
    ("FrameContentSequence", "FrameReferenceDateTime"): "FrameReferenceDateTime",
    ("FrameContentSequence", "FrameAcquisitionDuration"): "FrameAcquisitionDuration",
    ("FrameContentSequence", "CardiacCyclePosition"): "CardiacCyclePosition",
    ("FrameContentSequence", "RespiratoryCyclePosition"): "RespiratoryCyclePosition",
    ("FrameContentSequence", "StackID"): "StackID",
    ("FrameContentSequence", "TemporalPositionIndex"): "TemporalPositionIdentifier",
    ("FrameContentSequence", "FrameAcquisitionNumber"): "AcquisitionNumber",
    ("FrameContentSequence", "DimensionIndexValues"): "DimensionIndexValues",
}
# A frame that leaves out where it lies has no place of its own.
NOT_OF_THE_FILE = ("ImagePositionPatient", "ImagePositionVolume", "DimensionIndexValues")
# What else a frame has of the whole file.
OF_THE_FILE = (
    "InstanceNumber",
    "ModalityLUTSequence",
    "NominalScannedPixelSpacing",
    "Units",
    "FrameReferenceTime",
    "ScanningSequence",
    "SequenceVariant",
    "FrameOfReferenceUID",
    "NumberOfTemporalPositions",
)
INHERITED = tuple(
    dict.fromkeys(
        [*(same for same in SAME_AS.values() if same not in NOT_OF_THE_FILE), *OF_THE_FILE]
    )
)
# Dimensions that tell where in a volume a frame lies; what is left tells volumes apart.
WITHIN_A_VOLUME = tuple(
    map(tag_for_keyword, ("InStackPositionNumber", "ImagePositionPatient", "ImagePositionVolume"))
)
# What was converted from single-frame images keeps here what no functional group holds (PS3.3
# C.7.6.16.2.25 and 26).
CONVERTED = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)
NEEDED = (
    "NumberOfFrames",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionIndexSequence",
    *dict.fromkeys(way[0] for way in SAME_AS),
    *INHERITED,
    *mosaic.NEEDED,
    *tomogram.NEEDED,
)

# Group -> way on from it, same element.
_WAYS: dict[BaseTag, list[tuple[tuple[BaseTag, ...], BaseTag]]] = defaultdict(list)
for _way, _same in SAME_AS.items():
    _WAYS[Tag(_way[0])].append((tuple(map(Tag, _way[1:])), Tag(_same)))
_INHERITED = tuple(map(Tag, INHERITED))


def frame_headers(data: Dataset) -> list[Dataset]:
    """A header for each frame; of a single-frame image its own.

    Raises Rejected, also for frames without positions.
    """
    try:
        if tiles := find_mosaic(data):
            return [
                _placed(data, {"ImagePositionPatient": list(position)})
                for position in tiles.positions
            ]
        count = _number_of_frames(data)
        if not value(data, "PerFrameFunctionalGroupsSequence"):
            if count > 1:
                return [_placed(data, place) for place in tomogram.frame_places(data, count)]
            place = tomogram.single_place(data)
            return [data] if place is None else [_placed(data, place)]
        headers = _functional_groups(data)
        if len(headers) != count:
            raise Rejected("not_decodable", f"{len(headers)} descriptions of {count} frames")
    except Rejected:
        raise
    # Malformed groups make pydicom raise nearly anything, and the text may quote a value.
    except Exception as error:
        raise not_decodable(error) from None
    placeless = [header for header in headers if "ImagePositionPatient" not in header]
    # PS3.3 C.8.24.2: where the probe was is not known.
    if any("ImagePositionVolume" in header for header in placeless):
        raise Rejected(
            "no_orientation",
            "an ultrasound volume that says how it lies before the probe, not how it lies in the "
            "patient",
        )
    if count > 1 and placeless:
        raise Rejected("multi_frame")
    return headers


def _number_of_frames(data: Dataset) -> int:
    """As the header says; 1 where it says nothing. Raises Rejected."""
    stated = value(data, "NumberOfFrames")
    if stated in (None, "", 0):
        return 1
    if not isinstance(stated, int) or stated < 0:
        raise Rejected("not_decodable", "a number of frames that is none")
    return int(stated)


def _placed(data: Dataset, place: dict[str, object]) -> Dataset:
    """What the file says of all its frames, and the place of one."""
    header = _of_the_file(data)
    for keyword, given in place.items():
        header[keyword] = DataElement(
            Tag(keyword), VR.FD if isinstance(given, list) else dictionary_VR(keyword), given
        )
    return header


def _functional_groups(data: Dataset) -> list[Dataset]:
    """What is said of a frame by itself goes before what is said of all of them, and that before
    what the file says at its top.
    """
    whole = _of_the_file(data)
    for group in (data, *checked_items(data, "SharedFunctionalGroupsSequence")[:1]):
        _read_group(group, whole)
    pointers = [
        item.get("DimensionIndexPointer") for item in checked_items(data, "DimensionIndexSequence")
    ]
    between = [place for place, pointer in enumerate(pointers) if pointer not in WITHIN_A_VOLUME]
    headers = []
    for group in checked_items(data, "PerFrameFunctionalGroupsSequence"):
        header = _with(Dataset(), whole)
        _read_group(group, header)
        _keep_dimensions(header, len(pointers), between)
        headers.append(header)
    return headers


def _of_the_file(data: Dataset) -> Dataset:
    """What each frame inherits.

    An element is never shared: whoever writes into a frame's header must not change another's.
    """
    return _with(Dataset(), (data[tag] for tag in _INHERITED if tag in data))


def _with(header: Dataset, elements: Iterable[DataElement]) -> Dataset:
    """`header` with copies of `elements`."""
    for element in elements:
        header[element.tag] = copy(element)
    return header


def _read_group(group: Dataset, header: Dataset) -> None:
    """Write into `header` what the functional groups say, in the words of a single-frame image."""
    for keyword in CONVERTED:
        for item in checked_items(group, keyword)[:1]:
            _with(header, item)
    for tag in _WAYS.keys() & group.keys():
        for way, same in _WAYS[tag]:
            element = _at_end(group[tag], way)
            if element is not None and (not element.is_empty or same not in header):
                header[same] = DataElement(same, element.VR, element.value)


def _at_end(element: DataElement | None, way: tuple[BaseTag, ...]) -> DataElement | None:
    """The element that `way` leads to through the first item of each sequence.

    Raises Rejected where one is no sequence.
    """
    for tag in way:
        if element is None or element.is_empty:
            return None
        if element.VR != VR.SQ:
            raise Rejected("not_decodable", "a functional group that is no sequence")
        element = element.value[0].get(tag)
    return element


def _keep_dimensions(header: Dataset, count: int, between: list[int]) -> None:
    """Leave only the indices that tell volumes apart (PS3.3 C.7.6.17).

    Of one dimension the value is a number, of several a list.
    """
    indices = header.get("DimensionIndexValues")
    if indices is None:
        return
    values = np.atleast_1d(indices).tolist()
    del header.DimensionIndexValues
    if between and len(values) == count:
        header.DimensionIndexValues = [values[place] for place in between]
