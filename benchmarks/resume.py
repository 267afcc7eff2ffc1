"""Training that is killed at random steps and run again, against training that is not: the weights'
bytes must be the same.

Kills `python -m models.train` with SIGKILL, so that it can mend nothing, as soon as its state has
reached a step drawn at random, and a moment later. The images are made up, in a temporary
workspace. The last line is JSON.

    python benchmarks/resume.py --learners prototypical maml --kills 3
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import safe_open

from data_prep.episodes.meta_split import MetaSplit, SourceSite, write_meta_split
from data_prep.store.records import pixel_hash
from models.training.recipe import resume_file
from workspace.paths import Workspace

PATIENTS, CLASSES = 20, ("a", "b", "c")
CHECKPOINT_EVERY = 3  # steps: a kill mostly falls between two
MOMENT = 0.05  # seconds at most from the state's step to the kill


def write_workspace(root: Path, learners: list[str], steps: int) -> None:
    """One source site of noise with a brightness for each class, split and ready to train on."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{label}{patient}", label, "train" if patient < 14 else "validation", place)
        for place, label in enumerate(CLASSES)
        for patient in range(PATIENTS)
    ]
    pixels = (
        np.array([rng.normal(80 + 40 * place, 40, (1, 32, 32)) for *_, place in rows])
        .clip(0, 255)
        .astype(np.uint8)
    )
    records = pd.DataFrame([row[:3] for row in rows], columns=["patient", "label", "split"])
    records = records.assign(
        group=records["patient"],
        record=records["patient"],
        row=range(len(rows)),
        perceptual_hash="",
        pixel_hash=[pixel_hash(row) for row in pixels],
    )
    studies = Workspace(root).studies("made_up")
    studies.mkdir(parents=True)
    np.save(studies / "pixels.npy", pixels)
    write_meta_split(
        MetaSplit({"made_up": SourceSite("made_up", CLASSES, records)}, "none"), Workspace(root)
    )
    Workspace(root).params_file.write_text(
        json.dumps(
            {
                "sites": {"made_up": "source"},
                "convert": {"size": [32, 32]},
                "encoder": {"width": 16},
                "adapt": {},
                "report": {"method": learners[0]},
                "train": {
                    "learners": learners,
                    "device": "cpu",
                    "threads": 1,
                    "checkpoint_every": CHECKPOINT_EVERY,
                },
                "learners": {
                    name: {"steps": steps, "validate_every": 10, "validation_episodes": 5}
                    for name in learners
                },
            }
        )
    )


def start(root: Path, learner: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "models.train", learner, "0"],
        cwd=root,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def outputs(root: Path, learner: str) -> dict[str, bytes]:
    """What the training wrote, which is then taken away."""
    folder = Workspace(root).run(learner, 0)
    content = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return content


def state_step(file: Path) -> int:
    """The step of a training's last state; 0 where there is none."""
    if not file.is_file():
        return 0
    with safe_open(file, framework="pt") as opened:
        return json.loads(opened.metadata()["state"])["step"]


def killed_at(root: Path, learner: str, step: int, moment: float) -> int:
    """Start or resume a training and kill it soon after its state has reached `step`; returns the
    state's step then.
    """
    file = resume_file(Workspace(root), learner, 0)
    process = start(root, learner)
    while state_step(file) < step and process.poll() is None:
        time.sleep(0.002)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        sys.exit(
            f"resume: found {learner} at its end before step {step}; need a training to kill; "
            "do raise --steps"
        )
    return state_step(file)


def compare(
    root: Path, learner: str, steps: int, kills: int, draws: random.Random
) -> dict[str, object]:
    if start(root, learner).wait() != 0:
        sys.exit(
            f"resume: found a training of {learner} that ends in an error; need one that runs; "
            "do run python -m models.train by hand"
        )
    whole = outputs(root, learner)
    due = sorted(draws.sample(range(1, steps - 2 * CHECKPOINT_EVERY), kills))
    died = [killed_at(root, learner, step, draws.uniform(0, MOMENT)) for step in due]
    start(root, learner).wait()
    return {"killed_after_state_of_step": died, "identical_bytes": outputs(root, learner) == whole}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--learners", nargs="+", default=["prototypical", "maml"])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the steps at which it is killed")
    given = parser.parse_args()
    draws = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        write_workspace(Path(folder), given.learners, given.steps)
        runs = {
            learner: compare(Path(folder), learner, given.steps, given.kills, draws)
            for learner in given.learners
        }
    print(
        json.dumps(
            {
                "benchmark": "resume",
                "steps": given.steps,
                "checkpoint_every": CHECKPOINT_EVERY,
                "seed": given.seed,
                "learners": runs,
                "identical": all(run["identical_bytes"] for run in runs.values()),
                "machine": platform.machine(),
                "python": platform.python_version(),
                "torch": version("torch"),
            },
            sort_keys=True,
        )
    )


if __name__ == "__main__":
    main()
