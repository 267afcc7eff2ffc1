"""Keys say nothing without the secret, and only values that look harmless get through."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_prep.privacy import deidentify
from data_prep.privacy.deidentify import Keys
from workspace.errors import Refusal
from workspace.paths import Workspace

SECRET = "ab" * 32


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = deidentify.read_secret(workspace)
    assert deidentify.read_secret(workspace) == first and len(first) == 64
    assert stat.S_IMODE(workspace.secret_file.stat().st_mode) == 0o600
    assert [path.name for path in workspace.private.iterdir()] == ["secret"]


def test_stages_that_start_at_once_share_one_secret(tmp_path: Path) -> None:
    def stage(number: int) -> str:
        secret = deidentify.read_secret(Workspace(tmp_path))
        results(Workspace(tmp_path), f"studies/site{number}/summary.json", secret)
        return secret

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(stage, range(64)))) == 1


def test_a_damaged_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.private.mkdir()
    workspace.secret_file.write_text("half-a-secret")
    workspace.secret_file.chmod(0o644)
    with pytest.raises(Refusal, match="64 hexadecimal digits") as caught:
        deidentify.read_secret(workspace)
    assert (
        "half-a-secret" not in str(caught.value) and len(caught.value.problems) == 2
    )  # others can read it, too


def results(workspace: Workspace, file: str, secret: str = SECRET) -> None:
    path = workspace.root / "data" / file
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"secret": Keys(secret, "", "").fingerprint}))


@pytest.mark.parametrize("file", ["studies/west/summary.json", "tasks/target/west/task.json"])
@pytest.mark.parametrize("keep", [True, False])
def test_no_secret_is_made_where_results_hold_keys_under_a_lost_one(
    tmp_path: Path, file: str, keep: bool
) -> None:
    results(Workspace(tmp_path), file)
    with pytest.raises(
        Refusal,
        match="fewsite/secret: found none, though data/ holds keys .*; need that one, .*; do restore it from its backup",
    ):
        deidentify.read_secret(Workspace(tmp_path), keep)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_secret_that_results_were_not_made_under_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    secret = deidentify.read_secret(workspace)
    results(workspace, "studies/west/summary.json", secret)
    assert deidentify.read_secret(workspace) == secret
    results(workspace, "studies/east/summary.json")
    with pytest.raises(
        Refusal,
        match="fewsite/secret: found another secret than the one that keys in data/ were made under; need that one",
    ) as caught:
        deidentify.read_secret(workspace)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_secret_that_others_can_read_or_replace_is_refused(tmp_path: Path, mode: int) -> None:
    workspace = Workspace(tmp_path)
    deidentify.read_secret(workspace)
    workspace.secret_file.chmod(mode)
    with pytest.raises(
        Refusal,
        match=f"found a file that others may use \\(mode {mode:o}\\); need .*; do chmod 600 .fewsite/secret",
    ):
        deidentify.read_secret(workspace)


def test_a_summary_that_another_stage_is_replacing_says_nothing_of_a_secret(tmp_path: Path) -> None:
    for site, content in {"a": "", "b": "[]", "c": "{}"}.items():
        (tmp_path / "data" / "studies" / site).mkdir(parents=True)
        (tmp_path / "data" / "studies" / site / "summary.json").write_text(content)
    assert len(deidentify.read_secret(Workspace(tmp_path))) == 64


def test_a_rehearsal_leaves_no_secret_behind(tmp_path: Path) -> None:
    assert (
        len(deidentify.read_secret(Workspace(tmp_path), keep=False)) == 64
        and list(tmp_path.iterdir()) == []
    )


def test_a_patient_has_one_key_in_a_namespace_and_others_elsewhere() -> None:
    here, there = Keys(SECRET, "a", "a"), Keys(SECRET, "b", "b")
    shared = [Keys(SECRET, site, "group") for site in "ab"]
    assert here.patient("17") != there.patient("17")
    assert shared[0].patient("17") == shared[1].patient("17")
    assert shared[0].record("17") != shared[1].record("17")
    assert here.patient("17") != Keys("cd" * 32, "a", "a").patient("17")
    assert (
        len(
            {here.patient("x"), here.study("x"), here.series("x"), here.record("x"), here.file("x")}
        )
        == 5
    )
    assert len(here.patient("17")) == 20 and "17" not in here.patient("ZZPHI-17")


def test_the_fingerprint_tells_secrets_apart_and_not_sites() -> None:
    assert (
        Keys(SECRET, "a", "a").fingerprint
        == Keys(SECRET, "b", "b").fingerprint
        != Keys("cd" * 32, "a", "a").fingerprint
    )


@pytest.mark.parametrize(
    ("value", "identifying", "kept"),
    [
        ("SIEMENS", ["Doe^Jane"], "SIEMENS"),
        (" Apex CT 64/2 (b) ", [""], "Apex CT 64/2 (b)"),
        ("<script>", [], None),
        ("GE\nMEDICAL", [], None),
        ("x" * 41, [], None),
        ("Scanner Doe", ["Doe^Jane"], None),
        ("ScannerDOE1", ["doe^jane"], None),
        ("Unit ZZPHI7", ["ZZPHI7"], None),
        ("GE", ["GE Clinic"], "GE"),
        ("", [], None),
        ("'; DROP TABLE", [], None),
    ],
)
def test_a_makers_name_passes_only_if_plain_and_no_ones_name(
    value: str, identifying: list[str], kept: str | None
) -> None:
    assert deidentify.equipment(value, identifying) == kept


def test_vocabularies_are_closed() -> None:
    assert (deidentify.modality("CT"), deidentify.modality("JANE")) == ("CT", "OT")
    assert [deidentify.study_year(date) for date in ("20190615", "00010101", "Jane")] == [
        2019,
        None,
        None,
    ]
