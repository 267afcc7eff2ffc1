"""The layout explains itself: arrows point one way, and dvc.yaml names what each stage imports."""

import ast
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
ARROWS = ["workspace", "data_prep", "models", "eval", "pipeline"]  # each may import those before it
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
CODE = "${code}/"
LEARNERS = "models/learners"
BY_NAME = {
    "train": [LEARNERS],
    "adapt": [LEARNERS, "eval/scores"],
    "report": ["eval/scores", "eval/sections"],
    "overview": ["eval/scores"],
}
TEMPLATES = {
    "report": ["eval/page/templates", "eval/sections/templates"],
    "overview": ["eval/page/templates"],
}


def imports(file: Path) -> set[str]:
    """The project's modules that a file imports, as paths from the root."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            place = Path(*name.split("."))
            if place.parts[0] in ARROWS:
                found |= {
                    str(path)
                    for path in (place.with_suffix(".py"), place / "__init__.py")
                    if (ROOT / path).is_file()
                }
    return found


def closure(file: str) -> set[str]:
    """A module and all that it imports, however far."""
    seen, ahead = set(), [file]
    while ahead:
        at = ahead.pop()
        if at not in seen:
            seen.add(at)
            ahead += imports(ROOT / at)
    return {
        path for path in seen if (ROOT / path).read_text().count("\n") > 1
    }  # an __init__ of one docstring changes nothing


@pytest.mark.parametrize("package", ARROWS)
def test_imports_point_one_way(package):
    allowed = ARROWS[: ARROWS.index(package) + 1]
    for file in (ROOT / package).rglob("*.py"):
        assert {Path(name).parts[0] for name in imports(file)} <= set(allowed), file


def main_file(stage: str) -> Path:
    """The file of the module that a stage runs, from the root."""
    module = Path(*definition(stage)["cmd"].split()[2].split("."))
    return module / "__main__.py" if (ROOT / module).is_dir() else module.with_suffix(".py")


def needed(stage: str) -> set[str]:
    """The files that a stage imports, and those that it may import by name: one learner that trains, any other where a site is evaluated."""
    files = closure(str(main_file(stage)))
    for folder in BY_NAME.get(stage, ()):
        files |= set().union(
            *(closure(str(file.relative_to(ROOT))) for file in (ROOT / folder).glob("[a-z]*.py"))
        )
    if stage == "train":
        files = {file for file in files if not file.startswith(LEARNERS)} | {
            LEARNERS + "/${item.learner}.py"
        }
    return files | {folder for folder in TEMPLATES.get(stage, ())}


def definition(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def code_deps(stage: str) -> list[str]:
    return [name.removeprefix(CODE) for name in definition(stage)["deps"] if name.startswith(CODE)]


def covers(dependency: str, file: str) -> bool:
    """Whether a file or folder that a stage depends on is this file or holds it."""
    return file == dependency or file.startswith(dependency + "/")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_files_that_it_imports(stage):
    files, written = needed(stage), code_deps(stage)
    missing = sorted(file for file in files if not any(covers(name, file) for name in written))
    needless = [name for name in written if not any(covers(name, file) for file in files)]
    assert not missing and not needless and written == sorted(set(written)), (
        f"needless deps of this stage: {needless}; not sorted, or missing:\n"
        + "\n".join(f"        - {CODE}{name}" for name in missing)
    )


@pytest.mark.parametrize(
    ("changed", "rerun"),
    [
        ("eval/verdict/criteria.py", {"report", "overview"}),  # a criterion
        ("eval/sections/shift.py", {"report"}),  # a section of the page, and its template
        ("eval/sections/templates/new.html.j2", {"report"}),
        ("eval/measures/calibration.py", {"report", "overview"}),
        ("eval/figures/forest.py", {"overview"}),
        ("eval/adapt/predictions.py", {"adapt"}),
        (
            "eval/scores/label.py",
            {"adapt", "report", "overview"},
        ),  # performance.csv holds every score
    ],
)
def test_a_change_in_eval_reruns_the_stages_that_it_can_change_alone(changed, rerun):
    assert {
        stage for stage in STAGES if any(covers(name, changed) for name in code_deps(stage))
    } == rerun


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_looks_at_its_inputs_again_before_its_outputs_appear(stage):
    text = (ROOT / main_file(stage)).read_text()
    assert (
        re.search(r"whole_folder\(|write_meta_split\(|refuse_moved_inputs\(", text)
        and "run_module(" in text
    )


@pytest.mark.parametrize("stage", STAGES)
def test_no_folder_of_code_is_a_dependency_since_its_bytecode_would_count(stage):
    assert all(name.endswith((".py", "/templates")) for name in code_deps(stage))


def test_every_workspace_uses_the_one_dvc_yaml():
    for folder in (ROOT / "examples").iterdir():
        assert (folder / "dvc.yaml").resolve() == ROOT / "dvc.yaml", folder
