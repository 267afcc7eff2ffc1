"""The version comes from the last tag, and from pyproject.toml where there is none."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SCM = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def version(folder: Path) -> str:
    scm = pytest.importorskip("setuptools_scm")
    return scm.get_version(root=folder, **SCM)


@pytest.fixture
def clone(tmp_path) -> Path:
    """A repository of one commit, without a tag."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_a_clone_without_tags_and_a_folder_without_git_have_the_fallback(clone):
    assert version(clone) == SCM["fallback_version"]
    shutil.rmtree(clone / ".git")
    assert version(clone) == SCM["fallback_version"]


def test_the_last_tag_alone_is_the_version_so_that_results_do_not_depend_on_the_commit(clone):
    git(clone, "tag", "v7.8.9")
    git(clone, "commit", "-q", "--allow-empty", "-m", "two")
    (clone / "pyproject.toml").write_text("changed")
    assert version(clone) == "7.8.9"


def test_the_citation_names_the_same_version():
    cited = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())["version"]
    assert cited == SCM["fallback_version"]
