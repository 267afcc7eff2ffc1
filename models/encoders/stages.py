"""The stages of a network, from its input on, and which of them training leaves as they are."""

from typing import Any, Literal

from monai.networks.nets import DenseNet121, ResNet
from monai.networks.nets.efficientnet import EfficientNet
from torch import nn

from workspace.errors import Problem, Refusal


def stages(network: Any) -> list[list[nn.Module]]:
    """The parts that hold weights, in order: stem, stages and head; of a conv4 its blocks."""
    if isinstance(network, ResNet):
        layers = (network.layer1, network.layer2, network.layer3, network.layer4)
        return [[network.conv1, network.bn1], *([layer] for layer in layers)]
    if isinstance(network, DenseNet121):
        parts: Any = network.features
        dense = [
            [parts.denseblock1, parts.transition1],
            [parts.denseblock2, parts.transition2],
            [parts.denseblock3, parts.transition3],
        ]
        return [[parts.conv0, parts.norm0], *dense, [parts.denseblock4, parts.norm5]]
    if isinstance(network, EfficientNet):
        return [
            [network._conv_stem, network._bn0],
            *([stage] for stage in network._blocks),
            [network._conv_head, network._bn1],
        ]
    return [[block] for block in network if list(block.parameters())]


def freeze(network: nn.Module, frozen: Literal["all"] | int) -> None:
    """Take the first `frozen` stages out of training.

    Raises Refusal where there are not that many.
    """
    parts = stages(network)
    if frozen != "all" and frozen >= len(parts):
        need = f"at most {len(parts) - 1} of its {len(parts)} stages, or all"
        cure = "lower it, or write all"
        raise Refusal(Problem("params.yaml encoder.frozen", str(frozen), need, cure))
    for stage in parts if frozen == "all" else parts[:frozen]:
        for module in stage:
            module.requires_grad_(False)


def frozen_modules(model: nn.Module) -> list[nn.Module]:
    """The modules whose weights are all frozen: they stay in evaluation mode, so that no norm's
    statistics move under them.
    """
    return [
        module
        for module in model.modules()
        if list(module.parameters())
        and not any(weight.requires_grad for weight in module.parameters())
    ]
