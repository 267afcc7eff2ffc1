"""`fewsite gate`: the verdict as an exit status, and each criterion in words."""

import contextlib
import json

import pytest
from typer.testing import CliRunner

from eval.results import read_performance
from pipeline.cli import app
from workspace.paths import Workspace


@pytest.fixture(scope="module")
def workspace(make_workspace, hospital) -> Workspace:
    few = {"patients": (60, 60), "draws": 2, "methods": ("prototypical",)}
    return make_workspace(
        {"westside": hospital(**few), "northgate": hospital(role="source", **few)}
    )


def gate(workspace: Workspace, site: str = "westside", **accept: float) -> tuple[int, str, str]:
    params = json.loads(workspace.params_file.read_text())
    workspace.params_file.write_text(
        json.dumps({**params, "report": {**params["report"], "accept": accept}})
    )
    with contextlib.chdir(workspace.root):
        result = CliRunner().invoke(app, ["gate", site])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("away", "status", "word"), [(-0.3, 0, "met"), (0.05, 1, "not met"), (-0.01, 2, "cannot tell")]
)
def test_the_exit_status_is_the_verdict(workspace, away, status, word):
    table = read_performance(workspace.results("target", "westside") / "performance.csv")
    auroc = round(float(table.query("k == 5 and metric == 'auroc'")["value"].iloc[0]) + away, 3)
    code, stated, _ = gate(workspace, auroc=auroc)
    assert code == status and stated.startswith(
        f"westside: {word} (prototypical with 5 labelled patients a class)"
    )
    assert f"- AUROC of at least {auroc:g}: {word}; 0." in stated
    assert ("further query patients would settle it" in stated) == (word == "cannot tell")


def test_every_criterion_is_listed_with_its_own_word(workspace):
    code, stated, _ = gate(workspace, auroc=0.5, shots=1)
    assert (
        code == 0
        and "- at most 1 labelled patients a class for it: met; 1, 60 query patients; "
        "the AUROC is reached from k = 1 on"
        in stated
    )
    code, stated, _ = gate(workspace, auroc=0.999, shots=1)
    assert code == 1 and stated.count(": not met; ") == 2


@pytest.mark.parametrize(
    ("site", "says"),
    [
        ("eastside", "params.yaml sites: found no site 'eastside'; need one of westside"),
        (
            "northgate",
            "params.yaml sites.northgate: found a source; need a target: a source's patients "
            "trained the model; do name a target",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(workspace, site, says):
    code, _, errors = gate(workspace, site, auroc=0.8)
    assert code == 2 and says in errors


def test_an_error_that_nobody_foresaw_is_never_not_met(workspace, monkeypatch):
    monkeypatch.setattr("pipeline.reports.gate.judge", lambda results: 1 / 0)
    code, _, errors = gate(workspace, auroc=0.8)
    assert code == 2 and "found ZeroDivisionError in " in errors


def test_results_of_another_split_are_refused(workspace):
    draws = workspace.tasks("target", "westside") / "draws.parquet"
    kept = draws.read_bytes()
    try:
        draws.write_bytes(kept + b"x")
        code, _, errors = gate(workspace, auroc=0.8)
        assert (
            code == 2
            and "found no result of today's split; need one; do dvc repro adapt@westside" in errors
        )
    finally:
        draws.write_bytes(kept)
