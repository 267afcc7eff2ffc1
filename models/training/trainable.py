"""What training asks of a model, whatever it learns from."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from models.settings import Learning
from models.training.source import Source


class Trainable(nn.Module, ABC):
    """A model that draws its own batches, and says what is lost on one.

    maps: the encoder gives maps of features, not one vector an image. keeps_last: the last weights
    are kept, not those that validated best.
    """

    settings: Learning
    encoder: nn.Module
    maps = False
    keeps_last = False

    @property
    def tasks_alone(self) -> bool:
        """Whether each task goes through the network by itself, so threads may take them."""
        return False

    @property
    def most_classes(self) -> int | None:
        """As many classes as it can tell apart; None where there is no limit."""
        return None

    @abstractmethod
    def batch(self, source: Source, step: int) -> Any:
        """What a step learns from, of a process its share: pure in the run's seed and the step."""

    @abstractmethod
    def loss(self, batch: Any) -> Float[Tensor, ""]:
        """What the step descends."""

    @abstractmethod
    def check(self, source: Source) -> list[str]:
        """What validation leaves out, in words. Raises Refusal where nothing is left."""

    @abstractmethod
    def validate(self, source: Source) -> float:
        """How good the model is; the higher, the better."""
