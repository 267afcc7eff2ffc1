"""Standardising: known values in, known grey levels out."""

import numpy as np
import pytest

from data_prep.readers.image_file import Pixels
from data_prep.settings import Convert
from data_prep.volumes.standardise import standardise

WINDOW = Convert(size=[8, 8])


def flat(size: list[int], channels: int = 1, **options: object) -> Convert:
    return Convert(size=size, channels=channels, **options)


def test_a_window_maps_its_ends_to_black_and_white_and_clips_the_rest() -> None:
    values = np.full((8, 8), -300, np.float32)
    values[0, :4] = (-2000, -1000, 400, 3000)
    out = standardise(Pixels(values), WINDOW, "CT")
    assert out.shape == (1, 8, 8) and out.dtype == np.uint8
    assert out[0, 0, :4].tolist() == [0, 0, 255, 255] and out[0, 5, 5] == 128  # 127.5, to even


def test_inversion_swaps_black_and_white() -> None:
    values = np.linspace(-1000, 400, 64, dtype=np.float32).reshape(8, 8)
    plain, turned = (
        standardise(Pixels(values, inverted=inverted), WINDOW, "CT").astype(int)
        for inverted in (False, True)
    )
    assert np.abs(plain + turned - 255).max() <= 1 and turned[0, 0, 0] == 255


def test_percentiles_ignore_outliers_and_padding() -> None:
    values = np.tile(np.linspace(0, 100, 100, dtype=np.float32), (100, 1))
    values[0, 0] = 1e6
    valid = np.ones_like(values, bool)
    valid[:50] = False
    values[:50] = -9999
    out = standardise(Pixels(values, valid), flat([100, 100]), "MR")
    assert (
        (out[0, :50] == 0).all()
        and out[0, 60, 0] == 0
        and out[0, 60, 99] == 255
        and abs(int(out[0, 60, 50]) - 128) <= 3
    )


def test_nearly_constant_values_keep_their_difference() -> None:
    values = np.zeros((100, 100), np.float32)
    values[50, 50] = 1
    assert standardise(Pixels(values), flat([100, 100]), "MR").max() == 255


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("high", [1e-45, 1e-38, 1e-36, 3e38])
def test_the_least_and_the_largest_values_that_float32_holds_are_shown(high: float) -> None:
    values = np.zeros((8, 8), np.float32)
    values[4:] = high
    out = standardise(Pixels(values), flat([8, 8]), "MR")
    assert out[0, 0, 0] == 0 and out[0, 7, 7] == (
        255 if high >= 1e-36 else 0 if high == 1e-45 else 3
    )


def test_a_photograph_keeps_its_colours() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    assert np.array_equal(
        standardise(Pixels(picture), flat([16, 16], 3), "XC"), picture.transpose(2, 0, 1)
    )


def test_a_photograph_in_one_channel_is_its_luma() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    out = standardise(Pixels(red), flat([8, 8]), "XC")
    assert out.shape == (1, 8, 8) and (out == 76).all()  # 0.299 of 255, ITU-R BT.601


def test_grey_is_repeated_in_three_channels() -> None:
    out = standardise(
        Pixels(np.random.default_rng(0).normal(size=(20, 20)).astype(np.float32)),
        flat([8, 8], 3),
        "MR",
    )
    assert np.array_equal(out[0], out[1]) and np.array_equal(out[0], out[2])


@pytest.mark.parametrize("size", [[8, 8], [8, 8, 8]])
def test_shrinking_averages_instead_of_picking(size: list[int]) -> None:
    board = (np.indices([64] * len(size)).sum(0) % 2).astype(np.float32)
    out = standardise(Pixels(board), flat(size), "MR")
    inner = out[(0, *[slice(2, -2)] * len(size))]
    assert np.abs(inner.astype(int) - 128).max() < 30


def test_a_volume_keeps_the_place_of_what_it_shows() -> None:
    volume = np.zeros((10, 40, 30), np.float32)
    volume[6:, :10, 20:] = 100
    out = standardise(Pixels(volume), flat([8, 16, 16]), "MR")[0]
    assert (
        out.shape == (8, 16, 16)
        and out[-1, 0, -1] == 255
        and out[0].max() == 0
        and out[:, -4:].max() == 0
    )


def test_a_volume_of_the_right_size_is_not_resampled() -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 9, 10)).astype(np.float32)
    out = standardise(
        Pixels(values), flat([8, 9, 10], intensity={"CT": {"window": (0, 255)}}), "CT"
    )
    assert np.array_equal(out[0], values)
