"""The gradients of a step's tasks, each taken by a CPU thread of its own: a few small images do not
fill several cores at once.
"""

import copy
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from models.encoders.stages import frozen_modules
from models.training.trainable import Trainable

Gradient = tuple[Tensor, tuple[Tensor | None, ...]]  # a task's loss, and its gradient by parameter


class TaskThreads:
    """Each thread has modules of its own, with the model's weights, since functional_call changes a
    module while it runs.
    """

    def __init__(self, model: Trainable, threads: int):
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self.idle: SimpleQueue[Trainable] = SimpleQueue()
        for _ in range(threads):
            own = copy.deepcopy(
                model, {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
            ).train()
            for module in frozen_modules(own):
                module.eval()
            self.idle.put(own)

    def take_gradient(self, batch: Any) -> Float[Tensor, ""]:
        """Give the weights the mean gradient of the batch's tasks; returns the mean loss.

        Both are summed in the tasks' order.
        """
        losses, gradients = zip(*self.pool.map(self._of_one, batch.split(1)), strict=True)
        for weight, own in zip(self.weights, zip(*gradients, strict=True), strict=True):
            weight.grad = None if own[0] is None else torch.stack(own).mean(0)
        return torch.stack(losses).mean()

    def _of_one(self, task: Any) -> Gradient:
        model = self.idle.get()
        try:
            loss = model.loss(task)
            return loss.detach(), torch.autograd.grad(loss, self.weights, allow_unused=True)
        finally:
            self.idle.put(model)
