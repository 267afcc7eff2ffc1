"""What grows with the size of a site: each part is run at one size and at ten times it. The last line is JSON.

convert: the highest memory of the whole stage, all of its processes together, for N and 10 N studies of one image, or of `--slices`.

    python benchmarks/scale.py convert --studies 500
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from convert import ONE_THREAD, SITE, write_settings, write_site

TIMES = 10
EVERY = 0.02  # seconds between two looks at memory
PACKAGES = ("fewsite", "numpy", "pandas", "pydicom")


def convert(asked: argparse.Namespace) -> dict[str, Any]:
    """Memory of a conversion with two processes, counting what they share in each."""
    runs = [_run_convert(studies, asked) for studies in (asked.studies, TIMES * asked.studies)]
    peaks = [run["peak_mib"] for run in runs]
    return {"slices": asked.slices, "side": asked.side, "size": asked.size, "runs": runs, "peak_ratio": round(peaks[1] / peaks[0], 3),
            "kib_a_study": round(1024 * (peaks[1] - peaks[0]) / (runs[1]["studies"] - runs[0]["studies"]), 1)}


def _run_convert(studies: int, asked: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_site(root, studies, asked.slices, asked.side, asked.seed)
        write_settings(root, asked.size)
        (root / "params_2.yaml").rename(root / "params.yaml")
        start, peak = time.perf_counter(), 0
        process = psutil.Popen([sys.executable, "-m", "data_prep.convert", SITE], cwd=root, env=os.environ | ONE_THREAD, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(EVERY)
        if process.returncode:
            raise SystemExit(f"the conversion of {studies} studies ended with {process.returncode}")
        return {"studies": studies, "peak_mib": round(peak / 2**20, 1), "seconds": round(time.perf_counter() - start, 1)}


def _resident(process: psutil.Process) -> int:
    """Bytes in memory, of a process and all that it started."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:  # it ended since
            continue
    return total


PARTS = {"convert": convert}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--slices", type=int, default=1, help="of each study")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--size", type=int, nargs="+", default=[64, 64], help="of a record: an image, or with three numbers a volume")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(json.dumps({"benchmark": "scale", "part": asked.part, "seed": asked.seed, **PARTS[asked.part](asked), "cores": os.cpu_count(),
                      "python": platform.python_version(), "versions": {name: version(name) for name in PACKAGES}}))


if __name__ == "__main__":
    main()
