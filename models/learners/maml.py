"""MAML: Finn, Abbeel and Levine 2017, algorithm 2; the head starts from one learned vector as in Ye and Chao 2022 (UNICORN-MAML).

Sites have different numbers of classes, so a head with a row a class cannot be meta-learned as it stands: every row starts as
the same learned vector. Logits then permute with the labels, and one initialisation serves any way.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from models.method import Learner, Support
from workspace.settings import Maml as Settings

HEAD = "head"


@dataclass(frozen=True)
class FastWeights:
    """Each task's own parameters, by name; the head (way, feature) among them."""

    tasks: list[dict[str, Tensor]]


class Maml(Learner):
    """Learn an initialisation from which a few gradient steps on the support set classify the query set."""

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.class_vector = nn.Parameter(torch.randn(features) / features**0.5)

    def adapt(self, support: Support) -> FastWeights:
        """Gradient descent on each task's support: `inner_steps` in training, `adapt_steps` in evaluation."""
        steps = self.settings.inner_steps if self.training else self.settings.adapt_steps
        with torch.enable_grad(), torch.autocast(support.inputs.device.type, enabled=False):  # the inner loop stays in float32
            return FastWeights([self._descend(inputs, labels, support.way, steps)
                                for inputs, labels in zip(support.inputs, support.labels, strict=True)])

    def predict(self, adapted: FastWeights, query: Float[Tensor, "task query *input"]) -> Float[Tensor, "task query way"]:
        return torch.stack([self._forward(weights, images) for weights, images in zip(adapted.tasks, query, strict=True)])

    def _descend(self, inputs: Tensor, labels: Tensor, way: int, steps: int) -> dict[str, Tensor]:
        weights = {**dict(self.encoder.named_parameters()), HEAD: self.class_vector.expand(way, -1)}
        if not self.training:  # no outer graph: start from copies
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        second_order = self.training and not self.settings.first_order
        for _ in range(steps):
            loss = F.cross_entropy(self._forward(weights, inputs), labels)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=second_order)
            weights = {name: weight - self.settings.inner_rate * gradient
                       for (name, weight), gradient in zip(weights.items(), gradients, strict=True)}
            if not self.training:
                weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        return weights

    def _forward(self, weights: dict[str, Tensor], images: Tensor) -> Float[Tensor, "image way"]:
        body = {name: weight for name, weight in weights.items() if name != HEAD}
        return functional_call(self.encoder, body, (images,)) @ weights[HEAD].T
