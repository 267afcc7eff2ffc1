"""Every learner by name: what `train` makes with fresh weights, and what a checkpoint is loaded
into.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from data_prep.settings import Convert
from models.checkpoint import load_card, load_weights
from models.encoders.encoder import build_encoder, feature_shape
from models.encoders.settings import Encoder
from models.settings import Learning, Params
from models.training.trainable import Trainable
from workspace.errors import Problem, refuse_if
from workspace.paths import Workspace
from workspace.settings import validated

SUPERVISED = "supervised"


def learner_class(name: str) -> Any:
    """The class of models/learners/NAME.py, which is named like its file: key_value.py holds
    KeyValue.
    """
    return getattr(import_module(f"models.learners.{name}"), name.title().replace("_", ""))


def settings_class(name: str) -> type[Learning]:
    """The class of a learner's settings, `Settings` in its file."""
    return import_module(f"models.learners.{name}").Settings


def learner_settings(workspace: Workspace, params: Params, name: str) -> Learning:
    """A learner's own section of params.yaml. Raises Refusal with every problem in it."""
    file, given = str(workspace.params_file), params.learners.get(name, {})
    settings = validated(given, settings_class(name), file, "learners", name)
    encoder = settings.encoder or params.encoder
    problems = settings.contradictions(f"{file} learners.{name}", encoder)
    if encoder.weights == "pretrained" and params.pretrain.method == "none":
        where = f"learners.{name}.encoder" if settings.encoder else "encoder"
        found, need = "pretrained, and pretrain.method none", "supervised or simsiam"
        problems.append(Problem(f"{file} {where}.weights", found, need, "set pretrain.method"))
    refuse_if(problems)
    return settings


def build_learner(
    name: str, settings: Learning, encoder: Encoder, convert: Convert, tasks: dict[str, list[str]]
) -> Any:
    """A learner with fresh weights.

    `tasks`: task -> classes of the source sites, for the heads of the supervised model.
    """
    learner = learner_class(name)
    body = build_encoder(encoder, convert.channels, convert.size, learner.maps)
    shape = feature_shape(body, convert.channels, convert.size)
    features = shape if learner.maps else shape[0]
    if name == SUPERVISED:
        return learner(body, features, settings, tasks)
    return learner(body, features, settings)


def too_many_classes(model: Trainable, tasks: dict[str, list[str]]) -> list[Problem]:
    """Tasks with more classes than a learner with outputs of its own for labels can tell apart."""
    most = model.most_classes
    if most is None:
        return []
    need, cure = f"{most} at most for this learner", "raise its way under learners in params.yaml"
    return [
        Problem(f"task {task}", f"{len(classes)} classes", need, cure)
        for task, classes in tasks.items()
        if len(classes) > most
    ]


def load_learner(folder: Path, device: torch.device) -> Any:
    """A trained learner in evaluation mode, built from what model.json says and not from today's
    params.yaml.
    """
    card = load_card(folder)
    settings = settings_class(card.learner)(**card.settings["learner"])
    model = build_learner(
        card.learner,
        settings,
        Encoder(**card.settings["encoder"]),
        Convert(**card.settings["convert"]),
        card.tasks,
    )
    load_weights(folder, model)
    return model.to(device).eval()
