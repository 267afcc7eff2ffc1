"""Stage `marks`: what each stage's code and libraries are, and whether all settings are right.

DVC runs it every time, since it cannot see which libraries are installed. Its files change with
what they tell alone, so that a stage runs again only where its own code or libraries changed.
"""

from pathlib import Path

from models.settings import learner_names, training_modules
from workspace.code_mark import code_digest, code_mark
from workspace.errors import run_module
from workspace.outputs import digest, to_json, write_whole
from workspace.paths import Workspace

STAGES = {
    "phantom": ("data_prep.phantom.__main__",),
    "convert": ("data_prep.convert",),
    "tasks": ("data_prep.tasks",),
    "split": ("data_prep.split",),
    "pretrain": training_modules("pretrain"),
    "adapt": ("eval.adapt.__main__",),
    "report": ("eval.report",),
    "overview": ("eval.overview",),
}


def stages() -> dict[str, tuple[str, ...]]:
    """The modules behind each mark: one a stage, and one a learner for `train`."""
    return STAGES | {f"train_{name}": training_modules(name) for name in learner_names()}


def main() -> None:
    workspace = Workspace()
    _check_settings(workspace)
    for name, modules in stages().items():
        _write(workspace.mark(name), to_json(code_mark(*modules)))


def _check_settings(workspace: Workspace) -> None:
    """Refuse wrong settings before anything runs; those that were right are not read again."""
    params = workspace.params_file
    code = code_digest("eval.all_settings")
    seen = to_json(
        {"params": digest(params.read_bytes()) if params.is_file() else "", "code": code}
    )
    file = workspace.mark("settings")
    if file.is_file() and file.read_text() == seen:
        return
    from eval.all_settings import check_settings  # seconds, since the learners import torch

    check_settings(workspace)
    _write(file, seen)


def _write(file: Path, text: str) -> None:
    """A file that says the same stays untouched: a stage that runs would see it move."""
    if not file.is_file() or file.read_text() != text:
        write_whole(file, text)


if __name__ == "__main__":
    run_module("pipeline.marks", main)
