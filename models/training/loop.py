"""The training loop: batches, gradients, validation, and states to resume from."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor

from data_prep.episodes.images import MappedImages
from models.encoders.stages import frozen_modules
from models.settings import Params
from models.training.processes import average, bound_together, launch, refusing_together
from models.training.source import Source
from models.training.state import TrainingState
from models.training.task_threads import TaskThreads
from models.training.trainable import Trainable
from workspace.errors import Problem, Refusal
from workspace.progress import say, track


def train(
    model: Trainable,
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
        # dropout of an encoder that has it, the order in which MANN is shown images
        torch.manual_seed(training.step_seed(step, 1))
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


def gradient_taker(model: Trainable, fabric: Fabric) -> Callable[[Any], Tensor]:
    """How a step's gradient is taken: tasks that share nothing but weights on threads, where there
    are several and no GPU.

    Dropout keeps them off: threads would draw from one generator in an order that no seed fixes.
    """
    threads = torch.get_num_threads()
    if (
        fabric.device.type != "cpu"
        or threads == 1
        or not model.tasks_alone
        or bound_together(model, threads)
    ):
        return lambda batch: take_gradient(model, batch, fabric.autocast())
    say(f"train: the tasks of a step on {threads} threads, one on each")
    return TaskThreads(model, threads).take_gradient


def take_gradient(
    model: Trainable, batch: Any, precision: AbstractContextManager[Any]
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


def _validate(model: Trainable, validation: Source, state: TrainingState) -> None:
    model.eval()
    accuracy, loss = model.validate(validation), float(torch.stack(state.recent).mean())
    if not math.isfinite(loss):
        found, need = "a loss that is not a number", "training that converges"
        cure = "lower the learner's rate or inner_rate in params.yaml"
        raise Refusal(Problem(f"train, step {state.step}", found, need, cure))
    state.curve.append({"step": state.step, "loss": loss, "validation_accuracy": accuracy})
    state.recent = []
    if accuracy > state.best_validation or model.keeps_last:
        state.best_step, state.best_validation = state.step, accuracy
        state.best = {
            name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()
        }
