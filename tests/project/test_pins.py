"""environment.yml, pyproject.toml and requirements.lock say the same, and no file names a package index."""

import re
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
ASKED = [
    Requirement(line)
    for line in [
        *PYPROJECT["build-system"]["requires"],
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["test"],
    ]
]
LOCK = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines())


def test_the_lock_pins_every_requirement_to_a_version_that_it_allows():
    for requirement in ASKED:
        assert requirement.specifier.contains(LOCK[canonicalize_name(requirement.name)]), (
            requirement
        )


def test_every_line_of_the_lock_is_one_exact_pin():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert lines == sorted(lines)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)


def test_torch_is_the_version_that_serves_cpu_and_cuda():
    assert LOCK["torch"] == "2.13.0"
    assert "torch==2.13.0" in PROJECT["dependencies"]


def test_conda_installs_from_the_same_lock_on_a_python_that_the_project_allows():
    environment = YAML(typ="safe").load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    python = next(entry.split("=")[1] for entry in plain if entry.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "-e ."]
    names = {canonicalize_name(requirement.name) for requirement in ASKED}
    assert not names & {re.split("[=<>]", entry)[0] for entry in plain}, (
        "a package comes from the lock alone"
    )


def tracked_text() -> dict[str, str]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return {
        name: (ROOT / name).read_text(errors="ignore")
        for name in names
        if name and (ROOT / name).is_file()
    }


def test_no_file_names_a_package_index_or_a_path_of_one_machine():
    forbidden = re.compile(
        r"(?:--(?:extra-)?index-url|find-links)[ =]+\S*(?::/|/)|pypi"
        + r"\.org|https?://[^/ ]*(?:whl|wheel)|/"
        + r"work/|/home/\w+/"
    )
    for name, text in tracked_text().items():
        assert not forbidden.search(text), name
