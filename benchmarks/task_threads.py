"""The gradient of a step's tasks, a CPU thread a task, against the same tasks one after the other
with all of torch's threads on each.

    python benchmarks/task_threads.py [--tasks 4 16] [--repeats 5]

MAML as benchmarks/maml.py has it: second order, conv4, 28 x 28, 5-way 1-shot, five inner steps.
Both sides take turns in one process and must give the same gradient; `ratio` is that of the
medians. The last line is one JSON object.
"""

import argparse
import json
import os
import platform
from contextlib import nullcontext

import torch
from maml import TaskThreads, episodes, medians, model_of, take_gradient

from models.device import repeatable

CPU = torch.device("cpu")
SIDES = ("threads", "loop")


def measure(tasks: int, repeats: int) -> dict[str, float]:
    """Seconds a step of each side."""
    batch = episodes(tasks, CPU)
    models = {way: model_of(way, tasks, CPU) for way in SIDES}
    models["loop"].load_state_dict(models["threads"].state_dict())
    threads = TaskThreads(models["threads"], torch.get_num_threads())
    sides = {
        "threads": lambda: threads.take_gradient(batch),
        "loop": lambda: loop(models["loop"], batch),
    }
    seconds = medians(sides, repeats, CPU)
    for one, other in zip(*(models[way].parameters() for way in SIDES), strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-5)
    return seconds


def loop(model: torch.nn.Module, batch: object) -> None:
    for weight in model.parameters():
        weight.grad = None
    take_gradient(model, batch, nullcontext())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--repeats", type=int, default=5)
    given, rows = parser.parse_args(), []
    repeatable(0, 0)
    for tasks in given.tasks:
        seconds = measure(tasks, given.repeats)
        ratio = round(seconds["loop"] / seconds["threads"], 2)
        rows.append(
            {"tasks": tasks, "ratio": ratio, **{way: round(seconds[way], 4) for way in SIDES}}
        )
        print(f"{tasks} tasks: {seconds['threads']:.3f} s; in a loop {ratio} times as long")
    result = {
        "benchmark": "task_threads",
        "cases": rows,
        **vars(given),
        "device": f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores",
        "torch": torch.__version__,
    }
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
