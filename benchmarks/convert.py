"""The whole convert stage against MONAI's LoadImage with PydicomReader and against SimpleITK, on
generated CT series (uncompressed, one file a slice).

All window, resize and stack the same slices with the same functions, and must end with the same
pixels. Each repetition of each contender is a new process, by turns, with one thread a process; the
clock starts when all is imported. A rerun finds all records decoded. The last line is JSON.

    python benchmarks/convert.py --series 20 --slices 200
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

SITE = "bench"
CONTENDERS = (
    "monai",
    "simpleitk",
    "one_process",
    "two_processes",
    "rerun",
)  # rerun: one process, after one that finished
Reader = Callable[
    [Path], np.ndarray
]  # of a series' folder, or of a file, to float32 (slices, rows, columns) or (rows, columns)
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
PACKAGES = ("fewsite", "monai", "numpy", "pydicom", "scipy", "simpleitk", "torch")


def write_site(root: Path, series: int, slices: int, side: int, seed: int) -> None:
    """An export of CT series by one vendor of the phantom: a body of water with noise, 12 bits
    stored.
    """
    from data_prep.phantom.cohort import Patient
    from data_prep.phantom.dicom_files import series_files
    from data_prep.phantom.vendors import VENDORS

    apex = VENDORS["apex"]
    vendor = replace(
        apex,
        scanner=replace(
            apex.scanner,
            rows=side,
            columns=side,
            slices=slices,
            pitch=0.7,
            spacing=1.0,
            thickness=1.0,
        ),
    )
    rng = np.random.default_rng(seed)
    across = np.linspace(-1, 1, side)
    body = np.where(np.hypot(across[:, None], across) < 0.8, 40.0, -1000.0)
    rows = ["SeriesInstanceUID,finding"]
    for number in range(1, series + 1):
        volume = body + rng.normal(0, 20, (slices, side, side)).astype(np.float32)
        patient = Patient(number, f"ZZPHI{number}", "DOE-ZZPHI^JO", "none", 60, "F", 2020, 1)
        files = series_files(SITE, vendor, patient, 1, volume, np.zeros(3))
        for file in files:
            path = root / "incoming" / SITE / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        rows.append(f"{files[0].keys['SeriesInstanceUID']},{'AB'[number % 2]}")
    (root / "incoming" / SITE / "labels.csv").write_text("\n".join(rows))


def write_settings(root: Path, size: list[int]) -> None:
    (root / "sites").mkdir()
    (root / "sites" / f"{SITE}.yaml").write_text(
        "root: .\ntask: bench\n"
        "labels: {file: labels.csv, match: SeriesInstanceUID, class: finding}\n"
        "classes: {a: [A], b: [B]}\n"
    )
    for workers in (1, 2):
        (root / f"params_{workers}.yaml").write_text(
            f"sites: {{{SITE}: source}}\nconvert: {{size: {size}, workers: {workers}}}\n"
            "train: {learners: [prototypical]}\n"
            "adapt: {methods: [prototypical]}\nreport: {method: prototypical}\n"
        )


def run_fewsite(root: Path, workers: int, again: bool) -> float:
    """Seconds for the stage. `again`: with what the last run decoded."""
    from data_prep.convert import convert
    from workspace.paths import Workspace

    (root / "params.yaml").write_bytes((root / f"params_{workers}.yaml").read_bytes())
    if not again:
        shutil.rmtree(Workspace(root).decoded(SITE), ignore_errors=True)
    start = time.perf_counter()
    convert(Workspace(root), SITE)
    return time.perf_counter() - start


def run_library(root: Path, name: str) -> float:
    """Seconds for the same work: each series, or each slice, is loaded by a library and
    standardised as fewsite does.
    """
    from data_prep.readers.image_file import Pixels
    from data_prep.volumes.standardise import standardise
    from eval.settings import load_params
    from workspace.paths import Workspace

    (root / "params.yaml").write_bytes((root / "params_1.yaml").read_bytes())
    convert = load_params(Workspace(root)).convert
    load = LIBRARIES[name]()
    start = time.perf_counter()
    folders = sorted({path.parent for path in (root / "incoming" / SITE).glob("*/*/*")})
    sources = (
        folders
        if len(convert.size) == 3
        else [path for folder in folders for path in sorted(folder.iterdir())]
    )
    # Not with the libraries' own resampling: only reading differs, so that all can be asked for the
    # same pixels.
    arrays = [standardise(Pixels(load(source)), convert, "CT") for source in sources]
    np.save(root / f"{name}.npy", np.stack(arrays))
    return time.perf_counter() - start


def monai_reader() -> Reader:
    from monai.data import PydicomReader
    from monai.transforms import LoadImage

    load = LoadImage(reader=PydicomReader(), image_only=True)
    return lambda source: np.ascontiguousarray(load(source).numpy().T)


def simpleitk_reader() -> Reader:
    import SimpleITK

    def read(source: Path) -> np.ndarray:
        if not source.is_dir():
            return SimpleITK.GetArrayFromImage(
                SimpleITK.ReadImage(str(source), SimpleITK.sitkFloat32)
            )[0]
        names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(
            str(source)
        )  # in the order of their positions
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(names, SimpleITK.sitkFloat32))

    return read


LIBRARIES = {"monai": monai_reader, "simpleitk": simpleitk_reader}


def run_here(contender: str, root: Path) -> None:
    """One repetition; prints its seconds and its own highest memory (MiB)."""
    # which only volumes need, so that fewsite would load it on the way
    import highdicom.spatial  # noqa: F401

    import data_prep.convert  # noqa: F401  before the clock starts

    library = contender in LIBRARIES
    seconds = (
        run_library(root, contender)
        if library
        else run_fewsite(root, 1 + (contender == "two_processes"), contender == "rerun")
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "memory": memory}))


def repeat(contender: str, root: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--run", contender, str(root)],
        env=os.environ | ONE_THREAD,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def same_pixels(root: Path) -> bool:
    """Whether all made the same records, in whatever order."""
    made = [
        np.load(path)
        for path in (
            root / "data" / "studies" / SITE / "pixels.npy",
            *(root / f"{name}.npy" for name in LIBRARIES),
        )
    ]
    return len({tuple(sorted(image.tobytes() for image in images)) for images in made}) == 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--slices", type=int, default=200, help="of each series")
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument(
        "--size",
        type=int,
        nargs="+",
        default=[16, 48, 48],
        help="of a record: a volume, or with two numbers a slice",
    )
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    # what a repetition's process is called with
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        run_here(asked.run[0], Path(asked.run[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # In a process of its own: the highest memory of this one would be counted as that of all
        # that it starts.
        writer = multiprocessing.get_context("spawn").Process(
            target=write_site, args=(root, asked.series, asked.slices, asked.side, asked.seed)
        )
        writer.start()
        writer.join()
        write_settings(root, asked.size)
        runs = [
            {contender: repeat(contender, root) for contender in CONTENDERS}
            for _ in range(asked.repetitions)
        ]
        same = same_pixels(root)
    print(json.dumps(summary(asked, runs, same)))


def summary(
    asked: argparse.Namespace, runs: list[dict[str, dict[str, float]]], same: bool
) -> dict[str, Any]:
    seconds, memory = {}, {}
    for name in CONTENDERS:
        seconds[name] = statistics.median(run[name]["seconds"] for run in runs)
        memory[name] = round(max(run[name]["memory"] for run in runs))
    files = asked.series * asked.slices
    one = seconds["one_process"]
    rivals = {f"one_process_to_{name}": round(seconds[name] / one, 2) for name in LIBRARIES}
    return {
        "benchmark": "convert",
        "files": files,
        "side": asked.side,
        "size": asked.size,
        "n": asked.repetitions,
        "seed": asked.seed,
        "files_per_second": {name: round(files / taken, 1) for name, taken in seconds.items()},
        **rivals,
        "two_processes_to_one": round(one / seconds["two_processes"], 2),
        "rerun_to_one_process": round(one / seconds["rerun"], 2),
        "peak_mib": memory,
        "same_pixels": same,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


if __name__ == "__main__":
    main()
