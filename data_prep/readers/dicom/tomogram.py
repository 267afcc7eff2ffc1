"""Reconstructed tomograms of nuclear medicine (NM Image Storage): frames whose places the detector
and the slice vector tell.

PS3.3 C.8.4.8 (which frame is which), C.8.4.11 (where the first lies, in the detector's item) and
C.8.4.15 (how far the next).
"""

import numpy as np
from pydicom.dataset import Dataset

from data_prep.readers.dicom.header import checked_items, numbers, text, whole
from data_prep.rejects import Rejected

ENERGIES = "EnergyWindowVector"
# C.8.4.8: of gated and dynamic tomograms.
TIMES = (
    "RRIntervalVector",
    "TimeSlotVector",
    "TimeSliceVector",
    "PhaseVector",
)
NEEDED = (
    "SliceVector",
    ENERGIES,
    *TIMES,
    "DetectorInformationSequence",
    "NumberOfSlices",
    "SpacingBetweenSlices",
)


def frame_places(data: Dataset, count: int) -> list[dict[str, object]]:
    """What each frame's header says beside the file's: where it lies, and which volume it is of.

    Raises Rejected.
    """
    slices = _vector(data, "SliceVector", count)
    if slices is None and _is_reconstructed(data) and whole(data, "NumberOfSlices") == count:
        slices = list(range(1, count + 1))
    if slices is None:
        raise Rejected("multi_frame")
    first = _first_place(data)
    if first is None:
        raise Rejected("no_orientation", "a tomogram that does not say where its first frame lies")
    position, orientation = first
    step = numbers(data, "SpacingBetweenSlices", 1)
    if step is None or step[0] == 0:
        raise Rejected("no_spacing", "a tomogram that does not say how far its slices lie apart")
    # Table C.8-15: the sign says to which side of the first slice the others follow.
    along = np.cross(orientation[:3], orientation[3:]) * step[0]
    energies = _vector(data, ENERGIES, count)
    times = [vector for name in TIMES if (vector := _vector(data, name, count))]
    moments = list(zip(*times, strict=True)) if times else [()] * count
    order = {moment: number for number, moment in enumerate(sorted(set(moments)), 1)}
    return [
        {
            "ImagePositionPatient": (np.array(position) + (number - slices[0]) * along).tolist(),
            "ImageOrientationPatient": list(orientation),
            "TemporalPositionIdentifier": order[moment],
            "StackID": str(energies[frame]) if energies else "",
            "NumberOfSlices": whole(data, "NumberOfSlices") or len(set(slices)),
        }
        for frame, (number, moment) in enumerate(zip(slices, moments, strict=True))
    ]


def single_place(data: Dataset) -> dict[str, object] | None:
    """The same of a file of one slice; None where it is no such slice, or says its place as others
    do.
    """
    if not _is_reconstructed(data) or data.get("ImagePositionPatient"):
        return None
    first = _first_place(data)
    return first and {
        "ImagePositionPatient": list(first[0]),
        "ImageOrientationPatient": list(first[1]),
    }


def _is_reconstructed(data: Dataset) -> bool:
    """PS3.3 C.8.4.9.1.1: Image Type's third value is RECON TOMO or RECON GATED TOMO."""
    return text(data, "Modality") == "NM" and "RECON" in text(data, "ImageType")


def _first_place(data: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Position and orientation of the first frame, in the detector's item or else in the file's
    header.
    """
    for item in (*checked_items(data, "DetectorInformationSequence"), data):
        position, orientation = (
            numbers(item, "ImagePositionPatient", 3),
            numbers(item, "ImageOrientationPatient", 6),
        )
        if position and orientation:
            return position, orientation
    return None


def _vector(data: Dataset, keyword: str, count: int) -> list[int] | None:
    """A number for each frame, from 1; None where there is none. Raises Rejected."""
    if not data.get(keyword):
        return None
    vector = numbers(data, keyword, count)
    if vector is None:
        raise Rejected("not_decodable", f"{keyword} without a number for each of {count} frames")
    return [round(number) for number in vector]
