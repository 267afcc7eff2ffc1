"""Every learner by name: what `train` makes with fresh weights, and what a checkpoint is loaded into."""

from pathlib import Path

import torch
from torch import nn

from models.checkpoint import load_card, load_weights
from models.encoders import build_encoder, feature_count
from models.learners.maml import Maml
from models.learners.prototypical import Prototypical
from models.learners.supervised import Supervised
from workspace.settings import Convert, Encoder, Learners, Learning

EPISODIC = {"prototypical": Prototypical, "maml": Maml}
SUPERVISED = "supervised"


def build_learner(name: str, settings: Learning, encoder: Encoder, convert: Convert, tasks: dict[str, list[str]]) -> nn.Module:
    """A learner with fresh weights. `tasks`: task -> classes of the source sites, for the heads of the supervised model."""
    body = build_encoder(encoder, convert.channels, convert.size)
    features = feature_count(body, convert.channels, convert.size)
    return Supervised(body, features, settings, tasks) if name == SUPERVISED else EPISODIC[name](body, features, settings)


def load_learner(folder: Path, device: torch.device) -> nn.Module:
    """A trained learner in evaluation mode, built from what model.json says and not from today's params.yaml."""
    card = load_card(folder)
    settings = type(getattr(Learners(), card.learner))(**card.settings["learner"])
    model = build_learner(card.learner, settings, Encoder(**card.settings["encoder"]), Convert(**card.settings["convert"]), card.tasks)
    load_weights(folder, model)
    return model.to(device).eval()
