"""With real DVC: what came, went or changed while `convert` ran, or lies behind a link or in a list, is converted by the next `dvc repro`."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.add import add_site
from pipeline.init import init_workspace
from pipeline.params_file import edited
from workspace.paths import Workspace

SITE = """root: {root}
task: cells
labels: {{file: labels.csv, match: file, class: kind}}
classes: {{round: [r], long: [l]}}
"""


def pictures(folder: Path, numbers: range, side: int = 24) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(numbers.start)
    for number in numbers:
        Image.fromarray(rng.integers(0, 255, (side, side), np.uint8)).save(folder / f"{number:04}.png")


def labels(file: Path, count: int) -> None:
    file.write_text("\n".join(["file,kind", *(f"{number:04}.png,{'rl'[number % 2]}" for number in range(count))]) + "\n")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "study"
    init_workspace(Workspace(folder))
    return folder


@pytest.fixture
def workspace(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    folder = fresh.parent / tmp_path.name  # beside it, so that the relative link to dvc.yaml holds
    shutil.copytree(fresh, folder, symlinks=True)
    monkeypatch.chdir(folder)
    made = Workspace()
    with edited(made) as content:
        content["convert"].update({"size": [16, 16], "workers": 1})
        content["tasks"].update({"shots": [0, 1], "draws": 1, "min_query": 1})
        content["report"]["shots"] = 1
    return made


def add(workspace: Workspace, root: Path) -> None:
    workspace.site_file("west").write_text(SITE.format(root=root))
    add_site(workspace, workspace.site_file("west"), "target", check=False)


def start() -> subprocess.Popen:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen([sys.executable, "-m", "dvc", "repro", "convert@west"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "PATH": path})


def repro(workspace: Workspace, expect: int = 0) -> tuple[str, int]:
    """What DVC printed, and how many records there are."""
    running = start()
    said = running.communicate()[0]
    assert running.returncode == expect, said
    summary = workspace.studies("west") / "summary.json"
    return said, json.loads(summary.read_text())["records"] if summary.exists() else 0


def test_what_moves_while_convert_runs_leaves_no_output_and_the_next_run_takes_it(workspace: Workspace, tmp_path: Path):
    export = tmp_path / "export"
    pictures(export, range(60), side=128)
    labels(export / "labels.csv", 70)
    add(workspace, export)
    running = start()
    while running.poll() is None and not (workspace.studies("west").parent / ".west.partial").exists():  # it decodes
        time.sleep(0.005)
    pictures(export, range(60, 70))
    with edited(workspace) as content:
        content["convert"]["size"] = [24, 24]
    said = running.communicate()[0]
    assert "incoming/west: found files that came" in said and "params.yaml convert: found another value" in said and running.returncode
    assert not workspace.studies("west").exists()
    assert repro(workspace)[1] == 70
    assert np.load(workspace.studies("west") / "pixels.npy", mmap_mode="r").shape == (70, 1, 24, 24)
