"""The documentation says what the code does."""

import re
import subprocess
from pathlib import Path

import pytest

from pipeline.settings_page import page

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
WRITTEN_BY_STAGES = (".dvc", "data", "incoming", "marks", "reports", "results", "runs")
# Sections that have all that a learner has.
LEARNING = ("learners.NAME", "pretrain", "learners.maml")
# Files and folders that a page tells its reader to write, or an example that shows one.
TO_BE_WRITTEN = (
    "sites/westside",
    "data_prep/readers/raw8.py",
    "models/learners/nearest_neighbour.py",
    "tests/models/learners/test_nearest_neighbour.py",
    "eval/sections/balance.py",
    "eval/sections/templates/balance.html.j2",
    "sites/dvc.yaml",
)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """Without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Those that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def tracked() -> set[str]:
    """The repository's files and their folders; all that lie here where it is no repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    files = listed.stdout.splitlines() if listed.returncode == 0 else []
    files = files or [named(path) for path in ROOT.rglob("*") if path.is_file()]
    return {place.as_posix() for file in files for place in (Path(file), *Path(file).parents)}


def test_the_page_of_settings_is_made_from_the_classes():
    assert page() == (ROOT / "docs" / "settings.md").read_text(), (
        "run: python -m pipeline.settings_page > docs/settings.md"
    )


@pytest.mark.parametrize("document", PAGES, ids=named)
def test_links_and_anchors_lead_somewhere(document):
    text = document.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        place = document.parent / target if target else document
        assert place.is_file(), link
        assert not anchor or anchor in anchors(place.read_text()), link


def paths(text: str) -> list[str]:
    """What stands in backticks and looks like a file or folder of the project."""
    quoted = re.findall(r"`([^`\n]+)`", prose(text))
    return [word for word in quoted if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word)]


@pytest.mark.parametrize("document", PAGES, ids=named)
def test_files_and_folders_that_are_named_exist(document):
    known = tracked()
    rooms = {place for place in known if "/" not in place and (ROOT / place).is_dir()}
    for word in paths(document.read_text()):
        start = word.split("/")[0]
        if "/" not in word or start not in rooms - set(WRITTEN_BY_STAGES):
            continue
        if re.search(r"\b[A-Z]+\b", word) or word.startswith(TO_BE_WRITTEN):
            continue  # a name to be filled in, such as models/learners/NAME.py
        assert word.rstrip("/") in known, word


def test_what_looks_like_a_path_is_found_and_a_missing_one_would_be():
    text = "`models/train.py`, `eval/`, `fewsite add`, `encoder.name`\n```\n`models/gone.py`\n```"
    assert paths(text) == ["models/train.py", "eval/", "encoder.name"]
    assert {"models/train.py", "eval"} <= tracked() and "models/gone.py" not in tracked()


@pytest.mark.parametrize("document", PAGES, ids=named)
def test_commands_and_options_that_are_named_exist(document):
    from typer.main import get_group

    from pipeline.cli import app

    commands = get_group(app).commands
    text = document.read_text()
    blocks = "\n".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL))
    quoted = re.findall(r"`fewsite ([a-z]+)([^`]*)`", prose(text))
    quoted += re.findall(r"^fewsite ([a-z]+)([^\n#]*)", blocks, re.MULTILINE)
    for name, rest in quoted:
        assert name in commands, f"fewsite {name}"
        known = {option for param in commands[name].params for option in param.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"fewsite {name}{rest}"


@pytest.mark.parametrize("document", PAGES, ids=named)
def test_modules_and_targets_of_make_that_are_named_exist(document):
    text = document.read_text()
    for module in re.findall(r"-m ([a-z_]+(?:\.\w+)+)", text):
        place = ROOT.joinpath(*module.split("."))
        assert place.with_suffix(".py").is_file() or place.is_dir(), module
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^|data )make ([a-z0-9]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def settings(text: str) -> list[str]:
    """What stands in backticks and looks like a setting, such as `convert.size: [64, 64]`."""
    sections = "adapt|augment|convert|encoder|labels|learners|phantom|pretrain|report|tasks|train"
    words = re.findall(rf"`((?:{sections})(?:\.\w+)+)(?::[^`]*)?`", prose(text))
    return [word for word in words if not word.endswith((".csv", ".json", ".py", ".txt"))]


@pytest.mark.parametrize(
    "document", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named
)
def test_settings_that_are_named_exist(document):
    known = re.findall(r"^\| `([\w.]+)`", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    every = {name.replace("learners.NAME", start) for name in known for start in LEARNING}
    for word in settings(document.read_text()):
        pattern = re.escape(word).replace("NAME", r"\w+").replace("MODALITY", r"\w+")
        assert any(re.fullmatch(rf"{pattern}(\..+)?", name) for name in every), word


def test_a_setting_that_is_gone_would_be_found():
    assert settings("`tasks.pool`, `tasks.gone: 3`, `tasks.py`") == ["tasks.pool", "tasks.gone"]


def test_the_folder_of_documents_stays_small():
    assert len([path for path in (ROOT / "docs").iterdir() if path.is_file()]) <= 15
    summary = (ROOT / "docs" / "measurements" / "README.md").read_text()
    for topic in (ROOT / "docs" / "measurements").glob("[a-z]*.md"):
        assert f"]({topic.name})" in summary, topic.name


def test_every_command_has_an_example_and_help_is_short():
    from typer.testing import CliRunner

    from pipeline.cli import app

    help_text = CliRunner().invoke(app, ["--help"]).output
    assert len(help_text.splitlines()) < 25
    for command in app.registered_commands:
        stated = CliRunner().invoke(app, [command.callback.__name__, "--help"]).output
        assert (
            f"Example: {'FEWSITE_DATA=/mnt/exports ' if command.callback.__name__ == 'link' else ''}fewsite"
            in stated
        )
