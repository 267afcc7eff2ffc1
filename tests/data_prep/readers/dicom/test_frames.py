"""Slices that share a file: each frame has its own place, scale and volume, and frames without a place are refused."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from data_prep.decode import Planned, read
from data_prep.exports.sources import Found
from data_prep.readers.dicom import file as dicom
from data_prep.readers.dicom.mosaic import Mosaic
from data_prep.readers.image_file import ImageFile, shared
from data_prep.rejects import Rejected
from data_prep.volumes.series import Volume, group_slices, make_volume, split_repeats
from tests.data_prep.made_dicom import as_bytes, enhanced, grey, read_pixels, write

COUNT = 6
PIXELS = (
    np.random.default_rng(0).integers(0, 4000, (2 * COUNT, 40, 40)).astype(np.uint16)
)  # JPEG 2000's encoder refuses smaller ones
UPWARDS = [2.0 * place for place in range(COUNT)]


def header(data: Dataset, path: Path) -> ImageFile:
    content = as_bytes(data)
    path.write_bytes(content)
    return dicom.read_header(io.BytesIO(content), Found(path.name, path, len(content)))


def volumes(*files: ImageFile) -> list[Volume]:
    groups, rejects = group_slices(single for image in files for single in image.slices)
    assert not rejects
    return [
        make_volume(replace(group, slices=part), broken_nearby=False)[0]
        for group in groups
        for part in split_repeats(group.slices)
    ]


def values(volume: Volume) -> np.ndarray:
    return read(Planned("", volume.files, {}, volume.affine), windowed=False).values


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.1", RLELossless, JPEGLSLossless, JPEG2000Lossless]
)
def test_frames_are_ordered_on_the_normal_whatever_their_order_in_the_file(
    tmp_path: Path, syntax: str
) -> None:
    shuffled = [3, 0, 5, 1, 4, 2]
    (made,) = volumes(
        header(
            enhanced(PIXELS[shuffled], [UPWARDS[place] for place in shuffled], syntax),
            tmp_path / "a",
        )
    )
    assert made.spacing == pytest.approx((2, 0.7, 0.5)) and made.shape == (COUNT, 40, 40)
    assert np.array_equal(values(made), PIXELS[:COUNT])


def test_each_frame_is_rescaled_by_its_own_slope(tmp_path: Path) -> None:
    slopes = [1.0, 2.0, 0.5, 4.0, 3.0, 0.25]
    (made,) = volumes(
        header(enhanced(PIXELS[:COUNT], UPWARDS, RescaleSlope=slopes), tmp_path / "a")
    )
    assert np.array_equal(values(made), PIXELS[:COUNT] * np.reshape(slopes, (-1, 1, 1)))


def test_a_single_frame_of_an_enhanced_object_is_rescaled_too(tmp_path: Path) -> None:
    image = header(enhanced(PIXELS[:1], [0.0], RescaleSlope=[3.0]), tmp_path / "a")
    assert image.header.shape == (40, 40) and image.header.facts.spacing == (0.7, 0.5)
    assert np.array_equal(read_pixels((tmp_path / "a").read_bytes(), image).values, PIXELS[0] * 3.0)


@pytest.mark.parametrize(
    "told_apart_by",
    [
        {"TemporalPositionIndex": [1, 2] * COUNT},
        {"EffectiveEchoTime": [4.0, 9.2] * COUNT},
        {"EffectiveEchoTime": [4.0, 0.0] * COUNT},  # 0: not an echo, as of a field map
        {
            "FrameType": [["ORIGINAL", "PRIMARY", "T1", "M"], ["ORIGINAL", "PRIMARY", "T1", "P"]]
            * COUNT
        },
    ],
    ids=str,
)
def test_echoes_times_and_types_at_the_same_places_are_volumes_in_their_order(
    tmp_path: Path, told_apart_by: dict
) -> None:
    heights = [height for height in UPWARDS for _ in range(2)]
    first, second = volumes(header(enhanced(PIXELS, heights, **told_apart_by), tmp_path / "a"))
    assert np.array_equal(values(first), PIXELS[::2]) and np.array_equal(
        values(second), PIXELS[1::2]
    )


def test_stacks_are_volumes_of_their_own(tmp_path: Path) -> None:
    heights = [*UPWARDS, *(height + 101.3 for height in UPWARDS)]
    image = header(enhanced(PIXELS, heights, StackID=["1"] * COUNT + ["2"] * COUNT), tmp_path / "a")
    assert [values(made).mean() for made in volumes(image)] == pytest.approx(
        [PIXELS[:COUNT].mean(), PIXELS[COUNT:].mean()]
    )
    assert len({single.source for single in image.slices}) == 2 * COUNT


def test_frames_at_one_place_that_nothing_tells_apart_are_rejected(tmp_path: Path) -> None:
    image = header(enhanced(PIXELS, UPWARDS * 2), tmp_path / "a")
    with pytest.raises(Rejected, match="duplicate_position"):
        volumes(image)


def test_files_of_one_time_point_each_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    files = []
    for number in (2, 1):
        data = enhanced(PIXELS[:COUNT] + number, UPWARDS)
        data.InstanceNumber, data.SOPInstanceUID = number, f"1.2.{number}"
        files.append(header(data, tmp_path / str(number)))
    assert [values(made)[0, 0, 0] - PIXELS[0, 0, 0] for made in volumes(*files)] == [1, 2]


def test_a_film_without_positions_is_refused_as_such(tmp_path: Path) -> None:
    film = grey(PIXELS[0], NumberOfFrames=3)
    film.PixelData = PIXELS[:3].tobytes()
    with pytest.raises(Rejected, match="multi_frame"):
        header(film, tmp_path / "film")


def test_frames_that_are_not_all_described_are_rejected(tmp_path: Path) -> None:
    data = enhanced(PIXELS[:COUNT], UPWARDS)
    del data.PerFrameFunctionalGroupsSequence[3]
    with pytest.raises(Rejected, match="not_decodable") as caught:
        header(data, tmp_path / "a")
    assert caught.value.found == "5 descriptions of 6 frames"


def test_frames_missing_at_the_end_of_the_pixels_are_noticed(tmp_path: Path) -> None:
    data = enhanced(PIXELS[: COUNT - 1], UPWARDS)
    data.NumberOfFrames = COUNT
    rejects = read(
        Planned("", tuple(header(data, tmp_path / "a").slices), {}, np.eye(4)), windowed=False
    )
    assert {reject.reason for reject in rejects} == {"not_decodable"}


def test_a_mosaic_is_cut_into_its_tiles_row_by_row() -> None:
    tiles = PIXELS[:5]
    mosaic = np.zeros((120, 120), np.uint16)
    for index, values_of_tile in enumerate(tiles):
        mosaic[index // 3 * 40 : index // 3 * 40 + 40, index % 3 * 40 : index % 3 * 40 + 40] = (
            values_of_tile
        )
    assert all(
        np.array_equal(Mosaic(3, 3, ()).tile(mosaic, index), tiles[index]) for index in range(5)
    )
    assert Mosaic(2, 2, ()).shape(mosaic.shape) == (60, 60)


def test_a_mosaic_without_its_private_header_is_no_image_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="unplaced_mosaic"):
        header(
            grey(PIXELS[0], ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]), tmp_path / "a"
        )


def test_nothing_of_a_frame_goes_missing_when_the_file_changes_meanwhile(tmp_path: Path) -> None:
    image = header(enhanced(PIXELS[:COUNT], UPWARDS), tmp_path / "a")
    write(enhanced(PIXELS[:2], UPWARDS[:2]), tmp_path / "a")
    rejects = read(Planned("", tuple(image.slices), {}, np.eye(4)), windowed=False)
    assert {reject.reason for reject in rejects} == {"file_changed"}


def test_a_spacing_that_equals_a_shape_is_not_taken_for_it(tmp_path: Path) -> None:
    shared((7.0, 9.0))
    image = header(grey(PIXELS[0, :7, :9]), tmp_path / "a")
    assert all(type(size) is int for size in image.header.shape)
