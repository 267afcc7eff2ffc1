"""A section is one file and one template, found by name: the documented example is run."""

import re
from pathlib import Path

import pandas as pd
import pytest

from eval import report, sections
from eval.page.section import all_sections
from workspace.errors import Refusal

ROOT = Path(__file__).parents[3]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DOCUMENT = ARCHITECTURE.partition("## A section of the page")[2]


def example(language: str) -> str:
    """The chapter's one block of a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.S)
    return block


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's two files in a folder that sections are found in."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "balance.py").write_text(example("python"))
    (tmp_path / "templates" / "balance.html.j2").write_text(example("html"))
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    return tmp_path


def test_the_documented_section_is_on_the_page_in_its_place(
    added, make_workspace, hospital, monkeypatch
):
    workspace = make_workspace({"westside": hospital(patients=(40, 30), draws=2)})
    monkeypatch.chdir(workspace.root)
    report.main("westside", "target")
    page = (workspace.report("westside") / "index.html").read_text()
    anchors = re.findall(r'<section id="(\w+)">', page)
    assert anchors[anchors.index("balance") - 1 : anchors.index("balance") + 2] == [
        "cohort",
        "balance",
        "patients",
    ]
    assert "The smallest class is PA, with 15\N{NO-BREAK SPACE}patients." in page
    table = pd.read_csv(workspace.report("westside") / "balance.csv")
    assert table.to_dict("list") == {"class": ["AP", "PA"], "patients": [20, 15]}
    assert '<a href="balance.csv">' in page and "balance.csv" in report_of(workspace)


def report_of(workspace) -> str:
    return (workspace.report("westside") / "report.json").read_text()


def test_a_section_without_a_template_is_an_error_and_no_blank(
    added, make_workspace, hospital, monkeypatch
):
    (added / "templates" / "balance.html.j2").unlink()
    workspace = make_workspace({"westside": hospital(patients=(40, 30), draws=2)})
    monkeypatch.chdir(workspace.root)
    with pytest.raises((Refusal, LookupError, OSError)):
        report.main("westside", "target")
    assert not workspace.report("westside").exists()


def test_every_section_has_a_place_of_its_own_and_a_template_of_its_name():
    from importlib import import_module

    names = list(all_sections())
    places = [import_module(f"eval.sections.{name}").PLACE for name in names]
    assert places == sorted(set(places)) and names[0] == "verdict"
    for name in names:
        assert (ROOT / "eval" / "sections" / "templates" / f"{name}.html.j2").is_file(), name
