"""Cosine head: the adaptation of Baseline++ (Chen, Liu, Kira, Wang and Huang 2019, section 3.2) on
frozen source features.

The source model here has linear heads, where the paper's has cosine heads too.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from models.learners.supervised import Supervised
from models.method import Method
from models.support import Support, class_means
from workspace.settings import Count, Strict


class Settings(Strict):
    """Settings of the cosine head."""

    steps: Count = 100
    """on each support"""
    rate: Annotated[float, Field(gt=0)] = 0.01
    """Adam's"""
    scale: Annotated[float, Field(gt=0)] = 10.0
    """of the cosines before softmax"""


class CosineHead(Method):
    """A weight vector a class, trained by Adam on the whole support from the class means on; logits
    are scaled cosines.
    """

    def __init__(self, source: Supervised, settings: Settings):
        super().__init__()
        self.source, self.settings = source, settings

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        return F.normalize(self.source.encoder(images) - self.source.feature_mean, dim=1)

    def adapt(self, support: Support) -> Float[Tensor, "task way feature"]:
        inputs = support.inputs.detach()
        with torch.enable_grad():
            heads = class_means(Support(inputs, support.labels, support.way)).requires_grad_()
            optimiser = torch.optim.Adam([heads], lr=self.settings.rate)
            for _ in range(self.settings.steps):
                losses = self.head.loss(self._logits(heads, inputs), support.labels, "none")
                optimiser.zero_grad()
                # each task's own mean, so that tasks together learn as each would alone
                losses.mean(1).sum().backward()
                optimiser.step()
        return heads.detach()

    def predict(
        self, adapted: Float[Tensor, "task way feature"], query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        return self._logits(adapted, query)

    def _logits(
        self, heads: Float[Tensor, "task way feature"], inputs: Float[Tensor, "task image feature"]
    ) -> Float[Tensor, "task image way"]:
        return self.settings.scale * inputs @ F.normalize(heads, dim=-1).transpose(1, 2)
