"""MAML: Finn, Abbeel and Levine 2017, algorithm 2; the head starts from one learned vector as in Ye
and Chao 2022 (UNICORN-MAML).

Sites have different numbers of classes, so a head with a row a class cannot be meta-learned as it
stands: every row starts as the same learned vector. Logits then permute with the labels, and one
initialisation serves any way. Variants are settings: ANIL (Raghu et al. 2020) and what MAML++ adds
(Antoniou, Edwards and Storkey 2019, section 3; here a rate a tensor, not a layer). While the rows
are equal the body's gradient is zero: the first inner step moves the head alone, and is not made to
find that out; one step is ANIL. The second step then finds the features of the first and makes no
forward pass of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp

from data_prep.episodes.draw import Episodes
from models.encoders.settings import Encoder
from models.method import Learner
from models.settings import Episodic
from models.support import Support, at_least_float32
from workspace.errors import Problem
from workspace.settings import Count

HEAD = "head"
Weights = dict[str, Tensor]


class Settings(Episodic):
    """Settings of MAML."""

    tasks: Count = 4
    """episodes in one step"""
    chunk: Count = 4
    """of them, whose gradient is taken at once: memory grows with the chunk, not with `tasks`"""
    together: Literal["auto", "threads", "vectorised"] = "auto"
    """a chunk's tasks: each on a CPU thread, or all in one batched gradient; auto: that on a GPU"""
    inner_rate: Annotated[float, Field(gt=0)] = 0.05
    """of the gradient steps on a support"""
    inner_steps: Annotated[int, Field(ge=0)] = 3
    """in training"""
    adapt_steps: Annotated[int, Field(ge=0)] = 10
    """at a site"""
    first_order: bool = False
    """true: leave the second derivatives out"""
    first_order_steps: Annotated[int, Field(ge=0)] = 0
    """training steps before the second derivatives come in"""
    anil: bool = False
    """true: adapt the head alone"""
    learned_rates: bool = False
    """true: an inner rate learned for each parameter tensor and step, from inner_rate on"""
    multi_step_steps: Annotated[int, Field(ge=0)] = 0
    """training steps over which the loss moves from every inner step to the last"""

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if self.first_order and self.first_order_steps:
            raise ValueError("first_order or first_order_steps, not both")
        if not self.inner_steps and (self.learned_rates or self.multi_step_steps):
            raise ValueError("inner_steps of 1 at least with learned_rates or multi_step_steps")
        return self

    def contradictions(self, where: str, encoder: Encoder) -> list[Problem]:
        problems: list[Problem] = []
        if encoder.norm == "batch" and not self.anil:
            found = "'batch', whose running statistics no inner step can own"
            cure = f"set {where.split()[-1]}.encoder with another norm"
            problems.append(Problem(f"{where}.encoder.norm", found, "group or instance", cure))
        if encoder.frozen and not self.anil:
            need = "0, since its inner steps move the whole encoder"
            cure = f"set {where.split()[-1]}.encoder without frozen"
            problems.append(Problem(f"{where}.encoder.frozen", str(encoder.frozen), need, cure))
        return problems


@dataclass(frozen=True)
class FastWeights:
    """Each task's own parameters, by name; the head (way, feature) among them."""

    tasks: list[Weights]


