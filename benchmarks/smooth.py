"""A Gaussian filter of the planes that the interpolation after it reads, against
scipy.ndimage.gaussian_filter of the whole volume.

    python benchmarks/smooth.py [--repeats 5] [--share 1.0]

Noise of a CT's, an MR's and a radiograph's size, brought to the size of a record: smoothing alone,
and the standardisation around it (the interpolation too). Both sides take turns in this process
with one thread and must give the same values; `ratio` is that of the medians. `--share`: of each
volume's sides, for a quick look. The last line is one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from unittest import mock

import numpy as np
from scipy.ndimage import gaussian_filter

from data_prep.volumes import resample
from data_prep.volumes.smooth import smooth_where_read

CASES = {
    "CT": ((200, 512, 512), (16, 48, 48)),
    "MR": ((60, 256, 256), (32, 64, 64)),
    "radiograph": ((2048, 2048), (224, 224)),
}
Side = Callable[[], np.ndarray]


def by_scipy(volume: np.ndarray, sigmas: list[float], places: object) -> np.ndarray:
    """All of the volume, whatever is read of it."""
    return gaussian_filter(volume, sigmas, mode="nearest")


def resampled(volume: np.ndarray, size: tuple[int, ...], smooth: Callable) -> np.ndarray:
    """The volume as a record has it, smoothed by one side's function."""
    with mock.patch.object(resample, "smooth_where_read", smooth):
        return resample.stretched(volume, size)


def smoothing(volume: np.ndarray, size: tuple[int, ...]) -> tuple[Side, Side]:
    """Both sides with what `stretched` gives them."""
    given: list = []

    def noted(*all_of_it: object) -> np.ndarray:
        given.extend(all_of_it)
        return volume

    resampled(volume, size, noted)
    return partial(smooth_where_read, *given), partial(by_scipy, *given)


def medians(sides: tuple[Side, Side], repeats: int) -> list[float]:
    """Seconds of each side; the first turn is not counted."""
    times: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for side, taken in zip(sides, times, strict=True):
            start = time.perf_counter()
            side()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken[1:]) for taken in times]


def measure(case: str, share: float, repeats: int) -> list[dict[str, object]]:
    """A row for smoothing alone, and one for all of the resampling."""
    whole, size = CASES[case]
    shape = tuple(max(1, round(side * share)) for side in whole)
    volume = np.random.default_rng(0).normal(0, 100, shape).astype(np.float32)
    both = [partial(resampled, volume, size, smooth) for smooth in (smooth_where_read, by_scipy)]
    assert np.allclose(both[0](), both[1](), rtol=1e-5, atol=1e-4)
    rows = []
    for what, sides in (("smoothing", smoothing(volume, size)), ("resampling", tuple(both))):
        ours, theirs = medians(sides, repeats)
        print(f"{case}, {what}: {ours:.4f} s; SciPy {theirs:.4f} s; ratio {theirs / ours:.2f}")
        row = {"case": case, "what": what, "shape": shape, "size": size, "seconds": round(ours, 5)}
        rows.append({**row, "scipy_seconds": round(theirs, 5), "ratio": round(theirs / ours, 2)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0)
    given, rows = parser.parse_args(), []
    for case in CASES:
        rows += measure(case, given.share, given.repeats)
    result = {
        "benchmark": "smooth",
        "cases": rows,
        **vars(given),
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("numpy", "scipy")},
    }
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
