"""The documentation says what the code does."""

import re
from pathlib import Path

from pipeline.settings_page import page

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_made_from_the_classes():
    assert page() == (ROOT / "docs" / "settings.md").read_text(), (
        "run: python -m pipeline.settings_page > docs/settings.md"
    )


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).is_file(), f"{page.name}: {target}"


def test_every_command_has_an_example_and_help_is_short():
    from typer.testing import CliRunner

    from pipeline.cli import app

    help_text = CliRunner().invoke(app, ["--help"]).output
    assert len(help_text.splitlines()) < 25
    for command in app.registered_commands:
        said = CliRunner().invoke(app, [command.callback.__name__, "--help"]).output
        assert (
            f"Example: {'FEWSITE_DATA=/mnt/exports ' if command.callback.__name__ == 'link' else ''}fewsite"
            in said
        )
