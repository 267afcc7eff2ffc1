"""Prototypical network: Snell, Swersky and Zemel 2017, section 2.3."""

from jaxtyping import Float
from torch import Tensor, nn

from models.method import Learner
from models.settings import Episodic as Settings
from models.support import Support, class_means, nearness


class Prototypical(Learner):
    """Classify by squared Euclidean distance to each class's mean embedding."""

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        return self.encoder(images)

    def adapt(self, support: Support) -> Float[Tensor, "task way feature"]:
        return class_means(support)

    def predict(
        self, adapted: Float[Tensor, "task way feature"], query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        return nearness(adapted, query)
