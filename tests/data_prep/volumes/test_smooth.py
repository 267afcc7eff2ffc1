"""The planes that are worked out are SciPy's, and zoom reads no others."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom

from data_prep.readers.image_file import Pixels
from data_prep.settings import Convert
from data_prep.volumes.resample import BLUR_A_REDUCTION
from data_prep.volumes.smooth import smooth_where_read
from data_prep.volumes.standardise import standardise

SHAPES = [
    ((40, 70, 64), (16, 48, 48)),
    ((11, 9, 130), (16, 8, 8)),
    ((200, 33, 20), (8, 9, 40)),
    ((3, 64, 64), (8, 64, 13)),
]


def test_smoothed_planes_are_those_of_scipy_and_the_rest_is_zero() -> None:
    volume = np.random.default_rng(0).normal(0, 100, (30, 40, 50)).astype(np.float32)
    places = [np.array([0.0, 7.25]), np.array([3.5]), np.array([49.4])]
    found = smooth_where_read(volume, [2.0, 0.0, 4.5], places)
    read = np.ix_([0, 1, 7, 8], [3, 4], [49])
    assert np.allclose(
        found[read],
        gaussian_filter(volume, [2.0, 0.0, 4.5], mode="nearest")[read],
        rtol=1e-6,
        atol=1e-5,
    )
    assert found.dtype == volume.dtype and np.count_nonzero(found) == found[read].size


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_a_volume_is_standardised_to_the_bytes_that_smoothing_all_of_it_gives(
    shape: tuple[int, ...], size: tuple[int, ...]
) -> None:
    grey = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    factors = [new / old for new, old in zip(size, shape, strict=True)]
    smooth = gaussian_filter(
        grey, [BLUR_A_REDUCTION * max(1 / factor - 1, 0) for factor in factors], mode="nearest"
    )
    expected = np.rint(zoom(smooth, factors, order=1, mode="nearest", grid_mode=True)).astype(
        np.uint8
    )
    convert = Convert(size=list(size), intensity={"CT": {"window": (0.0, 255.0)}})
    for values in (grey, grey.transpose(2, 1, 0).copy().transpose(2, 1, 0)):
        assert np.array_equal(standardise(Pixels(values), convert, "CT")[0], expected)
