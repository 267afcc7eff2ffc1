"""Encoders by name, in 2D and 3D: each gives one feature vector an image, or maps of features."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.encoders.networks import build_network
from models.encoders.settings import Encoder
from models.encoders.stages import freeze
from workspace.errors import Problem, Refusal


def build_encoder(
    settings: Encoder, channels: int, size: list[int], maps: bool = False
) -> nn.Module:
    """An encoder for images (batch, channel, *size) in [0, 1] that returns (batch, feature), or
    (batch, feature, *space) for `maps`.

    Two or three axes in `size`. Its weights bear the same names either way.
    """
    body = build_network(settings, channels, len(size), maps)
    if len(size) == 2 and settings.norm == "batch":
        # on a CPU a step takes 0.65 to 0.9 of the time; with group norm, more
        body = body.to(memory_format=torch.channels_last)
    freeze(body, settings.frozen)
    if settings.standardise:
        return nn.Sequential(Standardise(), body)
    return nn.Sequential(LiteScale(), body) if settings.name == "efficientnet-lite0" else body


def network_of(encoder: nn.Module) -> nn.Module:
    """The network itself, without what is done to its input: its weights bear the names that files
    know.
    """
    if isinstance(encoder, nn.Sequential) and isinstance(encoder[0], Standardise | LiteScale):
        return encoder[1]
    return encoder


class Standardise(nn.Module):
    """Bring each image and channel to mean 0 and standard deviation 1; nearly flat ones are not
    blown up.
    """

    FLAT = 0.05  # of full range, added to the deviation: about the noise of an 8-bit image

    def forward(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        axes = tuple(range(2, images.ndim))
        return (images - images.mean(axes, keepdim=True)) / (
            images.std(axes, keepdim=True) + self.FLAT
        )


class LiteScale(nn.Module):
    """Bring [0, 1] to the range that EfficientNet-Lite was trained on: (value - 127) / 128 of 8
    bits.

    In 2D the channels come last in memory: on a CPU its depthwise convolutions then take little
    more than half the time.
    """

    def forward(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        scaled = (images * 255 - 127) / 128
        return scaled.contiguous(memory_format=torch.channels_last) if scaled.ndim == 4 else scaled


def feature_shape(encoder: nn.Module, channels: int, size: list[int]) -> tuple[int, ...]:
    """What the encoder makes of one image: (feature,), or (feature, *space) of its maps.

    Raises Refusal where it pools the images away.
    """
    try:
        with torch.no_grad():
            # training would move a batch norm's statistics
            return tuple(encoder.eval()(torch.zeros(2, channels, *size)).shape[1:])
    except (RuntimeError, ValueError):
        # torch's own words: no pixel left to pool, or one that instance norm would erase
        found = f"images of {'x'.join(map(str, size))}, too small for its layers and norm"
        need = "larger images, fewer poolings or group norm"
        cure = "raise convert.size or set encoder to conv4"
        raise Refusal(Problem("params.yaml encoder", found, need, cure)) from None
