"""What the cases share: sound DICOM slices and functional groups, which each case changes."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.511.3"


def anatomy(slices: int = 6, rows: int = 24, columns: int = 20) -> np.ndarray:
    """(slices, rows, columns) of whole numbers under 1000, alike in no two places, so that any flip or mix shows."""
    at_slice, at_row, at_column = np.mgrid[:slices, :rows, :columns]
    block = (at_row > 5) & (at_row < 12) & (at_column > 3) & (at_column < 9)
    return ((100 * at_slice + 13 * at_row + 2 * at_column + 37 * block) % 997).astype(np.int16)


def header(
    sop_class: str,
    modality: str,
    number: int = 1,
    series: int = 1,
    study: int = 1,
    patient: str = "MADE-1",
    **elements: object,
) -> Dataset:
    """A data set with identity and without pixels; `elements` are set last."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.Modality = sop_class, modality
    data.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{ROOT}.{study}", f"{ROOT}.{study}.{series}"
    data.PatientID, data.PatientName, data.InstanceNumber, data.SeriesNumber = (
        patient,
        "Made^Up",
        number,
        series,
    )
    return changed(data, elements)


def with_pixels(data: Dataset, stored: np.ndarray, **elements: object) -> Dataset:
    """Uncompressed grey pixels: (rows, columns) or (frames, rows, columns)."""
    data.Rows, data.Columns = stored.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * stored.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        data.NumberOfFrames = len(stored)
    content = stored.tobytes()
    data.PixelData = content + b"\0" * (len(content) % 2)
    data["PixelData"].VR = "OW" if stored.dtype.itemsize > 1 else "OB"
    return changed(data, elements)


def at(data: Dataset, *place: float, **elements: object) -> Dataset:
    """In an axial plane at `place` (mm, LPS), 0.8 x 0.6 mm."""
    data.ImagePositionPatient, data.ImageOrientationPatient = list(place), [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness, data.FrameOfReferenceUID = [0.8, 0.6], 3.0, f"{ROOT}.9"
    return changed(data, elements)


def item(**elements: object) -> Dataset:
    return changed(Dataset(), elements)


def frame(*place: float, content: dict[str, object] | None = None, **groups: object) -> Dataset:
    """A frame's functional groups, at `place` (mm, LPS)."""
    return item(
        PlanePositionSequence=[item(ImagePositionPatient=list(place))],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.8, 0.6], SliceThickness=3.0)],
        FrameContentSequence=[item(**(content or {}))],
        **groups,
    )


def changed(data: Dataset, elements: dict[str, object]) -> Dataset:
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return data


def save(data: Dataset, path: Path) -> None:
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = (
        data.SOPClassUID,
        data.SOPInstanceUID,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
