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

from data_prep.convert import convert
from pipeline import marks
from pipeline.init import init_workspace
from pipeline.sites.add import add_site
from pipeline.sites.link import link_site, link_sites
from pipeline.sites.params_file import edited
from pipeline.sites.remove import remove_site
from workspace.errors import Refusal
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
        Image.fromarray(rng.integers(0, 255, (side, side), np.uint8)).save(
            folder / f"{number:04}.png"
        )


def labels(file: Path, count: int) -> None:
    file.write_text(
        "\n".join(
            ["file,kind", *(f"{number:04}.png,{'rl'[number % 2]}" for number in range(count))]
        )
        + "\n"
    )


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
    marks.main()  # what DVC's first stage finds done already: in a process of its own it imports torch


def start(stage: str = "convert@west") -> subprocess.Popen:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", stage],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path},
    )


def repro(workspace: Workspace) -> int:
    """How many records there are then."""
    running = start()
    printed = running.communicate()[0]
    assert running.returncode == 0, printed
    return json.loads((workspace.studies("west") / "summary.json").read_text())["records"]


def test_what_moves_while_convert_runs_leaves_no_output_and_the_next_run_takes_it(
    workspace: Workspace, tmp_path: Path
):
    export = tmp_path / "export"
    pictures(export, range(60), side=128)
    labels(export / "labels.csv", 70)
    add(workspace, export)
    running = start()
    while (
        running.poll() is None and not (workspace.studies("west").parent / ".west.partial").exists()
    ):  # it decodes
        time.sleep(0.005)
    pictures(export, range(60, 70))
    with edited(workspace) as content:
        content["convert"]["size"] = [24, 24]
    printed = running.communicate()[0]
    assert (
        "incoming/west: found files that came" in printed
        and "params.yaml convert: found another value" in printed
        and running.returncode
    )
    assert not workspace.studies("west").exists()
    assert repro(workspace) == 70
    assert np.load(workspace.studies("west") / "pixels.npy", mmap_mode="r").shape == (70, 1, 24, 24)


def test_what_comes_goes_or_changes_behind_links_is_converted_by_the_next_run(
    workspace: Workspace, tmp_path: Path
):
    export, elsewhere, deeper = tmp_path / "export", tmp_path / "elsewhere", tmp_path / "deeper"
    pictures(export / "near", range(20))
    pictures(elsewhere, range(20, 30))
    pictures(deeper, range(30, 40))
    labels(export / "labels.csv", 50)
    os.symlink("../elsewhere", export / "far")
    os.symlink(deeper, elsewhere / "deeper")
    os.symlink("near", export / "again")  # what is there already is taken and watched once
    add(workspace, export)
    assert repro(workspace) == 40
    pictures(deeper, range(40, 50))
    (elsewhere / "0020.png").unlink()
    assert repro(workspace) == 49
    shutil.copytree(deeper, tmp_path / "other")
    os.remove(tmp_path / "other" / "0031.png")
    os.remove(elsewhere / "deeper")
    os.symlink("../other", elsewhere / "deeper")  # the same place in the export, another disk
    assert repro(workspace) == 48
    (tmp_path / "new").mkdir()
    os.symlink("../new", export / "new")
    with pytest.raises(
        Refusal,
        match="incoming/west: found other folders behind links, .* do fewsite link, then dvc repro",
    ):
        convert(workspace, "west")
    link_sites(workspace)
    convert(workspace, "west")


def test_what_a_list_names_is_watched_its_files_and_its_folders(
    workspace: Workspace, tmp_path: Path
):
    pictures(tmp_path / "hospital" / "folder", range(20))
    pictures(tmp_path / "hospital", range(20, 30))
    labels(tmp_path / "hospital" / "labels.csv", 40)
    names = tmp_path / "hospital" / "names.txt"
    names.write_text(
        "\n".join(["labels.csv", "folder", *(f"{number:04}.png" for number in range(20, 30))])
    )
    add(workspace, names)
    assert repro(workspace) == 30
    pictures(tmp_path / "hospital" / "folder", range(30, 40))
    assert repro(workspace) == 40
    before = (workspace.studies("west") / "pixels.npy").read_bytes()
    Image.fromarray(np.arange(576, dtype=np.uint8).reshape(24, 24)).save(
        tmp_path / "hospital" / "0025.png"
    )
    assert (
        repro(workspace) == 40 and (workspace.studies("west") / "pixels.npy").read_bytes() != before
    )
    names.write_text(names.read_text().replace("0029.png\n", "").removesuffix("0029.png"))
    with pytest.raises(
        Refusal, match="incoming/west: found other folders behind links, or another list"
    ):
        convert(workspace, "west")
    link_sites(workspace)
    convert(workspace, "west")


def test_a_site_with_linked_folders_shows_no_path_to_git_and_leaves_nothing_when_it_is_removed(
    workspace: Workspace, tmp_path: Path
):
    export = tmp_path / "export"
    pictures(tmp_path / "far", range(20))
    pictures(export, range(20, 40))
    labels(export / "labels.csv", 40)
    os.symlink("../far", export / "far")
    add(workspace, export)
    printed = (workspace.root / "sites" / "dvc.yaml").read_text()
    assert "incoming/west/folders/000000" in printed and str(tmp_path) not in printed
    assert not link_site(workspace, "west", export)
    os.remove(export / "far")
    assert link_site(workspace, "west", export) and workspace.incoming("west").is_symlink()
    assert not (workspace.root / "sites" / "dvc.yaml").exists()
    os.symlink("../far", export / "far")
    link_sites(workspace)
    remove_site(workspace, "west")
    assert (
        not os.path.lexists(workspace.incoming("west"))
        and not (workspace.root / "sites" / "dvc.yaml").exists()
    )
    assert (tmp_path / "far" / "0000.png").exists() and (export / "0020.png").exists()


def test_the_order_of_classes_alone_is_a_change(workspace: Workspace, tmp_path: Path):
    """The second of two classes is the positive one; DVC compares what a file of settings holds whatever its order."""
    pictures(tmp_path / "export", range(40))
    labels(tmp_path / "export" / "labels.csv", 40)
    add(workspace, tmp_path / "export")
    for written, classes in (
        ("{round: [r], long: [l]}", ["round", "long"]),
        ("{long: [l], round: [r]}", ["long", "round"]),
    ):
        file = workspace.site_file("west")
        file.write_text(file.read_text().replace("{round: [r], long: [l]}", written))
        running = start("tasks@west")
        printed = running.communicate()[0]
        assert running.returncode == 0, printed
        assert (
            json.loads((workspace.tasks("target", "west") / "task.json").read_text())["classes"]
            == classes
        )
