"""Nearest centroid on centred, normalised source features: SimpleShot, CL2N (Wang, Chao, Weinberger
and van der Maaten 2019).
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from models.learners.supervised import Supervised
from models.method import Method
from models.support import Support, class_means, nearness


class NearestCentroid(Method):
    """Features minus their source mean, on the unit sphere; logits are negative squared distances
    to the class means.
    """

    def __init__(self, source: Supervised):
        super().__init__()
        self.source = source

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        return F.normalize(self.source.encoder(images) - self.source.feature_mean, dim=1)

    def adapt(self, support: Support) -> Float[Tensor, "task way feature"]:
        return class_means(support)

    def predict(
        self, adapted: Float[Tensor, "task way feature"], query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        return nearness(adapted, query)
