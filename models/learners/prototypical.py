"""Prototypical network: Snell, Swersky and Zemel 2017, section 2.3."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from models.method import Learner, Support
from workspace.settings import Prototypical as Settings


def class_means(support: Support) -> Float[Tensor, "task way feature"]:
    """Each class's mean input; classes may have different numbers of shots."""
    member = F.one_hot(support.labels, support.way).to(support.inputs.dtype)
    return torch.einsum("tsw,tsf->twf", member, support.inputs) / member.sum(1)[..., None]


def nearness(means: Float[Tensor, "task way feature"], query: Float[Tensor, "task query feature"]) -> Float[Tensor, "task query way"]:
    """Negative squared Euclidean distances. Expanded, not torch.cdist: a query's value then does not depend on the others."""
    return -(query[:, :, None] - means[:, None]).square().sum(-1)


class Prototypical(Learner):
    """Classify by squared Euclidean distance to each class's mean embedding."""

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder

    def embed(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature"]:
        return self.encoder(images)

    def adapt(self, support: Support) -> Float[Tensor, "task way feature"]:
        return class_means(support)

    def predict(self, adapted: Float[Tensor, "task way feature"], query: Float[Tensor, "task query feature"]) -> Tensor:
        return nearness(adapted, query)
