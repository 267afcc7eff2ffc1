"""The head of a target that is one class an image: cross-entropy in training, accuracy in
validation.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from models.heads.head import Head, Reduction


class LabelHead(Head):
    """Logits (..., way) of images that are of one class each; targets (...) are 0..way-1."""

    def layer(self, features: int, classes: int) -> nn.Linear:
        return nn.Linear(features, classes)

    def loss(
        self,
        answer: Float[Tensor, "*image way"],
        target: Int[Tensor, "*image"],
        reduction: Reduction = "mean",
    ) -> Float[Tensor, "*loss"]:
        if reduction == "none":
            return F.cross_entropy(answer.movedim(-1, 1), target, reduction="none")
        return F.cross_entropy(answer.flatten(0, -2), target.flatten(), reduction=reduction)

    def probabilities(self, answer: Float[Tensor, "*image way"]) -> Float[Tensor, "*image way"]:
        return answer.double().softmax(-1).float()

    def agreement(
        self, answer: Float[Tensor, "*image way"], target: Int[Tensor, "*image"]
    ) -> Float[Tensor, ""]:
        return (answer.argmax(-1) == target).float().mean()
