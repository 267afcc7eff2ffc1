"""Volumes of one place come out in their order, the first one first, and what parts nothing is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from data_prep.rejects import Rejected
from data_prep.volumes import stacks
from data_prep.volumes.series import group_slices, make_volume, split_repeats
from pipeline.inspect import inspect_path
from tests.data_prep.made_dicom import enhanced, volume
from tests.data_prep.volumes.test_series import read
from tests.odd_series.stacks import polarity
from workspace.paths import Workspace

Change = Callable[[Dataset, int, int], None]


def order(folder: Path, change: Change, times: int = 12, places: int = 3) -> list[int]:
    """Which moments the volumes are of, in their order."""
    slices = []
    for time in range(times):
        for place, data in enumerate(volume(places, seed=time)):
            data.SOPInstanceUID = f"1.2.{time + 1}.{place}"
            change(data, time, place)
            slices.append(data)
    (group,), _ = group_slices(read(folder, slices[::-1]))
    return [
        int({image.identity.elements["SOPInstanceUID"].split(".")[2] for image in part}.pop()) - 1
        for part in split_repeats(group.slices)
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda data, time, place: setattr(data, "InversionTime", 100 + 50 * time),
        lambda data, time, place: setattr(data, "AcquisitionTime", f"1000{time:02}.{place}"),
        lambda data, time, place: setattr(data, "DimensionIndexValues", [1, 1 + time]),
        lambda data, time, place: setattr(data, "FrameReferenceTime", 900 * time + 77 * place),
        lambda data, time, place: setattr(data, "InstanceNumber", 1 + 3 * time + place),
        lambda data, time, place: setattr(data, "InstanceNumber", 1 + 12 * place + time),
    ],
    ids=["inversion", "clock", "dimension", "frame", "numbers by volume", "numbers by place"],
)
def test_twelve_moments_come_in_their_order(tmp_path: Path, change: Change) -> None:
    assert order(tmp_path, change) == list(range(12))


def test_the_clock_counts_before_the_number(tmp_path: Path) -> None:
    def change(data: Dataset, time: int, place: int) -> None:
        data.AcquisitionTime, data.InstanceNumber = f"10{time:02}{place:02}", 100 - 3 * time + place

    assert order(tmp_path, change, times=4) == [0, 1, 2, 3]


def test_directions_come_by_number_after_what_is_not_weighted(tmp_path: Path) -> None:
    def change(data: Dataset, time: int, place: int) -> None:
        data.InstanceNumber = 1 + 3 * time + place
        if time != 2:
            data.DiffusionBValue = 1000 + 0.4 * (time % 2)  # jitter
            data.DiffusionGradientOrientation = [np.cos(9 * time), np.sin(9 * time), 0]

    assert order(tmp_path, change, times=6) == [2, 0, 1, 3, 4, 5]


def test_echo_times_that_jitter_are_one_echo(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, 40)

    def change(data: Dataset, time: int, place: int) -> None:
        data.EchoTime, data.TemporalPositionIdentifier = (
            (4.92, 7.38)[time % 2] + jitter[3 * time + place],
            1 + time // 2,
        )

    assert order(tmp_path, change, times=6) == [0, 2, 4, 1, 3, 5]


def test_where_nothing_parts_slices_the_elements_are_named_without_their_values(
    tmp_path: Path,
) -> None:
    slices = [data for time in range(2) for data in volume(4, seed=time)]
    for number, data in enumerate(slices):
        data.SOPInstanceUID, data.TriggerTime, data.AcquisitionTime, data.InstanceNumber = (
            f"1.2.{number + 1}",
            123 + (number == 0),
            "101112",
            7,
        )
    (group,), _ = group_slices(read(tmp_path, slices))
    (part,) = split_repeats(group.slices)
    with pytest.raises(Rejected, match="duplicate_position") as caught:
        make_volume(replace(group, slices=part), broken_nearby=False)
    differ, agree = caught.value.found.split("; ")
    assert (
        differ == "TriggerTime differ and part nothing"
        and "AcquisitionTime" in agree
        and "InstanceNumber" in agree
    )
    assert not any(value in caught.value.found for value in ("123", "101112"))


def test_frames_are_told_apart_by_what_their_file_says(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (4, 40, 40)).astype(np.uint16)
    files = []
    for time in (2, 1):
        data = enhanced(pixels + time, [0.0, 2.0, 4.0, 6.0])
        data.SOPInstanceUID, data.InversionTime = f"1.2.{time}", 100 * time
        files.append(data)
    (group,), _ = group_slices(read(tmp_path, files))
    assert [
        {image.identity.elements["SOPInstanceUID"] for image in part}
        for part in split_repeats(group.slices)
    ] == [{"1.2.1"}, {"1.2.2"}]


def test_frames_of_reference_of_two_files_make_no_volume(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (4, 40, 40)).astype(np.uint16)
    files = []
    for part in (0, 1):
        data = enhanced(pixels, [8.0 * part + 2 * place for place in range(4)])
        data.SOPInstanceUID, data.FrameOfReferenceUID = f"1.2.{part + 1}", f"1.3.{part + 1}"
        files.append(data)
    (group,), _ = group_slices(read(tmp_path, files))
    with pytest.raises(Rejected, match="mixed_values") as caught:
        split_repeats(group.slices)
    assert caught.value.found.startswith("FrameOfReferenceUID differ ")


def test_only_what_may_be_copies_is_compared_by_its_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "data_prep.volumes.series._values", lambda image: pytest.fail("pixels were read")
    )
    assert order(
        tmp_path, lambda data, time, place: setattr(data, "InversionTime", 100 + time), times=2
    ) == [0, 1]


def test_no_header_is_read_again_where_the_first_look_parts_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "read_more", lambda *_: pytest.fail("a header was read again"))
    monkeypatch.setattr(stacks, "only_numbered_apart", lambda _: False)
    assert order(
        tmp_path,
        lambda data, time, place: setattr(data, "TemporalPositionIdentifier", 1 + time),
        times=3,
    ) == [0, 1, 2]


@pytest.mark.parametrize(
    ("sequence", "mode", "flagged"),
    [
        ("epi_pepolar", 1, True),
        ("/research/EPI_PEPOLAR_v2", 3, True),
        ("epi_pepolar", 0, False),
        ("epi", 2, False),
    ],
)
def test_only_a_sequence_that_reverses_rows_is_flagged(
    tmp_path: Path, sequence: str, mode: int, flagged: bool
) -> None:
    (tmp_path / "in").mkdir()
    polarity(tmp_path / "in", sequence, mode)
    inspect_path(Workspace(tmp_path / "none"), tmp_path / "in", tmp_path / "out")
    told = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("*.json")]
    assert len(told) == 2 and all(
        ("reversed_rows" in image["flags"]) == flagged == ("doubtful" in image["flags"])
        for image in told
    )
