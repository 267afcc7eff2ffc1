"""What a training draws from, and how its images vary."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from data_prep.episodes.draw import SitePool
from data_prep.episodes.images import Stored
from models.augmentation.augment import augment
from models.augmentation.settings import Augment

TRAINING, VALIDATION = 0, 1  # streams of episodes that never meet, whatever the seed


@dataclass(frozen=True)
class Variation:
    """How the images of a task are augmented: by its own ranges, or by those of all."""

    general: Augment
    by_task: dict[str, Augment]

    def apply(
        self, task: str, images: Float[Tensor, "batch channel *space"], seed: int
    ) -> Float[Tensor, "batch channel *space"]:
        return augment(self.by_task.get(task, self.general), images, seed)


@dataclass(frozen=True)
class Source:
    """What training draws from: the pools of one split, their pixels, the run's seed and stream."""

    pools: list[SitePool]
    images: Stored
    seed: tuple[int, int]  # of the run, of the stream
    augment: Variation
    # this process's number, of how many that divide each step between them
    share: tuple[int, int] = (0, 1)

    def part(self, whole: int) -> slice:
        """Which of a step's `whole` tasks or images are this process's."""
        number, processes = self.share
        return slice(number * whole // processes, (number + 1) * whole // processes)

    def step_seed(self, step: int, purpose: int = 0) -> int:
        """One number for what else a step draws at random: 0 augmentation, 1 what the model itself
        draws.
        """
        return int(np.random.SeedSequence([*self.seed, step]).generate_state(purpose + 1)[purpose])
