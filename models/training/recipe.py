"""A training from its recipe to a model with its best weights; one that was killed goes on."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from data_prep.episodes.draw import refuse_small_classes, site_pools
from data_prep.episodes.images import open_images
from data_prep.episodes.meta_split import INDEX, MetaSplit, read_meta_split
from data_prep.settings import Convert
from models.build import SUPERVISED, too_many_classes
from models.checkpoint import ModelCard, trained_on
from models.device import repeatable
from models.encoders.fit import LayerReport
from models.encoders.settings import Encoder
from models.encoders.weights import start_from
from models.settings import Learning, Params, training_modules
from models.training.frozen import features_once
from models.training.loop import train
from models.training.processes import (
    bound_together,
    refuse_other_workspaces,
    refusing_together,
    uneven_shares,
)
from models.training.source import TRAINING, VALIDATION, Source, Variation
from models.training.state import TrainingState, load_state, save_state
from workspace.code_mark import code_digest
from workspace.errors import Problem, Refusal, refuse_if
from workspace.outputs import digest, to_json
from workspace.paths import Workspace
from workspace.progress import say

STREAMS = {"train": TRAINING, "validation": VALIDATION}  # of episodes, by the part of the split


@dataclass(frozen=True)
class Recipe:
    """What is trained and how. `make`: builds the model for the source sites' tasks."""

    name: str
    seed: int
    settings: Learning
    encoder: Encoder
    variation: Variation
    make: Callable[[dict[str, list[str]]], Any]

    def described(self, convert: Convert) -> dict[str, Any]:
        """All settings that the weights depend on, as model.json tells them."""
        by_task = self.variation.by_task.items()
        return {
            "learner": self.settings.model_dump(mode="json"),
            "encoder": self.encoder.model_dump(mode="json"),
            "convert": convert.model_dump(mode="json", include={"size", "channels"}),
            "augment": self.variation.general.model_dump(mode="json"),
            "task_augment": {task: own.model_dump(mode="json") for task, own in by_task},
        }


@dataclass(frozen=True)
class Ready:
    """A model before its first step, and what it draws from."""

    model: Any
    training: Source
    validation: Source
    meta: MetaSplit
    start: LayerReport | None  # what it took from a file of weights
    left_out: list[str]  # classes that meta-validation cannot use, in words


def prepare(recipe: Recipe, workspace: Workspace, params: Params, fabric: Fabric) -> Ready:
    """Build the model and open the source sites' pixels. Raises Refusal."""
    name = recipe.name
    meta = read_meta_split(workspace, INDEX)
    refuse_if(uneven_shares(name, recipe.settings, fabric.world_size))
    repeatable(recipe.seed, params.train.threads)
    shape = (params.convert.channels, *params.convert.size)
    images = open_images(workspace, meta, fabric.device, params.train.preload, shape)
    share = (fabric.global_rank, fabric.world_size)
    streams = {part: (recipe.seed, at) for part, at in STREAMS.items()}
    training, validation = (
        Source(site_pools(meta, images, part), images, stream, recipe.variation)
        for part, stream in streams.items()
    )
    training = replace(training, share=share)
    model = recipe.make(meta.tasks).to(fabric.device)
    refuse_if([*too_many_classes(model, meta.tasks), *bound_together(model, fabric.world_size)])
    start = start_from(workspace, recipe.encoder, model.encoder)
    if start:
        say(f"train {name}: {start}")
    if not any(weight.requires_grad for weight in model.parameters()):
        cure = "lower encoder.frozen; nearest_centroid uses features as they are"
        raise Refusal(Problem(f"train {name}", "every weight frozen", "some to train", cure))
    refuse_small_classes(training.pools, getattr(model.settings, "shot", 1))
    left_out = model.check(validation)
    for line in left_out:
        say(f"train {name}: left out of validation: {line}")
    return Ready(model, training, validation, meta, start, left_out)


def run(
    recipe: Recipe, workspace: Workspace, params: Params, fabric: Fabric
) -> tuple[Any, TrainingState, ModelCard]:
    """Train by a recipe; the model has its best weights. Resumes a run that was killed."""
    with refusing_together(fabric):
        ready = prepare(recipe, workspace, params, fabric)
    name, seed, model, start = recipe.name, recipe.seed, ready.model, ready.start
    resume, described = resume_file(workspace, name, seed), recipe.described(params.convert)
    about = {"name": name, **described, "start": start and start.sha256}
    mark = fingerprint(workspace, name, about, seed, fabric.device)

    def keep(state: TrainingState, optimiser: torch.optim.Optimizer) -> None:
        if fabric.is_global_zero:
            save_state(resume, mark, state, model, optimiser)

    def load(optimiser: torch.optim.Optimizer) -> TrainingState | None:
        return load_state(resume, mark, model, optimiser)

    with refusing_together(fabric):
        kept = digest(resume.read_bytes()) if resume.is_file() else ""
        refuse_other_workspaces(fabric, mark + kept)
    frozen = recipe.encoder.frozen == "all"
    with features_once(model, frozen, ready.training, ready.validation) as (training, validation):
        state = train(model, training, validation, params, keep, load, fabric)
        model.load_state_dict(state.best)
        if name == SUPERVISED:
            model.eval()
            model.measure_features(training)
    card = ModelCard(
        name,
        seed,
        described,
        ready.meta.tasks,
        trained_on(workspace),
        ready.meta.secret,
        state.best_step,
        state.best_validation,
        sum(weight.numel() for weight in model.parameters()),
        ready.left_out,
        asdict(start) if start else None,
    )
    return model, state, card


def fingerprint(
    workspace: Workspace, name: str, settings: dict[str, Any], seed: int, device: torch.device
) -> str:
    """A hash of all that a training state depends on: another one must not be resumed from."""
    about = {"settings": settings, "seed": seed, "device": device.type}
    about["code"] = code_digest(*training_modules(name))
    files = [file.read_bytes() for file in sorted(workspace.meta_split.iterdir())]
    return digest(b"".join([*files, to_json(about).encode()]))


def resume_file(workspace: Workspace, name: str, seed: int) -> Path:
    """Where a training keeps its state until its results are written."""
    return workspace.resume(name, seed) / "state.safetensors"
