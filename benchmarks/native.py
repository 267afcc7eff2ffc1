"""Uncompressed DICOM pixels read from where the header scan saw them, against pydicom's own
`dcmread(path).pixel_array`.

    python benchmarks/native.py [--files 200] [--side 512] [--repeats 5]

CT slices of a vendor of the phantom, one file a slice, in the system's file cache. Both sides read
all files, by turns, in this process with one thread, and must give the same stored values. `ratio`
is that of the medians. The last line is one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pydicom
from convert import write_site

from data_prep.readers.dicom.pixels import native


def located(path: Path) -> native.Native:
    """What the header scan keeps of a file."""
    data = pydicom.dcmread(path, stop_before_pixels=True)
    start = path.stat().st_size - data.Rows * data.Columns * data.BitsAllocated // 8
    with path.open("rb") as stream:
        found = native.locate(
            stream, data, data.file_meta.TransferSyntaxUID, start, scaling=None, padding=None
        )
    assert found, "the phantom's slices are uncompressed"
    return found


def by_fewsite(path: Path, found: native.Native) -> np.ndarray | None:
    with path.open("rb") as stream:
        return native.read_stored(stream, found)


def by_pydicom(path: Path) -> np.ndarray:
    return pydicom.dcmread(path).pixel_array


def measure(files: list[Path], repeats: int) -> tuple[float, float]:
    """Median seconds of fewsite and of pydicom for all files; the first turn is not counted."""
    known = [located(path) for path in files]
    ours, theirs = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for path, found in zip(files, known, strict=True):
            by_fewsite(path, found)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        for path in files:
            by_pydicom(path)
        theirs.append(time.perf_counter() - start)
    for path, found in zip(files, known, strict=True):
        assert np.array_equal(by_fewsite(path, found), by_pydicom(path))
    return statistics.median(ours[1:]), statistics.median(theirs[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("files", 200), ("side", 512), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_site(Path(folder), 1, given.files, given.side, seed=0)
        files = sorted(Path(folder, "incoming", "bench").glob("*/*/*"))
        ours, theirs = measure(files, given.repeats)
    print(f"{ours:.3f} s; pydicom {theirs:.3f} s; {theirs / ours:.2f} times as long")
    result = {
        "benchmark": "native",
        **vars(given),
        "milliseconds_a_file": round(1000 * ours / len(files), 3),
        "pydicom_milliseconds_a_file": round(1000 * theirs / len(files), 3),
        "ratio": round(theirs / ours, 2),
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("numpy", "pydicom")},
    }
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
