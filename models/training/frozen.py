"""A wholly frozen encoder in training: each image's features are computed once, not once an
episode, so nothing is augmented.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from data_prep.episodes.images import Images
from models.encoders.features import features_of
from models.training.source import Source, Variation
from models.training.trainable import Trainable
from workspace.errors import Problem, Refusal
from workspace.progress import say


@dataclass(frozen=True)
class Features(Images):
    """What an encoder made of every image, in the place of the images."""

    stored: Float[Tensor, "record *feature"]

    def gather(self, rows: Int[np.ndarray, "batch"]) -> Float[Tensor, "batch *feature"]:
        return self.stored.index_select(0, torch.from_numpy(rows).to(self.device))


@dataclass(frozen=True)
class Unvaried(Variation):
    """Features are taken as they are: an augmentation moves pixels."""

    def apply(
        self, task: str, images: Float[Tensor, "batch *feature"], seed: int
    ) -> Float[Tensor, "batch *feature"]:
        return images


@contextmanager
def features_once(model: Trainable, frozen: bool, *sources: Source) -> Iterator[tuple[Source, ...]]:
    """Yield `sources`, of features if `model.encoder` is `frozen`; meanwhile an encoder that passes
    them on stands in its place.
    """
    if not frozen:
        yield sources
        return
    if model.maps:
        found = "all, with a learner that takes feature maps"
        need = "a number of stages, since maps of all images fill the memory"
        cure = "lower encoder.frozen under this learner"
        raise Refusal(Problem("params.yaml encoder.frozen", found, need, cure))
    once = "features are computed once an image and no image is augmented"
    say(f"train: the encoder is frozen, so {once}")
    encoder, images = model.encoder.eval(), sources[0].images
    features = Features(features_of(encoder, images, np.arange(len(images))), images.first_row)
    model.encoder = nn.Identity()
    try:
        yield tuple(
            replace(source, images=features, augment=Unvaried(source.augment.general, {}))
            for source in sources
        )
    finally:
        model.encoder = encoder
