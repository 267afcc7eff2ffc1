"""Reading a settings file: the types that settings share, unknown keys refused, all problems at
once.

Settings lie beside what they set: data_prep/site_file.py, data_prep/settings.py,
models/settings.py, eval/settings.py, and those of a learner or a baseline in its own file.
"""

import difflib
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace

Settings = TypeVar("Settings", bound=BaseModel)
SITE_NAME = r"^[a-z][a-z0-9_]*$"  # DVC turns 007 into 7 and shows names: plain pseudonyms
# The sections of params.yaml. A floor reads its own and those below it, and knows the others by
# name.
SECTIONS = (
    "seed", "sites", "phantom", "convert", "tasks", "encoder", "augment", "task_augment",
    "pretrain", "train", "learners", "adapt", "report",
)  # fmt: skip


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("each value once")
    return values


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError("the lower value first")
    return pair


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


SiteName = Annotated[str, Field(pattern=SITE_NAME)]
Role = Literal["source", "target"]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Range = Annotated[tuple[float, float], AfterValidator(_rising)]
Percents = Annotated[tuple[Percent, Percent], AfterValidator(_rising)]
# Text that is compared with an export's, which is brought to the same Unicode form.
Text = Annotated[str, AfterValidator(_composed)]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)]


class Strict(BaseModel):
    """Settings. The line of text under each is its unit, choices and meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Sections(Strict):
    """params.yaml as one floor reads it."""

    @model_validator(mode="before")
    @classmethod
    def _leave_the_other_floors(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        mine = cls.model_fields
        return {key: value for key, value in given.items() if key in mine or key not in SECTIONS}

    def contradictions(self, file: str) -> list[Problem]:
        """Settings that are each valid and do not fit together."""
        return []

    @classmethod
    def load(cls, workspace: Workspace) -> Self:
        """Read params.yaml. Raises Refusal with every problem in the sections of this floor."""
        params = load_yaml(workspace.params_file, cls)
        refuse_if(params.contradictions(str(workspace.params_file)))
        return params


def load_yaml(path: Path, model: type[Settings]) -> Settings:
    """Read a YAML file that a person writes as `model`. Raises Refusal with every problem in it."""
    if not path.is_file():
        need, cure = "a YAML file", "see docs/settings.md for an example"
        raise Refusal(Problem(str(path), "no such file", need, cure))
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path} line {mark.line + 1}" if mark else str(path)
        problem = Problem(where, "text that is not YAML", "valid YAML", "mend the line")
        raise Refusal(problem) from None
    return validated(content if content is not None else {}, model, str(path))


def validated(content: Any, model: type[Settings], file: str, *keys: str) -> Settings:
    """What stands at `keys` of a settings file, as `model`. Raises Refusal with every problem."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [_problem(file, keys, model, found) for found in error.errors()]
        raise Refusal(*problems) from None


def _problem(file: str, at: tuple[str, ...], model: type[BaseModel], found: Any) -> Problem:
    """One pydantic error as one line. Settings are no patient's values, so they are shown."""
    keys = [str(key) for key in found["loc"]]
    where = f"{file} {'.'.join([*at, *keys])}".rstrip()
    if found["type"] == "extra_forbidden":
        known = _fields(model, keys[:-1])
        close = difflib.get_close_matches(keys[-1], known, n=1)
        cure = f"write {close[0]}" if close else "remove it"
        return Problem(where, "an unknown setting", f"one of {', '.join(known)}", cure)
    if found["type"] == "missing":
        return Problem(where, "nothing", "a value", "add the setting (docs/settings.md lists them)")
    shown = repr(found["input"])
    return Problem(
        where,
        shown if len(shown) < 60 else shown[:57] + "...",
        found["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
        "correct the value",
    )


def _fields(model: type[BaseModel], keys: list[str]) -> list[str]:
    """The settings that are known at `keys` under `model`, as they are written in YAML."""
    if not keys and issubclass(model, Sections):
        return list(SECTIONS)
    for key in keys:
        fields = model.model_fields.items()
        named = (field.annotation for name, field in fields if key in (name, field.alias))
        inner = settings_classes(next(named, None))
        # a key that is no field is a name in a mapping, such as a site's
        model = inner[0] if inner else model
    return [field.alias or name for name, field in model.model_fields.items()]


def settings_classes(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes inside an annotation such as `dict[str, Site]` or `Encoder | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inside = getattr(annotation, "__args__", ())
    return [found for inner in inside for found in settings_classes(inner)]
