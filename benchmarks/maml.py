"""The gradient of one MAML step against a plain loop over tasks and against `higher`, with the same
network, images and inner steps.

    python benchmarks/maml.py [--tasks 4] [--device cuda] [--repeats 5]

Second order, conv4 of 64 filters with group norm, 28 x 28, 5-way 1-shot, 15 queries a class, 5
inner steps. The plain loop is what learn2learn does (autograd.grad with create_graph=True, every
weight at every step, one task after the other, backward once a task). `higher` is compared where it
is installed. All sides take turns in one process with all of torch's threads; the medians of the
repeats are compared. The last line is one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from data_prep.episodes.draw import Episodes
from data_prep.settings import Convert
from models.build import build_learner
from models.device import choose_device, repeatable
from models.encoders.encoder import build_encoder
from models.encoders.settings import Encoder
from models.learners.maml import Settings as MamlSettings
from models.training.loop import take_gradient
from models.training.task_threads import TaskThreads

WAY, QUERY, SIDE, STEPS, RATE = 5, 15, 28, 5, 0.01
CHUNK = 8  # tasks of one vectorised gradient
ENCODER = Encoder(name="conv4", norm="group", width=64, standardise=False)


def episodes(tasks: int, device: torch.device) -> Episodes:
    """Noise: what is timed does not depend on what the images show."""
    generator = torch.Generator().manual_seed(0)
    support, query = (
        torch.rand(tasks, WAY * each, 1, SIDE, SIDE, generator=generator).to(device)
        for each in (1, QUERY)
    )
    labels = torch.arange(WAY, device=device)
    return Episodes(
        support,
        labels.expand(tasks, -1),
        query,
        labels.repeat_interleave(QUERY).expand(tasks, -1),
        WAY,
    )


def plain_network(device: torch.device) -> nn.Module:
    """The encoder with a head of a row a class, as these libraries have it."""
    return (
        nn.Sequential(build_encoder(ENCODER, 1, [SIDE, SIDE]), nn.Linear(64, WAY))
        .to(device)
        .train()
    )


def plain_loop(network: nn.Module, batch: Episodes) -> None:
    """One task after the other, every weight moved at every step."""
    for support, labels, query, asked in zip(
        batch.support, batch.support_labels, batch.query, batch.query_labels, strict=True
    ):
        weights = dict(network.named_parameters())
        for _ in range(STEPS):
            loss = F.cross_entropy(functional_call(network, weights, (support,)), labels)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {
                name: weight - RATE * gradient
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }
        (
            F.cross_entropy(functional_call(network, weights, (query,)), asked) / len(batch.support)
        ).backward()


def by_higher(network: nn.Module, batch: Episodes) -> None:
    """The same as higher's own examples have it."""
    import higher

    optimiser = torch.optim.SGD(network.parameters(), lr=RATE)
    for support, labels, query, asked in zip(
        batch.support, batch.support_labels, batch.query, batch.query_labels, strict=True
    ):
        with higher.innerloop_ctx(network, optimiser, copy_initial_weights=False) as (
            inner,
            inner_optimiser,
        ):
            for _ in range(STEPS):
                inner_optimiser.step(F.cross_entropy(inner(support), labels))
            (F.cross_entropy(inner(query), asked) / len(batch.support)).backward()


def model_of(way: str, tasks: int, device: torch.device) -> nn.Module:
    """fewsite's MAML for a step of so many tasks, `vectorised` or not."""
    settings = MamlSettings(
        way=WAY,
        min_way=WAY,
        shot=1,
        query=QUERY,
        tasks=tasks,
        chunk=min(tasks, CHUNK) if way == "vectorised" else 1,
        inner_rate=RATE,
        inner_steps=STEPS,
        together="vectorised" if way == "vectorised" else "threads",
    )
    model = build_learner("maml", settings, ENCODER, Convert(size=[SIDE, SIDE]), {})
    return model.to(device).train()


def ours(way: str, batch: Episodes, device: torch.device) -> Callable[[], object]:
    """fewsite's step, its tasks in `threads`, in one `vectorised` gradient, or in a `loop`."""
    model = model_of(way, len(batch.support), device)
    if way == "threads":
        return partial(TaskThreads(model, torch.get_num_threads()).take_gradient, batch)
    return partial(take_gradient, model, batch, nullcontext())


def machine(device: torch.device) -> str:
    """What the numbers were measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def medians(
    sides: dict[str, Callable[[], object]], repeats: int, device: torch.device
) -> dict[str, float]:
    """Seconds of each side; they take turns, and the first turn is not counted."""
    times: dict[str, list[float]] = {}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.setdefault(name, []).append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    device = choose_device(given.device)
    repeatable(0, 0)
    batch, network = episodes(given.tasks, device), plain_network(device)
    ways = ("vectorised",) if device.type == "cuda" else ("threads", "loop", "vectorised")
    sides: dict[str, Callable[[], object]] = {"plain loop": lambda: plain_loop(network, batch)}
    if find_spec("higher"):
        sides["higher"] = lambda: by_higher(network, batch)
    sides |= {f"fewsite, {way}": ours(way, batch, device) for way in ways}
    seconds = medians(sides, given.repeats, device)
    chosen = f"fewsite, {ways[0]}"  # what `together: auto` takes on this device
    ratios = {name: round(median / seconds[chosen], 2) for name, median in seconds.items()}
    for name, median in seconds.items():
        print(
            f"{given.tasks} tasks, {name}: {median:.3f} s, {ratios[name]} times as long as "
            f"fewsite's choice ({ways[0]})"
        )
    result = {
        "benchmark": "maml",
        "tasks": given.tasks,
        "seconds": {name: round(median, 4) for name, median in seconds.items()},
        "chosen": ways[0],
        "ratios": {name: ratios[name] for name in ("plain loop", "higher") if name in ratios},
        "repeats": given.repeats,
        "device": machine(device),
        "torch": torch.__version__,
    }
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
