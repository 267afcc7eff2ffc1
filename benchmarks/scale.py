"""What grows with the size of a site: each part is run at one size and at ten times it. The last
line is JSON.

convert: the highest memory of the whole stage, all of its processes together, for N and 10 N
studies of one image, or of `--slices`.

    python benchmarks/scale.py convert --studies 500

episodes: startup (index, images and pools, up to the first episode), episodes a second and memory
of a source site of N and 100 N records of 28 x 28 in one file; each in a process of its own, the
clock starts when all is imported.

    python benchmarks/scale.py episodes --records 10000
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from convert import ONE_THREAD, SITE, write_settings, write_site

from data_prep.episodes.draw import draw_episodes, site_pools
from data_prep.episodes.images import open_images
from data_prep.episodes.meta_split import (
    INDEX,
    MetaSplit,
    SourceSite,
    read_meta_split,
    write_meta_split,
)
from data_prep.store.records import pixel_hash
from models.settings import Episodic
from workspace.paths import Workspace

TIMES, HUNDRED = 10, 100
EPISODES, REPEATS = 200, 6  # the first repeat is not counted
EVERY = 0.02  # seconds between two looks at memory
PACKAGES = ("fewsite", "numpy", "pandas", "pydicom")


def convert(asked: argparse.Namespace) -> dict[str, Any]:
    """Memory of a conversion with two processes, counting what they share in each."""
    runs = [_run_convert(studies, asked) for studies in (asked.studies, TIMES * asked.studies)]
    peaks = [run["peak_mib"] for run in runs]
    return {
        "slices": asked.slices,
        "side": asked.side,
        "size": asked.size,
        "runs": runs,
        "peak_ratio": round(peaks[1] / peaks[0], 3),
        "kib_a_study": round(
            1024 * (peaks[1] - peaks[0]) / (runs[1]["studies"] - runs[0]["studies"]), 1
        ),
    }


def _run_convert(studies: int, asked: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_site(root, studies, asked.slices, asked.side, asked.seed)
        write_settings(root, asked.size)
        (root / "params_2.yaml").rename(root / "params.yaml")
        start, peak = time.perf_counter(), 0
        process = psutil.Popen(
            [sys.executable, "-m", "data_prep.convert", SITE],
            cwd=root,
            env=os.environ | ONE_THREAD,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(EVERY)
        if process.returncode:
            raise SystemExit(f"the conversion of {studies} studies ended with {process.returncode}")
        return {
            "studies": studies,
            "peak_mib": round(peak / 2**20, 1),
            "seconds": round(time.perf_counter() - start, 1),
        }


def _resident(process: psutil.Process) -> int:
    """Bytes in memory, of a process and all that it started."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:  # it ended since
            continue
    return total


def episodes(asked: argparse.Namespace) -> dict[str, Any]:
    """Startup and speed of drawing from one site, its pixels in their file."""
    runs = []
    for records in (asked.records, HUNDRED * asked.records):
        with tempfile.TemporaryDirectory() as folder:
            _write_split(Path(folder), records, asked.seed)
            called = subprocess.run(
                [
                    sys.executable,
                    __file__,
                    "draw",
                    "--records",
                    str(records),
                    "--seed",
                    str(asked.seed),
                ],
                cwd=folder,
                check=True,
                stdout=subprocess.PIPE,
                env=os.environ | ONE_THREAD,
            )
            runs.append(json.loads(called.stdout.splitlines()[-1]))
    return {
        "runs": runs,
        "rate_ratio": round(runs[1]["episodes_a_second"] / runs[0]["episodes_a_second"], 3),
    }


def draw(asked: argparse.Namespace) -> dict[str, Any]:
    """One such process: in the working folder, which `episodes` wrote."""
    chosen, process = Episodic(way=5, min_way=5, shot=5, query=15), psutil.Process()
    began, before = time.perf_counter(), process.memory_info().rss
    meta = read_meta_split(Workspace(), INDEX)
    images = open_images(Workspace(), meta, torch.device("cpu"), most=0, shape=(1, 28, 28))
    pools = site_pools(meta, images, "train")
    site_pools(meta, images, "validation")
    draw_episodes(pools, (asked.seed, 0), 0, chosen, tasks=1).gather(images)
    startup, rates = time.perf_counter() - began, []
    for repeat in range(REPEATS):
        began = time.perf_counter()
        for index in range(EPISODES):
            draw_episodes(pools, (asked.seed, 1 + repeat), index, chosen, tasks=1).gather(images)
        rates.append(EPISODES / (time.perf_counter() - began))
    return {
        "records": asked.records,
        "startup_seconds": round(startup, 2),
        "episodes_a_second": round(statistics.median(rates[1:]), 1),
        "grown_mib": round((process.memory_info().rss - before) / 2**20, 1),
    }


def _write_split(root: Path, records: int, seed: int) -> None:
    """One source site of two images a patient, 5 classes, half of the patients to train on."""
    rng, some = np.random.default_rng(seed), 1000  # different images, which take turns
    pixels = rng.integers(0, 256, (some, 1, 28, 28), np.uint8)
    folder = Workspace(root).studies("made_up")
    folder.mkdir(parents=True)
    stored = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, (records, 1, 28, 28))
    for start in range(0, records, some):
        stored[start : start + some] = pixels[: records - start]
    stored.flush()
    patients = (
        pd.Series([f"{number:032x}" for number in rng.permutation(records // 2)])
        .repeat(2)
        .to_numpy()
    )
    number = np.arange(records) // 2
    table = pd.DataFrame(
        {
            "record": patients,
            "row": np.arange(records),
            "patient": patients,
            "group": patients,
            "label": np.array(list("abcde"))[number % 5],
            "split": np.where(number % 2, "train", "validation"),
            "pixel_hash": np.resize([pixel_hash(image) for image in pixels], records),
            "perceptual_hash": patients,
        }
    )
    write_meta_split(
        MetaSplit({"made_up": SourceSite("made_up", tuple("abcde"), table)}, "none"),
        Workspace(root),
    )


PARTS = {"convert": convert, "episodes": episodes, "draw": draw}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--slices", type=int, default=1, help="of each study")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument(
        "--size",
        type=int,
        nargs="+",
        default=[64, 64],
        help="of a record: an image, or with three numbers a volume",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--records", type=int, default=10_000)
    asked = parser.parse_args()
    print(
        json.dumps(
            {
                "benchmark": "scale",
                "part": asked.part,
                "seed": asked.seed,
                **PARTS[asked.part](asked),
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "versions": {name: version(name) for name in PACKAGES},
            }
        )
    )


if __name__ == "__main__":
    main()
