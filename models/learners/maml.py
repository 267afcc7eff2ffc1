"""MAML: Finn, Abbeel and Levine 2017, algorithm 2; the head starts from one learned vector as in Ye and Chao 2022 (UNICORN-MAML).

Sites have different numbers of classes, so a head with a row a class cannot be meta-learned as it stands: every row starts as
the same learned vector. Logits then permute with the labels, and one initialisation serves any way. Variants are settings: ANIL
(Raghu et al. 2020) and what MAML++ adds (Antoniou, Edwards and Storkey 2019, section 3; here a rate a tensor, not a layer). While
the rows are equal the body's gradient is zero: the first inner step moves the head alone, and is not made to find that out; one step
is ANIL.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from data_prep.episodes import Episodes
from models.method import Learner
from models.support import Support, at_least_float32
from workspace.settings import Maml as Settings

HEAD = "head"
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class FastWeights:
    """Each task's own parameters, by name; the head (way, feature) among them."""

    tasks: list[Weights]


class Maml(Learner):
    """Learn an initialisation from which a few gradient steps on the support set classify the query set."""

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.class_vector = nn.Parameter(torch.randn(features) / features**0.5)
        if settings.learned_rates:  # one a parameter tensor and step
            self.rates = nn.Parameter(torch.full((len(self._start(1)), max(settings.inner_steps, 1)), settings.inner_rate))

    def embed(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch *input"]:
        return self.encoder(images) if self.settings.anil else images

    def adapt(self, support: Support) -> FastWeights:
        """Gradient descent on each task's support: `inner_steps` in training, `adapt_steps` in evaluation."""
        steps = self.settings.inner_steps if self.training else self.settings.adapt_steps
        return FastWeights([path[-1] for path in self._descend(support, steps, second_order=not self.settings.first_order)])

    def predict(self, adapted: FastWeights, query: Float[Tensor, "task query *input"]) -> Float[Tensor, "task query way"]:
        return torch.stack([self._forward(weights, images) for weights, images in zip(adapted.tasks, query, strict=True)])

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """Mean cross-entropy of the queries after the last inner step, or weighed over all of them early in training."""
        support, query = self.embed_both(episodes)
        chosen = self.settings
        paths = self._descend(Support(support, episodes.support_labels, episodes.way), chosen.inner_steps,
                              second_order=not chosen.first_order and episodes.step >= chosen.first_order_steps)
        weights = step_weights(chosen.inner_steps, episodes.step / chosen.multi_step_steps if chosen.multi_step_steps else 1.0)
        labels = episodes.query_labels.flatten()
        losses = [weight * F.cross_entropy(self.predict(FastWeights([path[at] for path in paths]), query).flatten(0, 1), labels)
                  for at, weight in enumerate(weights, start=len(paths[0]) - len(weights)) if weight > 0]
        return torch.stack(losses).sum()

    def _descend(self, support: Support, steps: int, second_order: bool) -> list[list[Weights]]:
        """Each task's weights before and after every step; at a site after the last alone."""
        with torch.enable_grad(), torch.autocast(support.inputs.device.type, enabled=False):  # the inner loop stays in float32
            return [self._descend_one(inputs, labels, support.way, steps, second_order)
                    for inputs, labels in zip(at_least_float32(support.inputs), support.labels, strict=True)]

    def _descend_one(self, inputs: Tensor, labels: Tensor, way: int, steps: int, second_order: bool) -> list[Weights]:
        weights = self._start(way)
        if not self.training:  # no outer graph: start from copies
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        path = [weights]
        for step in range(steps):
            moved = list(weights) if step else [HEAD]
            loss = F.cross_entropy(self._forward(weights, inputs), labels)
            gradients = torch.autograd.grad(loss, [weights[name] for name in moved], create_graph=self.training and second_order)
            rates = dict(zip(weights, self._rates(step, len(weights)), strict=True))
            # what has not moved is another tensor all the same: the next gradient is taken at this head, not through it
            weights = {name: weight.view_as(weight) for name, weight in weights.items()} | {
                name: weights[name] - rates[name] * gradient for name, gradient in zip(moved, gradients, strict=True)}
            if not self.training:
                weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
            path = [*path, weights] if self.training else [weights]  # no step but the last is asked for at a site
        return path

    def _start(self, way: int) -> Weights:
        body = {} if self.settings.anil else dict(self.encoder.named_parameters())
        return {**body, HEAD: self.class_vector.expand(way, -1)}

    def _rates(self, step: int, parameters: int) -> list[float] | Float[Tensor, "parameter"]:
        """The inner step's rates; steps beyond those of training take the last one's."""
        if not self.settings.learned_rates:
            return [self.settings.inner_rate] * parameters
        return self.rates[:, min(step, self.rates.shape[1] - 1)]

    def _forward(self, weights: Weights, inputs: Tensor) -> Float[Tensor, "image way"]:
        body = {name: weight for name, weight in weights.items() if name != HEAD}
        features = functional_call(self.encoder, body, (inputs,)) if body else inputs
        return features @ weights[HEAD].T


def step_weights(steps: int, progress: float) -> list[float]:
    """How much the query loss after each inner step counts: evenly at first, only the last from `progress` 1 on. They sum to 1."""
    if steps <= 1 or progress >= 1:
        return [1.0]
    early = (1 - progress) / steps
    return [early] * (steps - 1) + [1 - early * (steps - 1)]
