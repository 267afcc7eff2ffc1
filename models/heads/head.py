"""What a head is: all that training, adaptation and prediction know of the kind of target."""

from abc import ABC, abstractmethod
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Reduction = Literal["mean", "sum", "none"]


class Head(ABC):
    """Turns features into an answer, and an answer into a loss.

    An answer is logits whose last axis is the classes; a target is what a record is labelled with.
    """

    @abstractmethod
    def layer(self, features: int, classes: int) -> nn.Module:
        """From the encoder's features to logits of classes that are known before training."""

    @abstractmethod
    def loss(self, answer: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
        """What training descends; "none": each image's own."""

    @abstractmethod
    def probabilities(self, answer: Tensor) -> Tensor:
        """Of the classes, in float32."""

    @abstractmethod
    def agreement(self, answer: Tensor, target: Tensor) -> Float[Tensor, ""]:
        """How good answers are, from 0 to 1: the best weights are chosen by it."""
