"""Time and memory of one hospital's page, and of its performance table, at the size of a large
study. The last line is JSON.

1,000 query patients with one to three images each, 10 methods, 6 values of k, 20 support draws, two
source hospitals beside it; all in a process of its own, imports included.

    python benchmarks/report.py
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from made_hospitals import SHARPNESS, Hospital, build

MORE = ("relation", "siamese", "matching")
METHODS = (*sorted(SHARPNESS), *MORE)
SHOTS = (1, 2, 5, 10, 20)  # and 0, of the source model
PACKAGES = ("fewsite", "numpy", "pandas", "torch")


def measure(root: Path) -> dict[str, float]:
    """Seconds, and the highest memory of the process in MiB."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "eval.report", "westside", "target"],
        cwd=root,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return {
        "seconds": time.perf_counter() - start,
        "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--patients", type=int, default=1000, help="in the query set")
    asked.add_argument("--draws", type=int, default=20)
    asked.add_argument("--bootstrap", type=int, default=1000)
    asked.add_argument("--repeats", type=int, default=3)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        root.mkdir()
        build_study(root, given)
        runs = [measure(root) for _ in range(given.repeats)]
        size = (root / "reports" / "westside" / "index.html").stat().st_size
    print(json.dumps(summary(given, runs, size)))


def build_study(root: Path, given: argparse.Namespace) -> None:
    """A target hospital of the asked size, and two small sources."""
    SHARPNESS.update(dict.fromkeys(MORE, 1.5))
    few = {"shots": SHOTS, "asked": (0, *SHOTS), "draws": given.draws, "methods": METHODS}
    build(
        root,
        {
            "westside": Hospital(patients=(given.patients, given.patients), **few),
            "northgate": Hospital(role="source", patients=(200, 200), seed=2, **few),
            "eastgate": Hospital(role="source", patients=(200, 200), seed=3, **few),
        },
    )
    file = root / "params.yaml"
    params = json.loads(file.read_text())
    params["adapt"] |= {"bootstrap": given.bootstrap, "methods": list(METHODS)}
    params["train"]["learners"] += MORE
    params["tasks"] |= {"shots": [0, *SHOTS], "draws": given.draws}
    file.write_text(json.dumps(params))


def summary(given: argparse.Namespace, runs: list[dict[str, float]], size: int) -> dict[str, Any]:
    seconds = statistics.median(run["seconds"] for run in runs)
    peak = max(run["peak_mib"] for run in runs)
    return {
        "patients": given.patients,
        "methods": len(METHODS),
        "shots": len(SHOTS) + 1,
        "draws": given.draws,
        "bootstrap": given.bootstrap,
        "seconds": round(seconds, 1),
        "peak_mib": round(peak),
        "page_mib": round(size / 2**20, 2),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in PACKAGES},
    }


if __name__ == "__main__":
    main()
