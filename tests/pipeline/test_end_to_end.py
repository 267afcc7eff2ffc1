"""The whole way in a temporary workspace: `fewsite init`, tiny phantoms, `dvc repro`, then hospitals come and go."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SECRET = "5e" * 32  # a fixed one, so that the run is the same every time
HOSPITALS = {
    "phantom_north": ("apex", 80),
    "phantom_east": ("borealis", 80),
    "phantom_south": ("dorado", 60),
}


def run(folder: Path, *command: str, expect: int = 0) -> str:
    """Run a command in a workspace and return all that it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == expect, done.stdout
    return done.stdout


def repro(folder: Path) -> tuple[set[str], str]:
    """The stages that ran, and what was printed."""
    console = run(folder, "dvc", "repro")
    return set(re.findall(r"Running stage '([^']+)'", console)), console


def edit_params(folder: Path, change) -> None:
    yaml = YAML()
    content = yaml.load(folder / "params.yaml")
    change(content)
    yaml.dump(content, folder / "params.yaml")


def shrink(content) -> None:
    content["sites"].update(
        {"phantom_north": "source", "phantom_east": "source", "phantom_south": "target"}
    )
    content["phantom"]["hospitals"].update(
        {
            name: {"vendor": vendor, "patients": patients, "seed": seed}
            for seed, (name, (vendor, patients)) in enumerate(HOSPITALS.items())
        }
    )
    content["convert"].update({"size": [32, 32], "workers": 1})
    content["tasks"].update({"shots": [0, 1, 2], "draws": 2, "min_query": 1, "salt": 1})
    content["encoder"]["width"] = 8
    content["train"].update({"device": "cpu", "threads": 1, "checkpoint_every": 2})
    for name, chosen in {
        "supervised": {"batch": 16},
        "prototypical": {"shot": 1, "query": 2, "validation_episodes": 2},
        "maml": {
            "shot": 1,
            "query": 2,
            "tasks": 2,
            "inner_steps": 1,
            "adapt_steps": 1,
            "validation_episodes": 2,
            "encoder": {"name": "conv4", "width": 8},
        },
    }.items():
        content["learners"][name] = {"steps": 4, "validate_every": 2, **chosen}
    content["adapt"].update({"fine_tuning": {"steps": 2}, "bootstrap": 100})
    content["report"]["shots"] = 2


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "study"
    run(ROOT, "fewsite", "init", str(folder))
    secret = folder / ".fewsite" / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    edit_params(folder, shrink)
    for name in HOSPITALS:
        shutil.copy(ROOT / "sites" / f"{name}.yaml", folder / "sites")
    ran, console = repro(folder)
    assert {
        "split",
        "overview",
        "train@maml-0",
        *(
            f"{stage}@{site}"
            for site in HOSPITALS
            for stage in ("phantom", "convert", "tasks", "adapt", "report")
        ),
    } <= ran
    assert "Traceback" not in console and "ZZPHI" not in console
    return folder


def test_every_site_has_a_page_and_the_overview_links_it(workspace):
    overview = (workspace / "reports" / "index.html").read_text()
    for site in HOSPITALS:
        assert f'href="{site}/index.html"' in overview
        assert (workspace / "reports" / site / "index.html").stat().st_size > 10_000


def test_an_audit_of_all_outputs_finds_no_identifier_of_any_hospital(workspace):
    console = run(workspace, "fewsite", "audit")
    assert (
        "identifiers of 3 sites" in console
        and "nothing found" in console
        and "ZZPHI" not in console
    )


def test_files_are_used_rejected_or_no_images_and_never_lost(workspace):
    for site in HOSPITALS:
        summary = json.loads((workspace / "data" / "studies" / site / "summary.json").read_text())
        assert summary["files"] == summary["used"] + summary["rejected"] + summary["not_images"]
        assert summary["files"] == sum(
            path.is_file() for path in (workspace / "incoming" / site).rglob("*")
        )
        assert summary["rejected"] > 0


def test_no_planted_identifier_is_anywhere_in_outputs_or_state(workspace):
    for folder in ("data", "runs", "results", "reports", ".fewsite/resume", ".dvc", "dvc.lock"):
        for path in [workspace / folder, *(workspace / folder).rglob("*")]:
            if path.is_file():
                assert b"ZZPHI" not in path.read_bytes(), path


def test_what_dvc_notes_of_file_names_stays_in_the_private_folder(workspace):
    assert any((workspace / ".fewsite" / "dvc").rglob("cache.db"))
    assert (workspace / ".fewsite").stat().st_mode & 0o777 == 0o700


def test_a_second_repro_looks_at_code_and_settings_alone(workspace):
    ran, _ = repro(workspace)
    assert ran == {"marks"}


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        (lambda content: content["report"]["accept"].update(auroc=0.6), {"report", "overview"}),
        (lambda content: content["learners"]["maml"].update(steps=5), {"train@maml-0"}),
        (
            lambda content: content["convert"].update(channels=3),
            {"convert", "report", "pretrain", "train"},
        ),
    ],
    ids=["criterion", "learner", "conversion"],
)
def test_a_changed_setting_changes_the_stages_that_read_it_alone(workspace, change, stages):
    params = workspace / "params.yaml"
    before = params.read_text()
    edit_params(workspace, change)
    changed = set(json.loads(run(workspace, "dvc", "status", "--json"))) - {"marks"}
    params.write_text(before)
    named = {name if name in stages else name.partition("@")[0] for name in changed}
    assert named == stages


