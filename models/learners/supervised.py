"""The source model: one encoder trained on all source sites, with a linear head for each task.

The baselines start from it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from data_prep.episodes.draw import SitePool
from data_prep.episodes.images import Stored
from models.encoders.features import features_of
from models.heads.head import Head
from models.heads.label import LabelHead
from models.settings import Batched as Settings
from models.training.source import Source
from models.training.trainable import Trainable
from workspace.errors import Problem, Refusal


@dataclass(frozen=True)
class TaskBatch:
    """Labelled images of one task; labels index the task's classes."""

    task: str
    images: Float[Tensor, "batch channel *space"]
    labels: Int[Tensor, "batch"]


class Supervised(Trainable):
    """Encoder, heads by task (rows in the order of `tasks[task]`), and the source statistics of the
    features.
    """

    head: Head = LabelHead()

    settings: Settings
    heads: nn.ModuleDict

    feature_mean: Float[Tensor, "feature"]
    feature_std: Float[Tensor, "feature"]

    def __init__(
        self, encoder: nn.Module, features: int, settings: Settings, tasks: dict[str, list[str]]
    ):
        super().__init__()
        self.encoder, self.settings, self.tasks = encoder, settings, tasks
        self.heads = nn.ModuleDict(
            {task: self.head.layer(features, len(classes)) for task, classes in tasks.items()}
        )
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_std", torch.ones(features))

    def batch(self, source: Source, step: int) -> list[TaskBatch]:
        """Images drawn by site, class and patient in turn, a process's share: a pure function of
        the run's seed and the step.

        Sites and classes come up as the square root of their patients: between as often as they are
        and all alike.
        """
        rng = np.random.default_rng([*source.seed, step])
        sites = _shares([sum(map(len, pool.patients.values())) for pool in source.pools])
        drawn: dict[str, list[tuple[int, int]]] = {}
        for _ in range(self.settings.batch):
            pool = source.pools[rng.choice(len(sites), p=sites)]
            label = rng.choice(
                list(pool.patients),
                p=_shares([len(patients) for patients in pool.patients.values()]),
            )
            rows = pool.patients[label][int(rng.integers(len(pool.patients[label])))]
            drawn.setdefault(pool.task, []).append(
                (int(rows[rng.integers(len(rows))]), self.tasks[pool.task].index(label))
            )
        order = sorted(drawn)
        rows, labels = np.array([pair for task in order for pair in drawn[task]]).T
        parts = [len(drawn[task]) for task in order]
        images = source.images.gather(rows).split(parts)
        batch = [
            TaskBatch(task, source.augment.apply(task, own, source.step_seed(step) + at), mine)
            for at, (task, own, mine) in enumerate(
                zip(
                    order,
                    images,
                    torch.from_numpy(labels).to(source.images.device).split(parts),
                    strict=True,
                )
            )
        ]
        return _share(batch, source.part(self.settings.batch))

    def loss(self, batch: list[TaskBatch]) -> Float[Tensor, ""]:
        """Mean cross-entropy over all images of the batch, each under its own task's head."""
        features = self.encoder(torch.cat([part.images for part in batch])).split(
            [len(part.labels) for part in batch]
        )
        losses = [
            self.head.loss(self.heads[part.task](own), part.labels, reduction="sum")
            for own, part in zip(features, batch, strict=True)
        ]
        return torch.stack(losses).sum() / sum(len(part.labels) for part in batch)

    def check(self, source: Source) -> list[str]:
        """What validation leaves out, in words: classes without validation patients.

        Raises Refusal where none is left.
        """
        empty = [
            f"site {pool.site}, class {label}: no validation patients"
            for pool in source.pools
            for label, patients in pool.patients.items()
            if not patients
        ]
        if len(empty) == sum(len(pool.patients) for pool in source.pools):
            where, need = "validation of supervised", "some of each source site"
            raise Refusal(Problem(where, "no patients", need, "raise tasks.source_validation"))
        return empty

    def validate(self, source: Source) -> float:
        """Balanced accuracy on the validation patients, averaged over the sites that have any."""
        pools = [pool for pool in source.pools if any(pool.patients.values())]
        return float(np.mean([self._balanced_accuracy(pool, source.images) for pool in pools]))

    def _balanced_accuracy(self, pool: SitePool, images: Stored) -> float:
        recalls = []
        for label, patients in pool.patients.items():
            if patients:
                features = features_of(self.encoder, images, patients.rows)
                answer = self.heads[pool.task](features)
                target = torch.full(answer.shape[:1], self.tasks[pool.task].index(label))
                recalls.append(float(self.head.agreement(answer, target.to(answer.device))))
        return float(np.mean(recalls))

    def measure_features(self, source: Source) -> None:
        """Set the source statistics from the training images: baselines centre and scale features
        with them.
        """
        rows = np.concatenate(
            [patients.rows for pool in source.pools for patients in pool.patients.values()]
        )
        features = features_of(self.encoder, source.images, rows)
        self.feature_mean.copy_(features.mean(0))
        self.feature_std.copy_(features.std(0).clamp(min=1e-6))


def _share(batch: list[TaskBatch], mine: slice) -> list[TaskBatch]:
    """The images from `mine.start` to `mine.stop`, counted over all tasks."""
    kept, before = [], 0
    for part in batch:
        own = slice(max(mine.start - before, 0), max(mine.stop - before, 0))
        kept.append(TaskBatch(part.task, part.images[own], part.labels[own]))
        before += len(part.labels)
    return [part for part in kept if len(part.labels)]


def _shares(counts: list[int]) -> Float[np.ndarray, "count"]:
    roots = np.sqrt(counts)
    return roots / roots.sum()
