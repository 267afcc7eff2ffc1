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
BY_NAME = {"train": LEARNERS + "/${item.learner}.py", "adapt": LEARNERS}


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
                found |= {str(path) for path in (place.with_suffix(".py"), place / "__init__.py") if (ROOT / path).is_file()}
    return found


def closure(file: str) -> set[str]:
    """A module and all that it imports, however far."""
    seen, ahead = set(), [file]
    while ahead:
        at = ahead.pop()
        if at not in seen:
            seen.add(at)
            ahead += imports(ROOT / at)
    return {path for path in seen if (ROOT / path).read_text().count("\n") > 1}  # an __init__ of one docstring changes nothing


@pytest.mark.parametrize("package", ARROWS)
def test_imports_point_one_way(package):
    allowed = ARROWS[: ARROWS.index(package) + 1]
    for file in (ROOT / package).rglob("*.py"):
        assert {Path(name).parts[0] for name in imports(file)} <= set(allowed), file


def main_file(stage: str) -> Path:
    """The file of the module that a stage runs, from the root."""
    module = Path(*STAGES[stage].get("do", STAGES[stage])["cmd"].split()[2].split("."))
    return module / "__main__.py" if (ROOT / module).is_dir() else module.with_suffix(".py")


def needed(stage: str) -> list[str]:
    """What a stage depends on. Learners are imported by name: one that trains is one file, a site's evaluation may meet any."""
    files = closure(str(main_file(stage))) | ({"eval/templates"} if stage in ("report", "overview") else set())
    if stage in BY_NAME:
        files |= set().union(*(closure(str(file.relative_to(ROOT))) for file in (ROOT / LEARNERS).glob("[a-z]*.py")))
        files = {file for file in files if not file.startswith(LEARNERS)} | {BY_NAME[stage]}
    return sorted(files)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_files_that_it_imports(stage):
    definition, expected = STAGES[stage].get("do", STAGES[stage]), needed(stage)
    written = [name.removeprefix(CODE) for name in definition["deps"] if name.startswith(CODE)]
    assert written == expected, "deps of this stage:\n" + "\n".join(f"        - {CODE}{name}" for name in expected)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_looks_at_its_inputs_again_before_its_outputs_appear(stage):
    text = (ROOT / main_file(stage)).read_text()
    assert re.search(r"whole_folder\(|write_meta_split\(|refuse_moved_inputs\(", text) and "run_module(" in text


def test_every_workspace_uses_the_one_dvc_yaml():
    for folder in (ROOT / "examples").iterdir():
        assert (folder / "dvc.yaml").resolve() == ROOT / "dvc.yaml", folder
