"""The contract of every few-shot method: embed once, adapt to a support set, predict a query set;
learners also have a loss.

`embed` is all that adaptation never changes, so an evaluation computes it once an image and not
once a draw: the encoder of a prototypical network, nothing at all for MAML.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data_prep.episodes.draw import (
    EpisodeRows,
    Episodes,
    draw_episodes,
    drop_small_classes,
)
from models.heads.head import Head
from models.heads.label import LabelHead
from models.settings import Episodic
from models.support import Support
from models.training.source import Source
from models.training.trainable import Trainable
from workspace.errors import Problem, Refusal


class Method(nn.Module, ABC):
    """A way to classify a query set from a support set.

    `adapt` returns a value and changes nothing in the method.
    """

    transductive = False  # True where a query's logits depend on the other queries
    head: Head = LabelHead()  # what differs between kinds of target

    def embed(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch *input"]:
        """What adaptation does not change; images as they are unless a method says otherwise."""
        return images

    @abstractmethod
    def adapt(self, support: Support) -> Any:
        """Learn each task from its support; the result is `predict`'s first argument."""

    @abstractmethod
    def predict(
        self, adapted: Any, query: Float[Tensor, "task query *input"]
    ) -> Float[Tensor, "task query way"]:
        """Logits of each query, independent of the other queries."""


class Learner(Method, Trainable):
    """A method that is meta-trained on episodes."""

    settings: Episodic

    def __init__(self, settings: Episodic):
        super().__init__()
        self.settings = settings

    def batch(self, source: Source, step: int) -> Episodes:
        """The episodes of one training step, of a process its share: a pure function of the run's
        seed and the step.

        Queries are not augmented.
        """
        chosen, mine = self.settings, source.part(self.settings.tasks)
        drawn = draw_episodes(
            source.pools,
            source.seed,
            step,
            chosen,
            tasks=chosen.tasks,
            cross_site=chosen.cross_site,
        )
        rows = EpisodeRows(
            drawn.support[mine], drawn.query[mine], drawn.query_labels[mine], drawn.names[mine]
        )
        episodes = rows.gather(source.images)
        varied = [
            source.augment.apply(name, support, source.step_seed(step) + at)
            for at, (name, support) in enumerate(
                zip(rows.names, episodes.support, strict=True), start=mine.start
            )
        ]
        return replace(episodes, support=torch.stack(varied), step=step, first=mine.start)

    def logits(self, episodes: Episodes) -> Float[Tensor, "task query way"]:
        """Embed, adapt and predict a batch of tasks."""
        support, query = self.embed_both(episodes)
        return self.predict(
            self.adapt(Support(support, episodes.support_labels, episodes.way)), query
        )

    def embed_both(
        self, episodes: Episodes
    ) -> tuple[Float[Tensor, "task support *input"], Float[Tensor, "task query *input"]]:
        """The support's and the query's inputs, embedded in one batch: a batch norm in training
        sees the whole episode as one.
        """
        images = torch.cat([episodes.support, episodes.query], 1)
        inputs = self.embed(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        return inputs[:, : episodes.support.shape[1]], inputs[:, episodes.support.shape[1] :]

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """The head's loss of the queries, mean over all: cross-entropy of labels."""
        return self.head.loss(self.logits(episodes), episodes.query_labels)

    def check(self, source: Source) -> list[str]:
        """What meta-validation leaves out, in words: classes with too few validation patients for
        the training shot.

        Raises Refusal where nothing is left to validate on.
        """
        kept, dropped = drop_small_classes(source.pools, self.settings.shot)
        if not kept:
            need = "one site with two classes that are large enough"
            cure = "lower shot under learners in params.yaml or raise tasks.source_validation"
            raise Refusal(Problem("meta-validation", "; ".join(dropped), need, cure))
        return dropped

    def validate(self, source: Source) -> float:
        """Mean agreement, accuracy of labels, over a fixed list of validation episodes."""
        chosen, right = self.settings, []
        pools, _ = drop_small_classes(source.pools, chosen.shot)
        for index in range(chosen.validation_episodes):
            rows = draw_episodes(pools, source.seed, index, chosen, tasks=1)
            episodes = rows.gather(source.images)
            with torch.no_grad():
                right.append(self.head.agreement(self.logits(episodes), episodes.query_labels))
        return float(torch.stack(right).mean())
