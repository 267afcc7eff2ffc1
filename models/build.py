"""Every learner by name: what `train` makes with fresh weights, and what a checkpoint is loaded into."""

from pathlib import Path

import torch
from torch import nn

from models.checkpoint import load_card, load_weights
from models.encoders import build_encoder, feature_shape
from models.learners.key_value import KeyValue
from models.learners.maml import Maml
from models.learners.mann import Mann
from models.learners.matching import Matching
from models.learners.meta_memory import MetaMemory
from models.learners.prototypical import Prototypical
from models.learners.relation import Relation
from models.learners.siamese import Siamese
from models.learners.supervised import Supervised
from workspace.errors import Problem
from workspace.settings import Convert, Encoder, Learners, Learning

EPISODIC = {"prototypical": Prototypical, "matching": Matching, "relation": Relation, "siamese": Siamese, "maml": Maml, "mann": Mann,
            "key_value": KeyValue, "meta_memory": MetaMemory}
SUPERVISED = "supervised"


def build_learner(name: str, settings: Learning, encoder: Encoder, convert: Convert, tasks: dict[str, list[str]]) -> nn.Module:
    """A learner with fresh weights. `tasks`: task -> classes of the source sites, for the heads of the supervised model."""
    learner = EPISODIC.get(name)
    maps = learner is not None and learner.maps
    body = build_encoder(encoder, convert.channels, convert.size, maps)
    shape = feature_shape(body, convert.channels, convert.size)
    return Supervised(body, *shape, settings, tasks) if learner is None else learner(body, shape if maps else shape[0], settings)


def too_many_classes(model: nn.Module, tasks: dict[str, list[str]]) -> list[Problem]:
    """Tasks with more classes than a learner with outputs of its own for labels can tell apart."""
    most = getattr(model, "most_classes", None)
    return [] if most is None else [
        Problem(f"task {task}", f"{len(classes)} classes", f"{most} at most for this learner", "raise its way under learners in params.yaml")
        for task, classes in tasks.items() if len(classes) > most]


def load_learner(folder: Path, device: torch.device) -> nn.Module:
    """A trained learner in evaluation mode, built from what model.json says and not from today's params.yaml."""
    card = load_card(folder)
    settings = type(getattr(Learners(), card.learner))(**card.settings["learner"])
    model = build_learner(card.learner, settings, Encoder(**card.settings["encoder"]), Convert(**card.settings["convert"]), card.tasks)
    load_weights(folder, model)
    return model.to(device).eval()
