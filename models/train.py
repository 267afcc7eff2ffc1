"""Stage `train`: meta-train one learner with one seed on the source sites; keep what is best on
their validation patients.

python -m models.train LEARNER SEED
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor

from data_prep.episodes.draw import refuse_small_classes, site_pools
from data_prep.episodes.images import MappedImages, open_images
from data_prep.episodes.meta_split import INDEX, MetaSplit, read_meta_split
from data_prep.settings import Convert
from models.build import SUPERVISED, build_learner, learner_settings, too_many_classes
from models.checkpoint import (
    ModelCard,
    TrainingState,
    load_state,
    save_model,
    save_state,
    trained_on,
)
from models.device import repeatable
from models.frozen import features_once
from models.method import TRAINING, VALIDATION, Source, Variation
from models.processes import (
    average,
    bound_together,
    launch,
    refuse_other_workspaces,
    refusing_together,
    uneven_shares,
)
from models.settings import Encoder, Learning, Params, load_params, training_modules
from models.stages import frozen_modules
from models.task_threads import TaskThreads
from models.weights import LayerReport, start_from
from workspace.code_mark import code_digest
from workspace.errors import Problem, Refusal, refuse_if, run_module
from workspace.outputs import digest, to_json, whole_folder
from workspace.paths import Workspace
from workspace.progress import say, track

STREAMS = {"train": TRAINING, "validation": VALIDATION}  # of episodes, by the part of the split


def train(
    model: Any,
    training: Source,
    validation: Source,
    params: Params,
    save: Any = lambda state, optimiser: None,
    load: Any = lambda optimiser: None,
    fabric: Fabric | None = None,
) -> TrainingState:
    """Train `model` in place and return the state after the last step; `best` holds the best
    validated weights.

    `load` returns an earlier state or None, `save` is called every `checkpoint_every` steps: a run
    that was cut and goes on takes the same steps as one that was not. `fabric`: of the processes
    that divide each step between them, as `training.share` says.
    """
    fabric = fabric or launch(params.train)
    settings = model.settings
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay
    )
    state = load(optimiser) or TrainingState(0, [], 0, -1.0, {}, [])
    frozen = frozen_modules(model)
    steps = range(state.step, settings.steps)
    make = partial(model.batch, training)
    batches = ahead(make, steps) if isinstance(training.images, MappedImages) else map(make, steps)
    gradient = gradient_taker(model, fabric)
    for step in track(steps, "train", total=len(steps)):
        torch.manual_seed(
            training.step_seed(step, 1)
        )  # dropout of an encoder that has it, the order in which MANN is shown images
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        model.train()
        for module in frozen:
            module.eval()
        optimiser.zero_grad()
        with refusing_together(fabric):
            loss = gradient(next(batches))
        loss = average(fabric, model, loss)
        optimiser.step()
        state.step = step + 1
        state.recent.append(loss.cpu())
        if state.step % settings.validate_every == 0 or state.step == settings.steps:
            with refusing_together(fabric):
                _validate(model, validation, state)
        if state.step % params.train.checkpoint_every == 0:
            save(state, optimiser)
    return state


def ahead(make: Callable[[int], Any], steps: Iterable[int]) -> Iterator[Any]:
    """What `make` gives of each step; a thread makes the next one meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[Any]] = deque()
        for step in steps:
            waiting.append(thread.submit(make, step))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def gradient_taker(model: Any, fabric: Fabric) -> Callable[[Any], Tensor]:
    """How a step's gradient is taken: tasks that share nothing but weights on threads, where there
    are several and no GPU.

    Dropout keeps them off: threads would draw from one generator in an order that no seed fixes.
    """
    threads = torch.get_num_threads()
    if (
        fabric.device.type != "cpu"
        or threads == 1
        or not getattr(model, "tasks_alone", False)
        or bound_together(model, threads)
    ):
        return lambda batch: take_gradient(model, batch, fabric.autocast())
    say(f"train: the tasks of a step on {threads} threads, one on each")
    return TaskThreads(model, threads).take_gradient


def take_gradient(
    model: Any, batch: Any, precision: AbstractContextManager[Any]
) -> Float[Tensor, ""]:
    """Add the gradient of a step's loss, a chunk of tasks after the other where the learner says
    so; returns the loss.
    """
    chunk = getattr(model.settings, "chunk", None)
    parts = (
        [(batch, 1.0)]
        if chunk is None
        else [(part, len(part.support) / len(batch.support)) for part in batch.split(chunk)]
    )
    losses = []
    for part, share in parts:
        with precision:
            loss = share * model.loss(part)
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def _validate(model: Any, validation: Source, state: TrainingState) -> None:
    model.eval()
    accuracy, loss = model.validate(validation), float(torch.stack(state.recent).mean())
    refuse_if(
        []
        if math.isfinite(loss)
        else [
            Problem(
                f"train, step {state.step}",
                "a loss that is not a number",
                "training that converges",
                "lower the learner's rate or inner_rate in params.yaml",
            )
        ]
    )
    state.curve.append({"step": state.step, "loss": loss, "validation_accuracy": accuracy})
    state.recent = []
    if accuracy > state.best_validation or getattr(model, "keeps_last", False):
        state.best_step, state.best_validation = state.step, accuracy
        state.best = {
            name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()
        }


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


def main(learner: str, seed: int) -> None:
    workspace = Workspace()
    params = load_params(workspace)
    settings = learner_settings(workspace, params, learner)
    fabric = launch(params.train)
    encoder = settings.encoder or params.encoder
    variation = Variation(params.augment, params.task_augment)
    make = partial(build_learner, learner, settings, encoder, params.convert)
    recipe = Recipe(learner, seed, settings, encoder, variation, make)
    model, state, card = run(recipe, workspace, params, fabric)
    if not fabric.is_global_zero:
        return
    with whole_folder(workspace.run(learner, seed)) as folder:
        save_model(folder, model.state_dict(), card)
        pd.DataFrame(state.curve).to_csv(folder / "curve.csv", index=False, float_format="%.6f")
        (folder / "metrics.json").write_text(
            to_json({"validation_accuracy": state.best_validation, "best_step": state.best_step})
        )
    resume_file(workspace, learner, seed).unlink(missing_ok=True)
    say(
        f"train {learner} seed {seed}: validation accuracy {state.best_validation:.3f} at "
        f"step {state.best_step} on {next(model.parameters()).device.type}"
    )


if __name__ == "__main__":
    run_module("models.train", lambda learner, seed: main(learner, int(seed)), "LEARNER", "SEED")
