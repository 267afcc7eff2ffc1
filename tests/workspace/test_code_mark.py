"""A mark moves with the code and libraries that decide a stage's outputs, and with nothing else."""

import importlib.metadata
from pathlib import Path

import pytest

from pipeline.marks import stages
from workspace import code_mark
from workspace.code_mark import ROOT, _imported, _names

LEARNERS = {f"train_{path.stem}" for path in (ROOT / "models/learners").glob("[a-z]*.py")}
DATA = {"convert", "tasks", "split"}


def moved_by_file(name: str) -> set[str]:
    """The stages whose mark covers a file."""
    return {stage for stage, modules in stages().items() if ROOT / name in _imported(modules)[0]}


def moved_by_library(monkeypatch: pytest.MonkeyPatch, name: str) -> set[str]:
    """The stages whose mark moves when a library has another version."""
    before = {stage: code_mark.code_digest(*modules) for stage, modules in stages().items()}
    real = importlib.metadata.version
    monkeypatch.setattr(code_mark, "version", lambda given: "9" if given == name else real(given))
    after = {stage: code_mark.code_digest(*modules) for stage, modules in stages().items()}
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.mark.parametrize(
    ("changed", "stages_that_run"),
    [
        ("eval/verdict/criteria.py", {"report", "overview"}),  # a criterion
        ("eval/sections/shift.py", {"report"}),
        ("eval/sections/templates/shift.html.j2", {"report"}),
        ("eval/measures/calibration.py", {"report", "overview"}),
        ("eval/figures/forest.py", {"overview"}),
        ("eval/adapt/predictions.py", {"adapt"}),
        ("eval/scores/label.py", {"adapt", "report", "overview"}),
        ("models/learners/maml.py", {"train_maml", "adapt"}),
        ("models/training/loop.py", {"pretrain", *LEARNERS}),
        ("models/augmentation/augment.py", {"pretrain", *LEARNERS, "adapt"}),
        ("models/learners/supervised.py", {"pretrain", "train_supervised", "adapt"}),
        ("data_prep/volumes/stacks.py", {"convert"}),
        ("data_prep/phantom/rays.py", {"phantom"}),
        ("pipeline/cli.py", set()),
        ("README.md", set()),
    ],
)
def test_a_changed_file_runs_the_stages_that_it_can_change_alone(changed, stages_that_run):
    assert moved_by_file(changed) == stages_that_run


@pytest.mark.parametrize("library", ["pydicom", "imagecodecs", "pyjpegls", "SimpleITK", "scipy"])
def test_another_version_of_what_decides_pixels_runs_convert(monkeypatch, library):
    assert "convert" in moved_by_library(monkeypatch, library)


@pytest.mark.parametrize("library", ["torch", "monai"])
def test_another_version_of_what_decides_weights_trains_and_decodes_nothing(monkeypatch, library):
    moved = moved_by_library(monkeypatch, library)
    assert moved >= LEARNERS | {"pretrain", "adapt"} and not moved & DATA


def test_a_library_that_shows_progress_runs_nothing(monkeypatch):
    assert moved_by_library(monkeypatch, "rich") == set()


def test_what_is_written_in_a_file_moves_its_mark(tmp_path: Path, monkeypatch):
    """Also in a folder under the room, which a mark once overlooked."""
    (tmp_path / "room" / "inner").mkdir(parents=True)
    inner = tmp_path / "room" / "inner" / "told.py"
    (tmp_path / "room" / "stage.py").write_text("from room.inner.told import A\n")
    inner.write_text("A = 1\n")
    monkeypatch.setattr(code_mark, "ROOT", tmp_path)
    monkeypatch.setattr(code_mark, "ROOMS", ("room",))
    before = code_mark.code_digest("room.stage")
    inner.write_text("A = 2\n")
    (tmp_path / "room" / "unrelated.py").write_text("B = 1\n")
    assert code_mark.code_digest("room.stage") != before
    inner.write_text("A = 1\n")
    assert code_mark.code_digest("room.stage") == before


def test_every_library_is_known_by_its_distribution():
    """A module under another name than its distribution would count as not installed for ever."""
    files = {path for modules in stages().values() for path in _imported(modules)[0]}
    modules = {name for path in files if path.suffix == ".py" for name in _names(path)}
    named = importlib.metadata.packages_distributions()
    for module in {name.split(".")[0] for name in modules} & set(named) - set(code_mark.ROOMS):
        for found in code_mark._distributions(module):
            assert code_mark._version(found) != "not installed", module
