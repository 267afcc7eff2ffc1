"""docs/settings.md from the classes: `python -m pipeline.settings_page > docs/settings.md`."""

from collections.abc import Iterator
from inspect import getdoc
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from data_prep.settings import Convert, Intensity, Phantom, PhantomHospital, Tasks
from data_prep.site_file import Crop, Labels, Site
from eval.settings import Accept, Adapt, Params, Report
from models.augmentation.settings import Augment
from models.baselines import cosine_head, fine_tuning
from models.build import settings_class
from models.encoders.settings import Encoder
from models.settings import Batched, Episodic, Learning, Pretrain, Train, learner_names

HEAD = """# Every setting

`params.yaml` holds what belongs to the whole workspace, `sites/NAME.yaml` what belongs to one
hospital. Unknown keys are refused. DVC needs the sections `convert`, `tasks`, `encoder`, `augment`,
`pretrain`, `train`, `learners` (an entry for each trained learner, `{}` for the defaults), `adapt`
and `report` to be written; what is not written inside them has its default.

This page is made from the classes (`python -m pipeline.settings_page`); a test holds it to them.
"""
COLUMNS = "| setting | default | unit, choices, meaning |\n|---|---|---|\n"


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    yield _section("params.yaml", "", Params)
    yield _section("phantom", "phantom.", Phantom)
    yield _section("phantom.hospitals", "phantom.hospitals.SITE.", PhantomHospital)
    yield _section("convert", "convert.", Convert)
    yield _section("intensity", "convert.intensity.MODALITY.", Intensity)
    yield _section("tasks", "tasks.", Tasks)
    yield _section("encoder", "encoder.", Encoder)
    yield _section("augment", "augment.", Augment)
    yield _section("pretrain", "pretrain.", Pretrain, Learning)
    yield _section("train", "train.", Train)
    yield _section("learners", "learners.NAME.", Learning)
    yield _section("learners, episodic", "learners.NAME.", Episodic, Learning)
    for name in learner_names():
        own = settings_class(name)
        if own not in (Episodic, Batched):
            yield _section(f"learners.{name}", f"learners.{name}.", own, Episodic)
    yield _section("learners.supervised", "learners.supervised.", Batched, Learning)
    yield _section("adapt", "adapt.", Adapt)
    yield _section("adapt.fine_tuning", "adapt.fine_tuning.", fine_tuning.Settings)
    yield _section("adapt.cosine_head", "adapt.cosine_head.", cosine_head.Settings)
    yield _section("report", "report.", Report)
    yield _section("report.accept", "report.accept.", Accept)
    yield _section("sites/NAME.yaml", "", Site)
    yield _section("labels", "labels.", Labels)
    yield _section("crop", "crop.", Crop)


def _section(
    title: str, prefix: str, model: type[BaseModel], beyond: type[BaseModel] = BaseModel
) -> str:
    """One class as a table. `beyond`: a class whose settings stand elsewhere, if they are alike."""
    rows = [
        f"| `{prefix}{field.alias or name}` | {_default(field)} | {_meaning(field)} |\n"
        for name, field in model.model_fields.items()
        if field.description and not _same(field, beyond.model_fields.get(name))
    ]
    table = COLUMNS + "".join(rows) if rows else ""
    return f"## {title}\n\n{getdoc(model)}\n\n{table}"


def _same(field: FieldInfo, other: FieldInfo | None) -> bool:
    return other is not None and (field.default, field.annotation) == (
        other.default,
        other.annotation,
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    """What the line under a setting says, and its choices."""
    meaning = (field.description or "").replace("\n", " ").replace("|", "or")
    choices = [f"`{word}`" for word in get_args(field.annotation)]
    one_of = f"; one of {', '.join(choices)}" if get_origin(field.annotation) is Literal else ""
    return meaning + one_of


if __name__ == "__main__":
    print(page(), end="")
