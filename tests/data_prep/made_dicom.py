"""Small DICOM files with known pixels, made for tests."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    VLPhotographicImageStorage,
)

from data_prep.exports.sources import Found
from data_prep.readers.dicom import file as dicom
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile, Pixels

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def ramp(rows: int = 12, columns: int = 10, high: int = 4000) -> np.ndarray:
    return np.linspace(0, high, rows * columns).reshape(rows, columns).astype(np.uint16)


def grey(pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: object) -> Dataset:
    """A CT-like image of (rows, columns) integers, compressed if `syntax` says so; `elements` are set last."""
    data = _common(CTImageStorage)
    data.Modality, data.SamplesPerPixel, data.PhotometricInterpretation = "MR", 1, "MONOCHROME2"
    bits = 8 * pixels.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    return _finish(data, pixels, syntax, elements)


def colour(pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: object) -> Dataset:
    """A photograph of (rows, columns, 3) uint8."""
    data = _common(VLPhotographicImageStorage)
    (
        data.Modality,
        data.SamplesPerPixel,
        data.PhotometricInterpretation,
        data.PlanarConfiguration,
    ) = "XC", 3, "RGB", 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    return _finish(data, pixels, syntax, elements)


def volume(
    count: int = 6, series: str = "1.2.3.4", step: float = 2.0, seed: int = 0, **elements: object
) -> list[Dataset]:
    """An axial series of `count` slices of 12 x 10; slice i lies at z = i * step and is brighter than slice i - 1."""
    noise = np.random.default_rng(seed).integers(0, 50, (count, 12, 10))
    return [
        grey(
            (noise[place] + 100 * place).astype(np.uint16),
            SeriesInstanceUID=series,
            SOPInstanceUID=f"{series}.{place + 1}",
            PixelSpacing=[0.7, 0.5],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[5, 6, place * step],
            InstanceNumber=1,
            **elements,
        )
        for place in range(count)
    ]


def enhanced(
    frames: np.ndarray,
    heights: Sequence[float],
    syntax: str = ExplicitVRLittleEndian,
    **per_frame: Sequence[object],
) -> Dataset:
    """An enhanced object of (frame, rows, columns) pixels, frame i at z = heights[i]; `per_frame`: one value a frame for each of
    StackID, TemporalPositionIndex, EffectiveEchoTime, RescaleSlope and FrameType."""
    groups = {
        "StackID": "FrameContentSequence",
        "TemporalPositionIndex": "FrameContentSequence",
        "EffectiveEchoTime": "MREchoSequence",
        "RescaleSlope": "PixelValueTransformationSequence",
        "FrameType": "MRImageFrameTypeSequence",
    }
    shared = Dataset()
    _add(shared, "PixelMeasuresSequence", PixelSpacing=[0.7, 0.5])
    _add(shared, "PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    described = []
    for index, height in enumerate(heights):
        frame = Dataset()
        _add(frame, "PlanePositionSequence", ImagePositionPatient=[5, 6, height])
        for keyword, values in per_frame.items():
            _add(frame, groups[keyword], **{keyword: values[index]})
        if "RescaleSlope" in per_frame:
            frame.PixelValueTransformationSequence[0].RescaleIntercept = 0
        described.append(frame)
    data = grey(frames[0])
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    data.PixelData, data.NumberOfFrames = frames.tobytes(), len(frames)
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], described
    if syntax != ExplicitVRLittleEndian:
        data.compress(syntax, generate_instance_uid=False)
    return data


def encapsulated(data: Dataset, syntax: str, frame: bytes) -> Dataset:
    """`data` with an already compressed frame."""
    data.PixelData = encapsulate([frame])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = syntax
    return data


def as_bytes(data: Dataset) -> bytes:
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def header_of(data: Dataset, asked: tuple[str, ...] = ()) -> ImageFile:
    """What fewsite makes of a data set's header. `asked`: keywords of more identifiers."""
    content = as_bytes(data)
    return dicom.read_header(io.BytesIO(content), Found("x", Path("x"), len(content)), asked=asked)


def read_pixels(content: bytes, image: ImageFile | None = None) -> Pixels:
    """A file's first image, also where its header would be refused, as of a capture, unless `image` is what was scanned."""
    return dicom.read_slices(io.BytesIO(content), [image or unchecked(content)])[0]


def unchecked(content: bytes) -> ImageFile:
    """What decoding needs of a header, whatever is wrong with the rest."""
    data = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
    elements = {"SOPInstanceUID": str(data.get("SOPInstanceUID", ""))}
    shape = (data.get("Rows", 0), data.get("Columns", 0))
    found = Found("x", Path("x"), len(content))
    return ImageFile(Identity(found, elements), Header("dicom", shape, Facts("")))


def write(data: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(data))
    return path


def _add(data: Dataset, sequence: str, **elements: object) -> None:
    """Set elements of the one item of a functional group, which is made if it is not there."""
    if sequence not in data:
        setattr(data, sequence, [Dataset()])
    for keyword, value in elements.items():
        setattr(data[sequence][0], keyword, value)


def _common(sop_class: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.SOPClassUID, data.SOPInstanceUID = sop_class, "1.2.3.1"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.2", "1.2.3.3"
    data.PatientID, data.PatientName = "ZZPHI-17", "ZZPHI^Doe"
    data.StudyDate = "20190615"
    return data


def _finish(data: Dataset, pixels: np.ndarray, syntax: str, elements: dict[str, object]) -> Dataset:
    data.Rows, data.Columns = pixels.shape[:2]
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    data.PixelData = content + b"\0" * (len(content) % 2)
    data["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    data.file_meta.TransferSyntaxUID = syntax if syntax in NATIVE else ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID or "1.2.3.1"
    if syntax not in NATIVE:
        data.compress(syntax, generate_instance_uid=False)
    return data
