"""Siamese network: Koch, Zemel and Salakhutdinov 2015, section 3.1, trained on the pairs of an
episode.
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from data_prep.episodes.draw import Episodes
from models.method import Learner
from models.settings import Episodic
from models.support import Support, class_means
from workspace.settings import Count

# Every difference counts against likeness from the start: with signs at random, a short training
# was spent on finding them.
FIRST_WEIGHT = -0.2
EVEN = 0.1  # mean difference at which the odds start even


class Settings(Episodic):
    """Settings of the Siamese network."""

    units: Count = 512
    """of the layer in which two images are compared (the paper's: 4096)"""


class Siamese(Learner):
    """Tell whether two images are of one class, by a learned weighting of how far their embeddings
    lie apart, axis by axis.

    With several shots a class's logit is the mean of its pairs' log odds.
    """

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.project = nn.Linear(features, settings.units)
        self.same = nn.Linear(settings.units, 1)
        nn.init.constant_(self.same.weight, FIRST_WEIGHT)
        nn.init.constant_(self.same.bias, -FIRST_WEIGHT * settings.units * EVEN)

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        return self.project(self.encoder(images)).sigmoid()

    def adapt(self, support: Support) -> Support:
        return support

    def predict(
        self, adapted: Support, query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        odds = self.pair_odds(query, adapted.inputs)
        return class_means(Support(odds.transpose(1, 2), adapted.labels, adapted.way)).transpose(
            1, 2
        )

    def pair_odds(
        self,
        first: Float[Tensor, "task first feature"],
        second: Float[Tensor, "task second feature"],
    ) -> Float[Tensor, "task first second"]:
        """Log odds that two images are of one class; the same whichever comes first."""
        return self.same((first[:, :, None] - second[:, None]).abs())[..., 0]

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """Cross-entropy of all pairs of a support and a query image, where like and unlike pairs
        weigh the same.

        Support and query share no patient, so no pair is of an image with itself.
        """
        support, query = self.embed_both(episodes)
        odds = self.pair_odds(query, support)
        alike = episodes.query_labels[:, :, None] == episodes.support_labels[:, None]
        return balanced_cross_entropy(odds, alike)


def balanced_cross_entropy(
    odds: Float[Tensor, "*pair"], alike: Bool[Tensor, "*pair"]
) -> Float[Tensor, ""]:
    """Binary cross-entropy whose like pairs weigh as much in all as its unlike ones."""
    each = F.binary_cross_entropy_with_logits(odds, alike.to(odds.dtype), reduction="none")
    return (each[alike].mean() + each[~alike].mean()) / 2
