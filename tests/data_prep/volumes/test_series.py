"""Slices become a volume in the order of their positions, or are refused for what is wrong with them."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from data_prep import decode
from data_prep.exports.sources import Found, opened
from data_prep.readers.dicom import file as dicom
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Reject, Rejected
from data_prep.volumes.series import Volume, group_slices, make_volume, split_repeats
from tests.data_prep.made_dicom import grey, ramp, volume, write


def read(folder: Path, slices: list[Dataset]) -> list[ImageFile]:
    """Write slices under names that say nothing about their order, and read their headers."""
    images = []
    for number, data in enumerate(slices):
        path = write(data, folder / f"{(number * 7) % 97:03}")
        found = Found(path.name, path, path.stat().st_size)
        with opened(found) as stream:
            images.append(dicom.read_header(stream, found))
    return [
        single
        for image in sorted(images, key=lambda image: image.identity.found.name)
        for single in image.slices
    ]


def make(
    folder: Path, slices: list[Dataset], broken_nearby: bool = False
) -> tuple[Volume, list[Reject]]:
    groups, rejects = group_slices(read(folder, slices))
    assert len(groups) == 1 and not rejects
    (part,) = split_repeats(groups[0].slices)
    return make_volume(replace(groups[0], slices=part), broken_nearby)


def heights(made: Volume) -> list[float]:
    return [image.header.place.position[2] for image in made.files]


def large(data: Dataset, side: int) -> Dataset:
    """A slice of one value, which is the height of its place times 50."""
    data.Rows = data.Columns = side
    data.PixelData = np.full((side, side), 50 * data.ImagePositionPatient[2], np.uint16).tobytes()
    return data


def moved(slices: list[Dataset], shift: np.ndarray) -> list[Dataset]:
    for data, step in zip(slices, shift, strict=True):
        data.ImagePositionPatient = [
            float(value) for value in np.add(data.ImagePositionPatient, step)
        ]
    return slices


def test_slices_are_ordered_by_position_whatever_their_names_and_numbers(tmp_path: Path) -> None:
    made, rejects = make(tmp_path, volume(9)[::-1])
    assert heights(made) in (
        [2.0 * place for place in range(9)],
        [2.0 * place for place in range(9)][::-1],
    )
    assert (
        made.shape == (9, 12, 10) and made.spacing == pytest.approx((2.0, 0.7, 0.5)) and not rejects
    )


def test_a_volume_is_read_slice_by_slice_into_one_array(tmp_path: Path) -> None:
    side = 128
    made, _ = make(tmp_path, [large(data, side) for data in volume(24)])
    tracemalloc.start()
    pixels = decode.read(decode.Planned("", made.files, {}, made.affine), windowed=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pixels.values.shape == (24, side, side) and peak < 1.5 * pixels.values.nbytes
    assert np.array_equal(
        pixels.values, [np.full((side, side), 100.0 * place) for place in range(24)]
    )


def test_the_affine_takes_each_slice_to_its_position(tmp_path: Path) -> None:
    made, _ = make(tmp_path, volume(5))
    for place, image in enumerate(made.files):
        assert made.affine @ [0, 0, place, 1] == pytest.approx(
            [*np.array(image.header.place.position) * [-1, -1, 1], 1]
        )


def test_jitter_of_positions_and_orientations_is_accepted(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).uniform(-0.002, 0.002, (8, 3))
    slices = moved(volume(8), jitter)
    for number, data in enumerate(slices):
        data.ImageOrientationPatient = [1, 1e-5 * number, 0, -1e-5 * number, 1, 0]
    assert len(make(tmp_path, slices)[0].files) == 8


def test_a_slice_that_is_there_twice_is_used_once(tmp_path: Path) -> None:
    slices = volume(6)
    twin = volume(6)[2]
    twin.SOPInstanceUID = "9.9"
    made, rejects = make(tmp_path, [*slices, twin])
    assert len(made.files) == 6 and [reject.reason for reject in rejects] == ["duplicate_instance"]


def test_two_series_and_two_orientations_are_different_volumes(tmp_path: Path) -> None:
    turned = volume(4, series="1.2.9")
    for data in turned[:2]:
        data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    groups, _ = group_slices(read(tmp_path, [*volume(5), *turned]))
    assert sorted(len(group.slices) for group in groups) == [2, 2, 5]


def test_a_localizer_is_split_off(tmp_path: Path) -> None:
    slices = volume(6)
    slices[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    groups, rejects = group_slices(read(tmp_path, slices))
    assert [len(group.slices) for group in groups] == [5] and [
        reject.reason for reject in rejects
    ] == ["localizer"]


def test_two_patients_in_one_series_are_both_rejected(tmp_path: Path) -> None:
    slices = volume(6)
    slices[3].PatientID = "other"
    groups, rejects = group_slices(read(tmp_path, slices))
    assert not groups and [reject.reason for reject in rejects] == ["mixed_patients"] * 6


def without(keyword: str) -> list[Dataset]:
    slices = volume(6)
    delattr(slices[2], keyword)
    return slices


def with_value(keyword: str, value: object) -> list[Dataset]:
    slices = volume(6)
    setattr(slices[2], keyword, value)
    return slices


def other_matrix() -> list[Dataset]:
    slices = volume(6)
    position = slices[2].ImagePositionPatient
    slices[2] = grey(
        ramp(14, 10),
        SeriesInstanceUID="1.2.3.4",
        SOPInstanceUID="8",
        PixelSpacing=[0.7, 0.5],
        ImagePositionPatient=position,
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    )
    return slices


@pytest.mark.parametrize(
    ("slices", "reason"),
    [
        (volume(8)[:3] + volume(8)[4:], "missing_slice"),
        (volume(6, ImagesInAcquisition=7), "missing_slice"),
        (moved(volume(6), np.outer([0, 0, 0, 0, 0.7, 0], [0, 0, 1])), "variable_spacing"),
        (moved(volume(6), np.outer(np.arange(6), [0, 0.5, 0])), "gantry_tilt"),
        (with_value("ImagePositionPatient", [5, 6, 6]), "duplicate_position"),
        (without("ImagePositionPatient"), "no_position"),
        (without("ImageOrientationPatient"), "no_position"),
        (without("PixelSpacing"), "no_spacing"),
        (with_value("PixelSpacing", [0, 0]), "no_spacing"),
        (with_value("PixelSpacing", [0.7, 0.6]), "mixed_spacing"),
        (other_matrix(), "mixed_matrix"),
        (with_value("PhotometricInterpretation", "MONOCHROME1"), "mixed_values"),
        (volume(2), "not_a_volume"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_series_that_does_not_fit_is_rejected_for_its_reason(
    tmp_path: Path, slices: list[Dataset], reason: str
) -> None:
    with pytest.raises(Rejected, match=f"^{reason}$"):
        make(tmp_path, slices)


def test_beside_a_broken_file_only_a_series_that_states_its_length_is_trusted(
    tmp_path: Path,
) -> None:
    with pytest.raises(Rejected, match="maybe_incomplete"):
        make(tmp_path / "a", volume(6), broken_nearby=True)
    assert (
        len(make(tmp_path / "b", volume(6, ImagesInAcquisition=6), broken_nearby=True)[0].files)
        == 6
    )


def test_a_skewed_orientation_is_rejected(tmp_path: Path) -> None:
    slices = volume(4)
    for data in slices:
        data.ImageOrientationPatient = [1, 0, 0, 0.1, 0.99, 0]
    with pytest.raises(Rejected, match="bad_orientation"):
        make(tmp_path, slices)


def repeated(change: Callable[[Dataset, int, int], None], times: int = 3) -> list[Dataset]:
    """A series with `times` slices at each place; `change` is given each slice, its time and its place."""
    slices = []
    for time in range(times):
        for place, data in enumerate(volume(6, seed=time)):
            data.SOPInstanceUID, data.InstanceNumber = f"1.2.{time}.{place}", time * 6 + place + 1
            change(data, time, place)
            slices.append(data)
    return slices


def numbered(keyword: str, *values: object) -> Callable[[Dataset, int, int], None]:
    return lambda data, time, place: setattr(data, keyword, values[time])


@pytest.mark.parametrize(
    "change",
    [
        numbered("TemporalPositionIdentifier", 1, 2, 3),
        numbered("AcquisitionNumber", 7, 8, 10),
        numbered("TriggerTime", 0, 33.5, 400),
        numbered("EchoTime", 2.1, 4.2, 6.3),
        numbered("DiffusionBValue", 0, 500, 1000),
        numbered("ImageType", *(["ORIGINAL", "PRIMARY", part, "NONE"] for part in "MPR")),
        numbered("NumberOfTemporalPositions", 3, 3, 3),
        lambda *_: None,
    ],
    ids=["time", "acquisition", "trigger", "echo", "diffusion", "type", "stated", "number alone"],
)
def test_repeats_at_the_same_places_are_volumes_in_their_order(
    tmp_path: Path, change: Callable[[Dataset, int, int], None]
) -> None:
    (group,), rejects = group_slices(read(tmp_path, repeated(change)[::-1]))
    parts = split_repeats(group.slices)
    assert [
        {image.identity.elements["SOPInstanceUID"][:6] for image in part} for part in parts
    ] == [
        {"1.2.0."},
        {"1.2.1."},
        {"1.2.2."},
    ]
    assert (
        all(len(make_volume(replace(group, slices=part), False)[0].files) == 6 for part in parts)
        and not rejects
    )


def test_repeats_that_nothing_names_are_never_mixed(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="duplicate_position"):
        make(tmp_path, repeated(lambda data, *_: setattr(data, "InstanceNumber", 1)))


@pytest.mark.parametrize(
    "slices",
    [
        repeated(numbered("EchoTime", 2.1, 4.2, 6.3))[:-1],  # the last echo lacks a slice
        [
            *volume(6, ImageType=["ORIGINAL", "PRIMARY"])[:3],
            *volume(6, ImageType=["DERIVED", "SECONDARY"])[3:],
        ],
    ],
    ids=["echo", "halves"],
)
def test_echoes_or_types_that_do_not_cover_the_same_places_are_rejected(
    tmp_path: Path, slices: list[Dataset]
) -> None:
    with pytest.raises(Rejected, match="mixed_values"):
        make(tmp_path, slices)


def test_acquisitions_that_share_no_place_are_one_volume(tmp_path: Path) -> None:
    slices = volume(8)
    for place, data in enumerate(slices):
        data.AcquisitionNumber = 1 + place // 4
    assert len(make(tmp_path, slices)[0].files) == 8


@pytest.mark.parametrize("stated", [6, 18])
def test_a_stated_length_may_be_of_one_time_point_or_of_all(tmp_path: Path, stated: int) -> None:
    def change(data: Dataset, time: int, place: int) -> None:
        data.AcquisitionNumber, data.ImagesInAcquisition = time, stated

    (group,), _ = group_slices(read(tmp_path / "whole", repeated(change)))
    assert [
        len(make_volume(replace(group, slices=part), False)[0].files)
        for part in split_repeats(group.slices)
    ] == [6, 6, 6]
    (group,), _ = group_slices(
        read(
            tmp_path / "cut",
            [data for data in repeated(change) if data.ImagePositionPatient[2] < 10],
        )
    )
    with pytest.raises(Rejected, match="missing_slice"):
        make_volume(replace(group, slices=split_repeats(group.slices)[0]), False)
