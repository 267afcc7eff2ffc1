import errno
import json

import pandas as pd
import pytest

from workspace.errors import Problem, Refusal, refuse_if, run_module, run_stage
from workspace.outputs import to_json, whole_folder, write_parquet, write_whole
from workspace.paths import Workspace


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    workspace = Workspace(tmp_path)
    target = workspace.studies("west")
    with pytest.raises(RuntimeError), whole_folder(target) as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert not target.exists()
    with whole_folder(target) as folder:
        (folder / "all").write_text("x")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["all"]
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_run_left_is_not_taken_for_a_result(tmp_path):
    workspace = Workspace(tmp_path)
    with whole_folder(workspace.studies("west")) as folder:
        left = folder
    left.mkdir(parents=True)
    (left / "stale").write_text("x")
    with whole_folder(workspace.studies("west")) as folder:
        (folder / "fresh").write_text("x")
    assert [path.name for path in workspace.studies("west").iterdir()] == ["fresh"]


def test_a_file_is_replaced_whole(tmp_path):
    write_whole(tmp_path / "a" / "b.txt", "one")
    write_whole(tmp_path / "a" / "b.txt", b"two")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]
    assert (tmp_path / "a" / "b.txt").read_text() == "two"


def test_json_is_sorted_and_refuses_nan():
    assert to_json({"b": 1, "a": 2}) == to_json({"a": 2, "b": 1})
    assert json.loads(to_json({"a": [1]})) == {"a": [1]}
    with pytest.raises(ValueError):
        to_json({"a": float("nan")})


def test_parquet_has_the_same_bytes_for_the_same_table(tmp_path):
    for name in "ab":
        write_parquet(pd.DataFrame({"x": [1, 2], "y": ["p", None]}), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_refusal_prints_every_problem_and_exits_with_two(capsys):
    with pytest.raises(SystemExit) as left:
        run_stage(
            "x", lambda: refuse_if([Problem("a", "b", "c", "d"), Problem("e", "f", "g", "h")])
        )
    assert left.value.code == 2
    assert capsys.readouterr().err == "a: found b; need c; do d\ne: found f; need g; do h\n"


def test_an_unexpected_error_shows_its_place_and_never_its_words(capsys, monkeypatch):
    monkeypatch.delenv("FEWSITE_TRACEBACK", raising=False)

    def fail() -> None:
        raise ValueError("ZZPHI^NAME")

    with pytest.raises(SystemExit) as left:
        run_stage("convert", fail)
    printed = capsys.readouterr().err
    assert left.value.code == 1
    assert (
        "ValueError in test_outputs.py" in printed
        and "ZZPHI" not in printed
        and "Traceback" not in printed
    )


def test_a_full_disk_is_one_clear_line_without_the_file_name(capsys, monkeypatch):
    monkeypatch.delenv("FEWSITE_TRACEBACK", raising=False)

    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/ZZPHI")

    with pytest.raises(SystemExit) as left:
        run_stage("convert", fail)
    printed = capsys.readouterr().err
    assert left.value.code == 2
    assert (
        printed.startswith("convert: found the system's answer 'No space left on device'; need")
        and "ZZPHI" not in printed
    )


def test_a_stage_called_without_its_arguments_says_how_it_is_called(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["tasks", "west"])
    with pytest.raises(SystemExit) as left:
        run_module("data_prep.tasks", lambda site, role: None, "SITE", "ROLE")
    assert left.value.code == 2
    assert (
        capsys.readouterr().err
        == "data_prep.tasks: found 1 arguments; need SITE ROLE; do python -m data_prep.tasks SITE ROLE\n"
    )


def test_nothing_is_raised_without_problems():
    refuse_if([])
    assert issubclass(Refusal, Exception)
