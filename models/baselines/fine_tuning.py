"""Fine-tuning of the whole source model on the support set, by a fixed schedule.

Where the sources know all of the site's classes, their head is the start, so the curve begins at
the source model; else a head is imprinted from the support (Qi, Brown and Lowe 2018). BSCD-FSL (Guo
et al. 2020) found this hard to beat.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from torch.func import functional_call

from models.learners.supervised import Supervised
from models.method import Method
from models.support import Support
from workspace.settings import Count, Strict


class Settings(Strict):
    """Settings of fine-tuning."""

    steps: Count = 40
    """on each support"""
    rate: Annotated[float, Field(gt=0)] = 1e-3
    """AdamW's, falling linearly to 0"""
    batch: Count = 32
    """images, at most"""


@dataclass(frozen=True)
class Tuned:
    """Each task's own encoder weights, by name, and head (way, feature) with its bias (way)."""

    bodies: list[dict[str, Tensor]]
    heads: list[tuple[Tensor, Tensor]]


class FineTuning(Method):
    """AdamW on cross-entropy, at most `batch` support images a step, the rate falling linearly to
    zero.
    """

    def __init__(self, source: Supervised, task: str, rows: list[int] | None, settings: Settings):
        super().__init__()
        self.source, self.task, self.rows, self.settings = source, task, rows, settings

    def adapt(self, support: Support) -> Tuned:
        with torch.enable_grad():
            tuned = [
                self._tune(inputs, labels, support.way)
                for inputs, labels in zip(support.inputs, support.labels, strict=True)
            ]
        return Tuned(*map(list, zip(*tuned, strict=True)))

    def predict(
        self, adapted: Tuned, query: Float[Tensor, "task query *input"]
    ) -> Float[Tensor, "task query way"]:
        return torch.stack(
            [
                F.linear(functional_call(self.source.encoder, body, (images,)), *head)
                for body, head, images in zip(adapted.bodies, adapted.heads, query, strict=True)
            ]
        )

    def _tune(
        self,
        images: Float[Tensor, "support channel *space"],
        labels: Int[Tensor, "support"],
        way: int,
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        settings = self.settings
        body = {
            name: weight.detach().clone().requires_grad_()
            for name, weight in self.source.encoder.named_parameters()
        }
        first = self._first_head(images, labels, way)
        head = (first[0].clone().requires_grad_(), first[1].clone().requires_grad_())
        optimiser = torch.optim.AdamW([*body.values(), *head], lr=settings.rate)
        # which images a step takes: the same whatever was tuned before
        generator = torch.Generator().manual_seed(0)
        for step in range(settings.steps):
            chosen = torch.randperm(len(labels), generator=generator)[: settings.batch].to(
                labels.device
            )
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * (1 - step / settings.steps)
            features = functional_call(self.source.encoder, body, (images[chosen],))
            loss = self.head.loss(F.linear(features, *head), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        tuned = {name: weight.detach() for name, weight in body.items()}
        return tuned, (head[0].detach(), head[1].detach())

    def _first_head(
        self,
        images: Float[Tensor, "support channel *space"],
        labels: Int[Tensor, "support"],
        way: int,
    ) -> tuple[Float[Tensor, "way feature"], Float[Tensor, "way"]]:
        if self.rows is not None:
            known, bias = self.source.heads[self.task].parameters()
            return known.detach()[self.rows], bias.detach()[self.rows]
        with torch.no_grad():
            centred = F.normalize(self.source.encoder(images) - self.source.feature_mean, dim=1)
            weight = F.normalize(
                torch.stack([centred[labels == name].mean(0) for name in range(way)]), dim=1
            )
            # the head sees features that are not centred
            return weight, -weight @ self.source.feature_mean