def test_the_same_seed_gives_the_same_bytes_in_another_workspace(workspace, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(
        workspace,
        again,
        symlinks=True,
        ignore=shutil.ignore_patterns(
            "data", "runs", "results", "reports", "cache", "tmp", "dvc.lock", "incoming"
        ),
    )
    (again / "dvc.yaml").unlink()
    (again / "dvc.yaml").symlink_to(ROOT / "dvc.yaml")
    run(again, "dvc", "repro", "report@phantom_south")
    for name in (
        "results/target/phantom_south/predictions.parquet",
        "reports/phantom_south/index.html",
        "runs/maml/0/model.safetensors",
    ):
        assert (again / name).read_bytes() == (workspace / name).read_bytes()


def test_adding_a_target_trains_nothing_and_removing_it_leaves_no_trace_in_the_overview(workspace):
    export = workspace.parent / "export"
    shutil.copytree(workspace / "incoming" / "phantom_south", export)
    site = (
        (workspace / "sites" / "phantom_south.yaml")
        .read_text()
        .replace("incoming/phantom_south", str(export))
    )
    new = workspace / "sites" / "westside.yaml"
    new.write_text(site)
    models = {path: path.read_bytes() for path in (workspace / "runs").rglob("*.safetensors")}

    run(workspace, "fewsite", "add", str(new), "--check")
    assert "westside" not in (workspace / "params.yaml").read_text()
    console = run(workspace, "fewsite", "add", "sites/westside.yaml")
    assert "dvc repro" in console and "ZZPHI" not in console
    registered = (workspace / "params.yaml").read_text()
    assert "westside: target" in registered and "# k, labelled patients a class" in registered
    run(workspace, "fewsite", "add", "sites/westside.yaml")
    assert (workspace / "params.yaml").read_text() == registered, "adding twice changes nothing"

    ran, _ = repro(workspace)
    assert ran == {
        "marks",
        *(f"{stage}@westside" for stage in ("convert", "tasks", "adapt", "report")),
        "split",
        "overview",
    }
    assert {
        path: path.read_bytes() for path in (workspace / "runs").rglob("*.safetensors")
    } == models
    assert "westside/index.html" in (workspace / "reports" / "index.html").read_text()

    run(workspace, "fewsite", "remove", "westside")
    ran, _ = repro(workspace)
    assert ran <= {"marks", "split", "overview"}
    assert "westside" not in (workspace / "reports" / "index.html").read_text()
    assert "westside" not in (workspace / "reports" / "auroc_by_shots.csv").read_text()


def test_predictions_hold_every_method(workspace):
    answers = pd.read_parquet(
        workspace / "results" / "target" / "phantom_south" / "predictions.parquet"
    )
    assert set(answers["method"]) == {
        "majority",
        "source_only",
        "nearest_centroid",
        "linear_probe",
        "fine_tuning",
        "prototypical",
        "maml",
    }


@pytest.mark.parametrize(
    ("change", "console"),
    [
        (
            lambda c: c["tasks"].update({"drawz": 1}),
            "params.yaml tasks.drawz: found an unknown setting; need one of",
        ),
        (
            lambda c: c["sites"].update({"nowhere": "target"}),
            "sites/nowhere.yaml: found no such file; need a YAML file",
        ),
    ],
)
def test_bad_settings_end_in_one_line_and_change_nothing(workspace, change, console):
    kept = (workspace / "params.yaml").read_text()
    before = sorted((path, path.stat().st_mtime_ns) for path in (workspace / "results").rglob("*"))
    try:
        edit_params(workspace, change)
        printed = run(workspace, "python", "-m", "data_prep.convert", "nowhere", expect=2)
    finally:
        (workspace / "params.yaml").write_text(kept)
    assert console in printed and "Traceback" not in printed
    assert (
        sorted((path, path.stat().st_mtime_ns) for path in (workspace / "results").rglob("*"))
        == before
    )


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (("data_prep.convert", "phantom_south"), "data/studies/phantom_south"),
        (("models.train", "prototypical", "0"), "runs/prototypical/0"),
    ],
)
def test_a_stage_killed_at_random_moments_ends_with_the_bytes_of_an_undisturbed_run(
    workspace, tmp_path, command, output
):
    copy = tmp_path / "copy"
    shutil.copytree(
        workspace,
        copy,
        symlinks=True,
        ignore=shutil.ignore_patterns("cache", "tmp", "reports", "results"),
    )
    edit_params(
        copy,
        lambda content: content["learners"]["prototypical"].update(
            {"steps": 60, "validate_every": 20}
        ),
    )
    start = [sys.executable, "-m", *command]
    quiet = {
        "cwd": copy,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "start_new_session": True,
    }

    def clean() -> None:
        shutil.rmtree(copy / output, ignore_errors=True)

    clean()
    began = time.monotonic()
    subprocess.run(start, check=True, **quiet)
    whole = time.monotonic() - began
    expected = content_of(copy / output)

    moments = random.Random(0)
    clean()
    for _ in range(4):  # each run goes on from what the killed one left
        process = subprocess.Popen(start, **quiet)
        time.sleep(whole * moments.uniform(0.3, 0.95))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (copy / output).exists():  # it was faster than the kill: what it left must be whole
            assert content_of(copy / output) == expected
            clean()
    subprocess.run(start, check=True, **quiet)
    assert content_of(copy / output) == expected
