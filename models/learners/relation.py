"""Relation network: Sung, Yang, Zhang, Xiang, Torr and Hospedales 2018, sections 3.2 and 3.3."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from monai.networks.blocks import Convolution
from torch import Tensor, nn

from data_prep.episodes.draw import Episodes
from models.encoders.networks import GROUPS
from models.method import Learner
from models.settings import Episodic
from models.support import Support, class_means
from workspace.settings import Count

FILTERS = 64  # of the relation module's blocks
AT_ONCE = 16  # queries that are paired with all classes at once


class Settings(Episodic):
    """Settings of the relation network."""

    hidden: Count = 8
    """units of the relation module's dense layer"""


class Relation(Learner):
    """Score how far a query's feature map and a class's are of one kind, by a small convolutional
    network that is learned too.

    A class's map is the mean over its shots (the paper's sum, which would grow with the shots).
    Logits are the scores before the sigmoid.
    """

    maps = True  # the encoder gives maps and not vectors

    def __init__(self, encoder: nn.Module, shape: tuple[int, ...], settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.relate = relation_module(shape, settings.hidden)

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature *map"]:
        return self.encoder(images)

    def adapt(self, support: Support) -> Float[Tensor, "task way feature *map"]:
        shape = support.inputs.shape[2:]
        return class_means(
            Support(support.inputs.flatten(2), support.labels, support.way)
        ).unflatten(-1, shape)

    def predict(
        self,
        adapted: Float[Tensor, "task way feature *map"],
        query: Float[Tensor, "task query feature *map"],
    ) -> Float[Tensor, "task query way"]:
        # at a site, pairs of maps would fill the memory
        parts = [query] if self.training else query.split(AT_ONCE, 1)
        return torch.cat([self._scores(adapted, part) for part in parts], 1)

    def _scores(
        self,
        adapted: Float[Tensor, "task way feature *map"],
        query: Float[Tensor, "task query feature *map"],
    ) -> Float[Tensor, "task query way"]:
        tasks, queries, ways = query.shape[0], query.shape[1], adapted.shape[1]
        # A convolution of two maps side by side is the sum of one of each: so it is done once a
        # map, not once a pair.
        first: Any = self.relate[0]
        weights = first.conv.weight.chunk(2, 1)
        convolve = F.conv3d if query.ndim == 6 else F.conv2d
        of_class, of_query = (
            convolve(maps.flatten(0, 1), weight, padding="same").unflatten(0, maps.shape[:2])
            for maps, weight in zip((adapted, query), weights, strict=True)
        )
        pairs = (of_class[:, None] + of_query[:, :, None]).flatten(0, 2) + first.conv.bias.reshape(
            -1, *[1] * (query.ndim - 3)
        )
        return self.relate[1:](first.adn(pairs)).reshape(tasks, queries, ways)

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """Mean squared error of the scores against one-hot targets (equation 2)."""
        scores = self.logits(episodes).sigmoid()
        return F.mse_loss(scores, F.one_hot(episodes.query_labels, episodes.way).to(scores.dtype))


def relation_module(shape: tuple[int, ...], hidden: int) -> nn.Sequential:
    """Two convolutional blocks and two dense layers over a pair of maps (channel, *space), each
    block pooling while it can.

    Group norm: batch norm would tie a pair's score to the other pairs.
    """
    channels, space = 2 * shape[0], list(shape[1:])
    pool = nn.MaxPool3d if len(space) == 3 else nn.MaxPool2d
    layers: list[nn.Module] = []
    for _ in range(2):
        layers.append(
            Convolution(
                len(space),
                channels,
                FILTERS,
                kernel_size=3,
                adn_ordering="NA",
                act="RELU",
                norm=("group", {"num_groups": GROUPS}),
            )
        )
        channels = FILTERS
        if min(space) > 1:
            layers.append(pool(2))
            space = [side // 2 for side in space]
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(FILTERS * math.prod(space), hidden),
        nn.ReLU(),
        nn.Linear(hidden, 1),
    )
