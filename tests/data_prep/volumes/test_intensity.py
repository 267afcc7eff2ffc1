"""Grey levels by modality: the ends are where they are stated to be, and a known bias field is taken out."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from data_prep.readers.image_file import Pixels
from data_prep.rejects import Rejected
from data_prep.settings import Convert, Intensity
from data_prep.volumes.intensity import ends, tissue, without_bias
from data_prep.volumes.standardise import standardise

ROBUST = Intensity(zscore=3)
N4 = Intensity(zscore=3, n4=True)
WHITE, GREY, FAT = 450.0, 300.0, 900.0  # an MR signal's arbitrary units


def head(
    shape: tuple[int, int, int] = (24, 64, 64), fat: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Two tissues under a rim of fat, in noise, around them nothing; and what lies well inside the two."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, side) for side in shape], indexing="ij")
    radius, core = np.sqrt((x / 0.8) ** 2 + (y / 0.8) ** 2 + (z / 1.2) ** 2), np.hypot(x, y) < 0.5
    signal = np.where(radius < 1, np.where(core, WHITE, GREY), 0)
    signal[(radius > 0.92) & (radius < 1) & fat] = FAT
    rng = np.random.default_rng(0)
    noisy = np.abs(
        gaussian_filter(signal, 0.7) + rng.normal(0, 12, shape) + 1j * rng.normal(0, 12, shape)
    )
    return noisy.astype(np.float32), radius < 0.85


def field(shape: tuple[int, int, int], strength: float) -> np.ndarray:
    """The logarithm of a coil's smooth gain: at 0.3 from about 0.6 to 1.8."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, side) for side in shape], indexing="ij")
    return strength * (x + 0.5 * y * y - 0.3 * x * y + 0.3 * z)


def test_a_zscore_keeps_that_many_deviations_either_side_of_the_tissues_median() -> None:
    values = np.zeros(200_000)
    values[:80_000] = np.random.default_rng(0).normal(600, 50, 80_000)
    assert ends(values, ROBUST, 1) == pytest.approx((450, 750), abs=2)
    assert ends(values, Intensity(zscore=1), 1) == pytest.approx((550, 650), abs=2)


def test_a_zscore_does_not_see_gain_or_outliers() -> None:
    values, _ = head()
    plain = standardise(Pixels(values), Convert(size=[24, 64, 64], intensity={"MR": ROBUST}), "MR")
    gained = values * 7
    gained[0, 0, :20] = 1e6
    outlying = standardise(
        Pixels(gained), Convert(size=[24, 64, 64], intensity={"MR": ROBUST}), "MR"
    )
    assert (
        np.abs(plain.astype(int) - outlying)[0, 1:].max() <= 2
        and plain[0, 12, 32, 32] > plain[0, 12, 32, 10] > plain[0, 12, 0, 0]
    )


def test_bright_fat_is_not_taken_for_all_of_the_tissue() -> None:
    values = np.repeat([0.0, 300.0, 900.0], [600, 300, 100])  # Otsu's threshold is above 300 here
    assert np.array_equal(np.unique(values[tissue(values)]), [300, 900])


def test_padding_is_no_tissue() -> None:
    values, _ = head()
    valid = np.ones(values.shape, bool)
    valid[:, :8] = False
    padded = np.where(valid, values, -2000).astype(np.float32)
    assert ends(padded[valid], ROBUST, 1) == ends(values[valid], ROBUST, 1)


@pytest.mark.parametrize(
    ("how", "background", "outside"),
    [
        (Intensity(percentiles=(0, 100)), 0, 0),
        (ROBUST, 42, 42),
        (Intensity(window=(-100, 900)), 26, 0),
    ],
    ids=["percentiles", "z-score", "window"],
)
def test_padding_and_what_lies_outside_are_as_dark_as_the_background_or_a_windows_lower_end(
    how: Intensity, background: int, outside: int
) -> None:
    values = np.full((10, 10, 10), 2, np.float32)
    values[2:8, 2:8, 2:8] = np.where(
        np.arange(6) < 3, 200, 400
    )  # quartiles 200 and 400: at 3 deviations from -145 to 745
    valid = np.ones(values.shape, bool)
    valid[0] = False
    padded = Pixels(np.where(valid, values, -2000).astype(np.float32), valid)
    shown = standardise(
        padded,
        Convert(size=[14, 10, 10], spacing=[1, 1, 1], intensity={"MR": how}),
        "MR",
        (1.0, 1.0, 1.0),
    )[0]
    assert set(shown[:3].ravel()) == {outside} and set(shown[3, :2].ravel()) == {background}


@pytest.mark.parametrize(
    "how", [{"zscore": 3}, {"percentiles": [1, 99]}, {"zscore": 3, "n4": True}]
)
def test_a_setting_for_mr_leaves_ct_in_hu_and_photographs_as_they_are(how: dict) -> None:
    convert = Convert(size=[16, 16], channels=3, intensity={"MR": how})
    hounsfield = np.linspace(-1000, 400, 256, dtype=np.float32).reshape(16, 16)
    assert np.array_equal(standardise(Pixels(hounsfield), convert, "CT")[0].ravel(), np.arange(256))
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    assert np.array_equal(standardise(Pixels(picture), convert, "MR"), picture.transpose(2, 0, 1))


@pytest.mark.parametrize("fat", [False, True])
def test_a_known_bias_field_is_reduced_to_a_fifth(fat: bool) -> None:
    values, inside = head(fat=fat)
    known = field(values.shape, 0.3)
    corrected = without_bias((values * np.exp(known)).astype(np.float32), None)
    left = np.log(corrected[inside] / values[inside])
    assert left.std() < 0.2 * known[inside].std()


def test_without_a_bias_field_n4_leaves_the_tissue_alone() -> None:
    values, inside = head()
    assert np.log(without_bias(values, None)[inside] / values[inside]).std() < 0.01


def test_n4_brings_a_biased_volume_near_the_unbiased_one_and_gives_the_same_bytes_again() -> None:
    values, inside = head()
    biased = Pixels((values * np.exp(field(values.shape, 0.3))).astype(np.float32))
    plain, with_n4 = (Convert(size=[24, 64, 64], intensity={"MR": how}) for how in (ROBUST, N4))
    truth = standardise(Pixels(values), plain, "MR")[0].astype(int)
    as_it_is, corrected, again = (
        standardise(biased, convert, "MR")[0] for convert in (plain, with_n4, with_n4)
    )
    assert np.array_equal(corrected, again)
    assert np.abs(corrected - truth)[inside].mean() < 0.3 * np.abs(as_it_is - truth)[inside].mean()


@pytest.mark.parametrize("shape", [(3, 12, 10), (5, 40, 40), (40, 40)], ids=str)
def test_n4_takes_the_thinnest_volumes_and_images(shape: tuple[int, ...]) -> None:
    values, _ = head(shape if len(shape) == 3 else (3, *shape))
    values = values[1] if len(shape) == 2 else values
    valid = np.ones(values.shape, bool)
    valid[..., :2] = False
    corrected = without_bias(np.where(valid, values, -2000).astype(np.float32), valid)
    assert corrected.shape == values.shape and np.isfinite(corrected).all()


def test_an_image_that_n4_cannot_take_is_rejected() -> None:
    with pytest.raises(Rejected, match="no_bias_field"):
        without_bias(np.random.default_rng(0).uniform(1, 9, (1, 30)).astype(np.float32), None)
