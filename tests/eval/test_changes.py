"""What changed between two revisions: paired on the patients of both, read from Git and DVC's
cache.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.changes import change
from eval.results import Results, read_results
from eval.settings import load_params
from pipeline.cli import app
from workspace.paths import Workspace


@pytest.fixture(scope="module")
def workspace(make_workspace, hospital) -> Workspace:
    return make_workspace(
        {
            "westside": hospital(patients=(60, 60), draws=2, methods=("prototypical", "maml")),
            "northgate": hospital(
                role="source", patients=(30, 30), draws=2, methods=("prototypical", "maml")
            ),
        }
    )


@pytest.fixture
def results(workspace) -> Results:
    return read_results(workspace, load_params(workspace), "westside", "target")


def test_results_that_are_the_same_differ_by_exactly_nothing(results):
    found = change(results, results)
    assert (found.low, found.high) == (0, 0) and found.value_before == found.value_after
    assert found.shared_records == len(results.query.records)


def test_a_paired_interval_is_narrower_than_those_of_the_two_results(results):
    """The same images, answered a little better: what both find hard cancels out."""
    better, label = results.predictions.copy(), results.predictions["label"]
    for name in results.classes:
        better[f"p_{name}"] = (better[f"p_{name}"] + 0.15 * (label == name)) / 1.15
    found = change(results, replace(results, predictions=better))
    row = results.performance.query(
        "method == 'prototypical' and k == 5 and metric == 'auroc'"
    ).iloc[0]
    assert 0 < found.low < found.value_after - found.value_before < found.high
    assert found.high - found.low < 0.7 * (row["patient_high"] - row["patient_low"])


def test_only_patients_of_both_are_compared(results):
    dropped = results.query.patients[0]
    fewer = results.predictions[results.predictions["patient"] != dropped]
    found = change(results, replace(results, predictions=fewer))
    assert found.shared_patients == len(set(results.query.patients)) - 1 and (
        found.low,
        found.high,
    ) == (0, 0)


def test_query_sets_that_share_nobody_are_not_compared(results):
    others = results.predictions.assign(
        record=lambda table: table["record"].str[::-1] + "x",
        patient=lambda table: table["patient"] + "x",
    )
    found = change(results, replace(results, predictions=others))
    assert found.shared_patients == 0 and found.low is None and found.value_before is None


def run(*command: str, folder) -> None:
    subprocess.run(
        command,
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )


AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@example.org")


def commit_with_dvc(folder: Path, *options: str) -> None:
    dvc = [sys.executable, "-m", "dvc"]
    run(*dvc, "init", "-q", *options, folder=folder)
    run(*dvc, "add", "-q", "results", "data/meta_split", folder=folder)
    run("git", "add", "-A", folder=folder)
    run("git", *AUTHOR, "commit", "-qm", "one", folder=folder)


@pytest.fixture(scope="module")
def committed(workspace, tmp_path_factory) -> Workspace:
    """The workspace under Git and DVC, with one commit; its results changed since."""
    folder = tmp_path_factory.mktemp("committed") / "study"
    shutil.copytree(workspace.root, folder)
    run("git", "init", "-q", folder=folder)
    commit_with_dvc(folder)
    changed = Workspace(folder)
    file = changed.results("target", "westside") / "predictions.parquet"
    results = read_results(changed, load_params(changed), "westside", "target")
    table = results.predictions.copy()
    noise = np.random.default_rng(0).uniform(0.2, 0.8, len(table))
    table["p_AP"], table["p_PA"] = noise.astype(np.float32), (1 - noise).astype(np.float32)
    file.unlink()  # DVC may have linked it to its cache
    table.to_parquet(file)
    return changed


def compare(workspace: Workspace, revision: str) -> tuple[int, str, str]:
    with contextlib.chdir(workspace.root):
        result = CliRunner().invoke(app, ["compare", revision])
    return result.exit_code, result.stdout, result.stderr


def test_a_revision_is_compared_with_now_site_by_site(committed):
    code, stated, _ = compare(committed, "HEAD")
    lines = dict(line.split(": ", 1) for line in stated.splitlines())
    assert code == 0 and set(lines) == {"northgate", "westside"}
    assert "difference +0.000 (+0.000 to +0.000)" in lines["northgate"]
    assert "difference -0." in lines["westside"] and "of both" in lines["westside"]


def test_a_site_that_is_new_and_one_that_was_taken_out_are_named(committed):
    params = json.loads(committed.params_file.read_text())
    try:
        committed.params_file.write_text(
            json.dumps({**params, "sites": {"westside": "target", "eastside": "target"}})
        )
        assert [
            line for line in compare(committed, "HEAD")[1].splitlines() if "westside" not in line
        ] == ["eastside: new as a target since HEAD", "northgate: taken out since HEAD"]
    finally:
        committed.params_file.write_text(json.dumps(params))


def test_an_unknown_revision_and_a_folder_without_git_are_refused(committed, workspace):
    assert (
        "nowhere: found no revision of this workspace; need a commit, branch or tag"
        in compare(committed, "nowhere")[2]
    )
    code, _, errors = compare(workspace, "HEAD")
    assert code == 2 and "HEAD: found no revision of this workspace" in errors


@pytest.mark.parametrize("revision", ["", "HEAD^{tree}", "HEAD:params.yaml", "a" * 5000])
def test_a_name_of_no_commit_is_refused(committed, revision):
    code, _, errors = compare(committed, revision)
    assert code == 2 and "found no revision of this workspace" in errors


def test_a_workspace_in_a_subfolder_of_its_repository_is_compared(workspace, tmp_path):
    inside = Workspace(tmp_path / "study")
    shutil.copytree(workspace.root, inside.root)
    run("git", "init", "-q", folder=tmp_path)
    commit_with_dvc(inside.root, "--subdir")
    code, stated, _ = compare(inside, "HEAD")
    assert code == 0 and "westside: " in stated and stated.count("difference +0.000") == 2


def test_settings_that_this_version_does_not_read_are_named(committed):
    kept = committed.params_file.read_text()
    try:
        committed.params_file.write_text(json.dumps({**json.loads(kept), "old": 1}))
        run("git", *AUTHOR, "commit", "-qam", "two", folder=committed.root)
        committed.params_file.write_text(kept)
        code, _, errors = compare(committed, "HEAD")
        assert code == 2 and "params.yaml of HEAD old: found an unknown setting" in errors
    finally:
        run("git", "reset", "-q", "--hard", "HEAD~1", folder=committed.root)


def test_results_that_the_cache_no_longer_holds_are_refused_at_once(committed, tmp_path):
    copy = Workspace(tmp_path / "study")
    shutil.copytree(committed.root, copy.root, ignore=shutil.ignore_patterns("cache"))
    code, _, errors = compare(copy, "HEAD")
    assert (
        code == 2
        and "adapt@westside of HEAD: found no such result in dvc.lock, or none in DVC's cache"
        in errors
    )
    assert "adapt@northgate of HEAD" in errors and "Traceback" not in errors
