"""The gradients of a step's tasks, each taken by a CPU thread of its own: a few small images do not fill several cores at once."""

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

Gradient = tuple[Tensor, list[Tensor | None]]  # a task's loss, and its gradient by parameter


class TaskThreads:
    """Each thread has modules of its own, as `model`'s are now, since functional_call changes a module while it runs."""

    def __init__(self, model: Any, pool: ThreadPoolExecutor, threads: int):
        self.pool, self.weights = pool, [weight for weight in model.parameters() if weight.requires_grad]
        shared = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
        self.idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self.idle.put(copy.deepcopy(model, dict(shared)))

    def take_gradient(self, batch: Any) -> Tensor:
        """Add the mean gradient of the batch's tasks to the weights, in the tasks' order; returns the mean loss."""
        losses, gradients = zip(*self.pool.map(self._one, batch.split(1)), strict=True)
        for weight, own in zip(self.weights, zip(*gradients, strict=True), strict=True):
            if own[0] is not None:
                weight.grad = torch.stack(own).mean(0)
        return torch.stack(losses).mean()

    def _one(self, task: Any) -> Gradient:
        model = self.idle.get()
        try:
            loss = model.loss(task)
            return loss.detach(), list(torch.autograd.grad(loss, self.weights, allow_unused=True))
        finally:
            self.idle.put(model)


@contextmanager
def task_threads(model: Any, threads: int) -> Iterator[TaskThreads]:
    """`threads` of them, each computing on one core; the caller's own number of threads stays."""
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield TaskThreads(model, pool, threads)