class Maml(Learner):
    """Learn an initialisation from which a few gradient steps on the support set classify the query
    set.
    """

    settings: Settings

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.class_vector = nn.Parameter(torch.randn(features) / features**0.5)
        if settings.learned_rates:  # one a parameter tensor and step
            self.rates = nn.Parameter(
                torch.full((len(self._start(1)), max(settings.inner_steps, 1)), settings.inner_rate)
            )

    @property
    def tasks_alone(self) -> bool:
        """Whether each task goes through the network by itself, so threads may take them."""
        chosen = self.settings
        return chosen.tasks > 1 and not chosen.anil and chosen.together != "vectorised"

    def embed(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch *input"]:
        return self.encoder(images) if self.settings.anil else images

    def adapt(self, support: Support) -> FastWeights:
        """Gradient descent on each task's support: `inner_steps` in training, `adapt_steps` in
        evaluation.
        """
        steps = self.settings.inner_steps if self.training else self.settings.adapt_steps
        paths = self._descend(support, steps, second_order=not self.settings.first_order)
        return FastWeights([path[-1] for path in paths])

    def predict(
        self, adapted: FastWeights, query: Float[Tensor, "task query *input"]
    ) -> Float[Tensor, "task query way"]:
        return torch.stack(
            [
                self._forward(weights, images)
                for weights, images in zip(adapted.tasks, query, strict=True)
            ]
        )

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """Mean cross-entropy of the queries after the last inner step, or weighed over all of them
        early in training.
        """
        chosen = self.settings
        second_order = not chosen.first_order and episodes.step >= chosen.first_order_steps
        weights = step_weights(
            chosen.inner_steps,
            episodes.step / chosen.multi_step_steps if chosen.multi_step_steps else 1.0,
        )

        def of_task(
            inputs: Float[Tensor, "support *input"],
            labels: Int[Tensor, "support"],
            query: Float[Tensor, "query *input"],
            query_labels: Int[Tensor, "query"],
        ) -> Float[Tensor, ""]:
            path = self._path(
                at_least_float32(inputs), labels, episodes.way, chosen.inner_steps, second_order
            )
            losses = [
                weight * self.head.loss(self._forward(path[at], query), query_labels)
                for at, weight in enumerate(weights, start=len(path) - len(weights))
                if weight > 0
            ]
            return torch.stack(losses).sum()

        support, query = self.embed_both(episodes)
        given = (support, episodes.support_labels, query, episodes.query_labels)
        if vectorised(chosen, query.device):
            return torch.vmap(of_task, randomness="different")(*given).mean()
        return torch.stack([of_task(*task) for task in zip(*given, strict=True)]).mean()

    def _descend(self, support: Support, steps: int, second_order: bool) -> list[list[Weights]]:
        """Each task's weights before and after every step, at a site after the last."""
        return [
            self._path(inputs, labels, support.way, steps, second_order)
            for inputs, labels in zip(at_least_float32(support.inputs), support.labels, strict=True)
        ]

    def _path(
        self,
        inputs: Float[Tensor, "support *input"],
        labels: Int[Tensor, "support"],
        way: int,
        steps: int,
        second_order: bool,
    ) -> list[Weights]:
        """One task's weights before and after every step, at a site after the last; there, and of
        first order, what a step adds is a constant.
        """
        constant = not (self.training and second_order)
        path = [self._start(way)]
        in_float32 = torch.autocast(inputs.device.type, enabled=False)
        gradients = self._gradients(path, inputs, labels)
        with torch.no_grad() if constant else nullcontext(), in_float32:
            # in this order: no gradient too many
            for step, gradient in zip(range(steps), gradients, strict=False):
                rates = dict(zip(path[0], self._rates(step, len(path[0])), strict=True))
                with torch.set_grad_enabled(self.training):
                    moved = {
                        name: path[-1][name] - rates[name] * own for name, own in gradient.items()
                    }
                    path.append(path[-1] | moved)
                if not self.training:
                    del path[0]  # a site asks for the last weights alone
        return path

    def _gradients(
        self,
        path: list[Weights],
        inputs: Float[Tensor, "support *input"],
        labels: Int[Tensor, "support"],
    ) -> Iterator[Weights]:
        """The support's gradient at the path's last weights, step after step."""

        def of_head(
            head: Float[Tensor, "way feature"], features: Float[Tensor, "support feature"]
        ) -> Float[Tensor, ""]:
            return self.head.loss(features @ head.T, labels)

        body = {name: weight for name, weight in path[0].items() if name != HEAD}
        features, pull = self._pulled_back(body, inputs)
        yield {HEAD: grad(of_head)(path[-1][HEAD], features)}
        head, of_features = grad(of_head, argnums=(0, 1))(path[-1][HEAD], features)
        yield {**pull(of_features), HEAD: head}
        while True:
            yield grad(lambda weights: self.head.loss(self._forward(weights, inputs), labels))(
                path[-1]
            )

    def _pulled_back(
        self, body: Weights, inputs: Float[Tensor, "image *input"]
    ) -> tuple[Float[Tensor, "image feature"], Callable[[Tensor], Weights]]:
        """The features of the inputs, and what makes of a gradient at them that of the body."""
        if not body:
            return inputs, lambda of_features: {}
        # has_aux is off, so there are two; torch's types do not tell
        features, pull, *_ = vjp(lambda weights: self._features(weights, inputs), body)
        return features, lambda of_features: pull(of_features)[0]

    def _start(self, way: int) -> Weights:
        body = {} if self.settings.anil else dict(self.encoder.named_parameters())
        return {**body, HEAD: self.class_vector.expand(way, -1)}

    def _rates(self, step: int, parameters: int) -> list[float] | Float[Tensor, "parameter"]:
        """The inner step's rates; steps beyond those of training take the last one's."""
        if not self.settings.learned_rates:
            return [self.settings.inner_rate] * parameters
        return self.rates[:, min(step, self.rates.shape[1] - 1)]

    def _forward(
        self, weights: Weights, inputs: Float[Tensor, "image *input"]
    ) -> Float[Tensor, "image way"]:
        body = {name: weight for name, weight in weights.items() if name != HEAD}
        return self._features(body, inputs) @ weights[HEAD].T

    def _features(
        self, body: Weights, inputs: Float[Tensor, "image *input"]
    ) -> Float[Tensor, "image feature"]:
        return functional_call(self.encoder, body, (inputs,)) if body else inputs


def vectorised(settings: Settings, device: torch.device) -> bool:
    """Whether all tasks of a chunk are computed as one: the kernels of a GPU are then filled, as
    threads fill a CPU.
    """
    return settings.together == "vectorised" or (
        settings.together == "auto" and device.type == "cuda"
    )


def step_weights(steps: int, progress: float) -> list[float]:
    """How much the query loss after each inner step counts: evenly at first, only the last from
    `progress` 1 on. They sum to 1.
    """
    if steps <= 1 or progress >= 1:
        return [1.0]
    early = (1 - progress) / steps
    return [early] * (steps - 1) + [1 - early * (steps - 1)]
