"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from workspace import settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
MODELS = [
    model
    for model in vars(settings).values()
    if isinstance(model, type)
    and issubclass(model, BaseModel)
    and model.__module__ == settings.__name__
    and model not in (settings.Strict, settings.Params, settings.Learners)
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_setting_is_listed_with_its_default(model):
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \|", PAGE, re.MULTILINE)
    for name, field in model.model_fields.items():
        if (
            isinstance(field.annotation, type)
            and issubclass(field.annotation, BaseModel)
            and name != "labels"
        ):
            continue  # a section of its own
        default = field.default
        shown = (
            "required"
            if default is PydanticUndefined
            else "none"
            if default is None
            else str(default).lower()
            if isinstance(default, bool)
            else f"`{default}`"
        )
        listed = [value for key, value in rows if key.split(".")[-1] == (field.alias or name)]
        assert shown in listed, (
            f"{model.__name__}.{name}: {shown} is not in docs/settings.md: {listed}"
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
