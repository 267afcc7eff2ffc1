"""The layout explains itself: arrows point one way, and dvc.yaml names what each stage imports."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.marks import stages

ROOT = Path(__file__).parents[2]
ARROWS = ["workspace", "data_prep", "models", "eval", "pipeline"]  # each may import those before it
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]


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


@pytest.mark.parametrize("package", ARROWS)
def test_imports_point_one_way(package):
    allowed = ARROWS[: ARROWS.index(package) + 1]
    for file in (ROOT / package).rglob("*.py"):
        assert {Path(name).parts[0] for name in imports(file)} <= set(allowed), file


def definition(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def module(stage: str) -> str:
    """The module that a stage runs."""
    name = definition(stage)["cmd"].split()[2]
    return f"{name}.__main__" if ROOT.joinpath(*name.split(".")).is_dir() else name


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "marks"])
def test_a_stage_depends_on_the_mark_of_the_module_that_it_runs(stage):
    name = stage + "_${item.learner}" * (stage == "train")
    assert [dep for dep in definition(stage)["deps"] if dep.startswith("marks")] == [
        f"marks/{name}.json"
    ]
    key = name.replace("${item.learner}", "maml")
    assert stages()[key][0] == module(stage)


def test_dvc_yaml_stays_short():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 180


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "marks"])
def test_a_stage_looks_at_its_inputs_again_before_its_outputs_appear(stage):
    text = ROOT.joinpath(*module(stage).split(".")).with_suffix(".py").read_text()
    assert (
        re.search(r"whole_folder\(|write_meta_split\(|refuse_moved_inputs\(", text)
        and "run_module(" in text
    )


def test_every_workspace_uses_the_one_dvc_yaml():
    for folder in (ROOT / "examples").iterdir():
        assert (folder / "dvc.yaml").resolve() == ROOT / "dvc.yaml", folder


def test_the_makefile_holds_nothing_that_make_3_81_does_not_know():
    lines = (ROOT / "Makefile").read_text().splitlines()
    newer = re.compile(r"\.RECIPEPREFIX|\.ONESHELL|\$\(file|^[^\t#]*!=|::=")
    assert [line for line in lines if newer.search(line)] == []
    recipes = [after for before, after in pairwise(lines) if re.match(r"[^\t#=]+:([^=]|$)", before)]
    assert sum(line.startswith("\t") for line in recipes) >= 5
