"""Training in several processes, one a GPU, on one machine or several: `torchrun` starts them and
says how many there are.

Each takes its share of a step's tasks and all take the mean of the gradients, by hand and for all
learners: MAML runs its encoder with weights that are not its own, where the hooks of
DistributedDataParallel do not fire.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from models.device import choose_device
from models.encoders.stages import frozen_modules
from models.settings import Learning, Train
from workspace.errors import Problem, Refusal, refuse_if
from workspace.progress import say, torchrun

# what it says of itself is not about a stage's outcome
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def launch(settings: Train) -> Fabric:
    """This process among those that torchrun started, or alone.

    Raises Refusal where they are more than the machine has GPUs for.
    """
    device = choose_device(settings.device)
    here, machines, all_in_all = (
        torchrun(name, 1) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "WORLD_SIZE")
    )
    room = torch.cuda.device_count() if device.type == "cuda" else here
    problems = []
    if here > room:
        found = f"{here} processes on a machine with {room} of cuda"
        cure = f"give --nproc_per_node {room}, or set train.device to cpu"
        problems.append(Problem("torchrun", found, "one for each process", cure))
    if device.type == "mps" and all_in_all > 1:
        found = f"{all_in_all} processes that are to meet on mps"
        problems.append(Problem("torchrun", found, "cuda or cpu", "set train.device to cpu"))
    if here * machines != all_in_all:
        found, need = "machines with different numbers of processes", "as many on each"
        cure = "give --nproc_per_node the same value everywhere"
        problems.append(Problem("torchrun", found, need, cure))
    refuse_if(problems)
    mixed = settings.mixed_precision and device.type == "cuda"
    fabric = Fabric(
        accelerator=device.type,
        devices=here,
        num_nodes=machines,
        precision="bf16-mixed" if mixed else "32-true",
    )
    fabric.launch()
    return fabric


def exchange(fabric: Fabric, text: str) -> list[str]:
    """What each process says, in their order. As numbers, since objects would travel as pickles."""
    spoken = text.encode()
    longest = int(_reduced(fabric, torch.tensor(len(spoken)), "max"))
    if longest == 0:
        return [""] * fabric.world_size
    table = torch.zeros(fabric.world_size, longest, dtype=torch.uint8)
    table[fabric.global_rank, : len(spoken)] = torch.tensor(list(spoken), dtype=torch.uint8)
    return [bytes(row).rstrip(b"\0").decode() for row in _reduced(fabric, table, "sum").tolist()]


def _reduced(fabric: Fabric, own: Tensor, how: str) -> Tensor:
    """One tensor of those of all processes."""
    reduced = fabric.all_reduce(own, reduce_op=how)
    return reduced if isinstance(reduced, Tensor) else own.new_tensor(reduced)


@contextmanager
def refusing_together(fabric: Fabric) -> Iterator[None]:
    """Where one process refuses, all do at the end of the block, after the first has said every
    problem once.

    Where one alone may refuse, the block must not wait for the others.
    """
    if fabric.world_size == 1:
        yield
        return
    problems: tuple[Problem, ...] = ()
    try:
        yield
    except Refusal as refusal:
        problems = refusal.problems
    found = [
        own
        for own in exchange(
            fabric, json.dumps([astuple(problem) for problem in problems]) if problems else ""
        )
        if own
    ]
    if found:
        for problem in dict.fromkeys(Problem(*each) for own in found for each in json.loads(own)):
            say(str(problem))
        fabric.barrier()  # torchrun ends the others as soon as one is gone
        raise Refusal()


def refuse_other_workspaces(fabric: Fabric, state: str) -> None:
    """Raise Refusal where the processes are about to train from different data, settings, code or
    states.
    """
    if len(set(exchange(fabric, state))) > 1:
        found = "processes that see different data, settings, code or resume states"
        cure = "run them in one folder that all machines share"
        raise Refusal(Problem("torchrun", found, "the same on every machine", cure))


def uneven_shares(name: str, settings: Learning, processes: int) -> list[Problem]:
    """A step that cannot be divided evenly, by its tasks, or by the images of a learner without
    tasks.
    """
    what = "tasks" if hasattr(settings, "tasks") else "batch"
    count = getattr(settings, what)
    if count % processes == 0:
        return []
    even = count + -count % processes
    found, need = f"{what}: {count} for {processes} processes", f"a multiple of {processes}"
    cure = f"set its {what} to {even} in params.yaml, or start fewer processes"
    return [Problem(f"train {name}", found, need, cure)]


def bound_together(model: nn.Module, processes: int) -> list[Problem]:
    """What makes a step in several processes another one than in one: statistics over all its
    images, parts dropped at random.
    """
    if processes == 1:
        return []
    at_work = set(model.modules()).difference(*(part.modules() for part in frozen_modules(model)))
    norm = any(
        isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) for module in at_work
    )
    drop = any(isinstance(module, nn.Dropout) and module.p > 0 for module in at_work)
    ties = [
        ("batch norm", norm, "set encoder.norm to group or instance"),
        ("dropout", drop, "take another encoder"),
    ]
    return [
        Problem(
            "train",
            f"{what} in training, and {processes} processes",
            "the same step in any number of processes",
            f"{cure}, or train in one",
        )
        for what, there, cure in ties
        if there
    ]


def average(fabric: Fabric, model: nn.Module, loss: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Give every process the mean of all gradients and return the mean loss, in one message.

    Alone, nothing is to be done.

    A weight that no process has a gradient of keeps none, as the head of a task that a step did not
    draw: the optimiser leaves it.
    """
    if fabric.world_size == 1:
        return loss
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    held = torch.tensor([weight.grad is not None for weight in weights])
    gradients = [
        torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights
    ]
    message = torch.cat(
        [loss[None], held.to(loss), *(gradient.flatten() for gradient in gradients)]
    )
    mean, holding, *parts = _reduced(fabric, message, "mean").split(
        [1, len(weights), *(weight.numel() for weight in weights)]
    )
    for weight, some, part in zip(weights, holding.tolist(), parts, strict=True):
        weight.grad = part.view_as(weight) if some else None
    return mean[0]
