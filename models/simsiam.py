"""SimSiam: Chen and He 2021, section 3.

Two views of an image predict each other; no label, no negative pair, no momentum encoder.

The optimiser is that of all training here (AdamW, cosine descent), not the paper's SGD.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from data_prep.episodes.draw import SitePool
from models.encoders.features import features_of
from models.settings import Pretrain
from models.training.source import Source
from models.training.trainable import Trainable
from workspace.errors import Problem, Refusal

Views = tuple[Float[Tensor, "batch channel *space"], Float[Tensor, "batch channel *space"]]


def similarity(
    predicted: Float[Tensor, "batch feature"], target: Float[Tensor, "batch feature"]
) -> Float[Tensor, ""]:
    """Mean cosine; the target is a constant (the stop-gradient, without which all images collapse
    onto one point).
    """
    return F.cosine_similarity(predicted, target.detach(), dim=1).mean()


def spread(features: Float[Tensor, "batch feature"]) -> float:
    """How far apart features point: 0 where all are parallel, which is a collapse, 1 where they
    cancel each other out.
    """
    return float((1 - F.normalize(features, dim=1).mean(0).square().sum()).clamp(min=0).sqrt())


class SimSiam(Trainable):
    """Encoder, projector of three layers and predictor of two with a bottleneck of a quarter; only
    the encoder is kept.
    """

    # nothing without labels says which step is best: similarity and spread are best where nothing
    # was learned
    keeps_last = True
    settings: Pretrain

    def __init__(self, encoder: nn.Module, features: int, settings: Pretrain):
        super().__init__()
        self.encoder, self.settings = encoder, settings
        width = settings.projection
        self.projector = nn.Sequential(
            *_hidden(features, width),
            *_hidden(width, width),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width, affine=False),
        )
        self.predictor = nn.Sequential(*_hidden(width, width // 4), nn.Linear(width // 4, width))

    def batch(self, source: Source, step: int) -> Views:
        """Two views of images of all sites, each site as often as the square root of its images;
        pure in the run's seed and the step.
        """
        rng = np.random.default_rng([*source.seed, step])
        rows = [_rows([pool]) for pool in source.pools]
        roots = np.sqrt([len(own) for own in rows])
        views: tuple[list[Tensor], list[Tensor]] = ([], [])
        for at, count in enumerate(rng.multinomial(self.settings.batch, roots / roots.sum())):
            if count == 0:
                continue
            images = source.images.gather(rng.choice(rows[at], count))
            for which, view in enumerate(views):
                view.append(
                    source.augment.apply(
                        source.pools[at].task, images, source.step_seed(step) + 2 * at + which
                    )
                )
        return torch.cat(views[0]), torch.cat(views[1])

    def loss(self, views: Views) -> Float[Tensor, ""]:
        """The negative similarity of each view's prediction to the other view's projection."""
        first, second = (self.projector(self.encoder(view)) for view in views)
        forth = similarity(self.predictor(first), second)
        return -(forth + similarity(self.predictor(second), first)) / 2

    def check(self, source: Source) -> list[str]:
        """Nothing is left out.

        Raises Refusal where no validation image is there to watch the spread on.
        """
        if not any(any(pool.patients.values()) for pool in source.pools):
            where, need = "validation of simsiam", "some of a source site"
            raise Refusal(Problem(where, "no patients", need, "raise tasks.source_validation"))
        return []

    def validate(self, source: Source) -> float:
        """The spread of the encoder's features of the validation images."""
        return spread(features_of(self.encoder, source.images, _rows(source.pools)))


def _hidden(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]


def _rows(pools: list[SitePool]) -> Int[np.ndarray, "row"]:
    return np.concatenate([patients.rows for pool in pools for patients in pool.patients.values()])
