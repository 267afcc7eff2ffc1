"""Weights matched to an encoder tensor by tensor, with a report of what matched."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.encoders.settings import Encoder
from models.encoders.tensors import WHERE
from workspace.errors import Problem, Refusal

SHOWN = 4  # layers that a message names


@dataclass(frozen=True)
class LayerReport:
    """What an encoder took from a file.

    `fresh`: its layers that took nothing; `unused`: the file's layers that it has no use for.
    """

    weights: str
    sha256: str
    matched: int  # tensors
    tensors: int  # of the encoder
    channels: str | None  # how the first convolution was made to fit other input channels
    fresh: list[str]
    unused: list[str]

    def __str__(self) -> str:
        parts = [
            f"weights {self.weights}: {self.matched} of the encoder's "
            f"{self.tensors} tensors matched",
            self.channels,
            f"left fresh: {_named(self.fresh)}" if self.fresh else None,
            f"not used: {_named(self.unused)}" if self.unused else None,
        ]
        return "; ".join(part for part in parts if part)


def fit(
    network: nn.Module, found: dict[str, Tensor], settings: Encoder, sha256: str
) -> LayerReport:
    """Copy every tensor that fits by name and shape into `network`.

    Raises Refusal for a partial fit, unless settings.partial.
    """
    wanted = network.state_dict()
    aligned, unused = _align(found, wanted)
    _refuse_other_axes(aligned, wanted)
    first = next(name for name, tensor in wanted.items() if tensor.ndim > 2)
    channels = None
    if first in aligned and aligned[first].shape != wanted[first].shape:
        aligned[first], channels = _other_channels(aligned[first], wanted[first])
    taken = {name: tensor for name, tensor in aligned.items() if tensor.shape == wanted[name].shape}
    matched, tensors = _counted(taken), _counted(wanted)
    report = LayerReport(
        str(settings.weights),
        sha256,
        len(matched),
        len(tensors),
        channels,
        _layers(tensors - matched),
        _layers(unused),
    )
    without_place = sorted(set(report.unused) & set(_layers(wanted)))
    if not matched or (not settings.partial and (report.fresh or without_place)):
        raise Refusal(_misfit(report, aligned, wanted, taken.keys(), without_place))
    with torch.no_grad():
        for name, tensor in taken.items():
            wanted[name].copy_(tensor)
    return report


def _refuse_other_axes(aligned: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Raise Refusal for the weights of a network of 2D images where volumes are meant, or back."""
    axes = {(tensor.ndim - 2, wanted[name].ndim - 2) for name, tensor in aligned.items()}
    for have, need in sorted(pair for pair in axes if pair[0] != pair[1] and min(pair) > 0):
        found, wants = f"weights for {have}D images", f"{need}D, as convert.size says"
        cure = f"take weights of a {need}D network, or none"
        raise Refusal(Problem(WHERE, found, wants, cure))


def _misfit(
    report: LayerReport,
    aligned: dict[str, Tensor],
    wanted: dict[str, Tensor],
    taken: Collection[str],
    without_place: list[str],
) -> Problem:
    """Which of the file's weights do not fit, and why."""
    misfits = [name for name in aligned if name not in taken][:SHOWN]
    shapes = "".join(
        f"; {name} is {_shape(aligned[name])} there and {_shape(wanted[name])} here"
        for name in misfits
    )
    lost = "; more in the file than the encoder holds: "
    found = (
        f"{report.matched} of the encoder's {report.tensors} tensors in the file; left fresh: "
        f"{_named(report.fresh) or 'none'}{shapes}"
    )
    found += f"{lost}{_named(without_place)}" if without_place else ""
    cure = "correct name, norm and width of encoder"
    cure += ", or set encoder.partial: true" if report.matched else " or take another file"
    return Problem(WHERE, found, "all of them", cure)


def _counted(names: Iterable[str]) -> set[str]:
    """All but the counters of batch norm, which older files lack and which nothing here reads."""
    return {name for name in names if not name.endswith("num_batches_tracked")}


def _align(
    found: dict[str, Tensor], wanted: dict[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """What `wanted` knows by name, under the prefix (`module.`, `net.`, ...) that fits most; and
    the names of the rest.

    EfficientNets of other programs number their blocks throughout, MONAI by stage and throughout.
    """
    flat = {re.sub(r"^_blocks\.\d+\.(\d+)\.", r"_blocks.\1.", name): name for name in wanted}
    prefixes = {""} | {name[: dot.end()] for name in found for dot in re.finditer(r"\.", name)}

    def under(prefix: str) -> dict[str, str]:
        short = {name: name.removeprefix(prefix) for name in found if name.startswith(prefix)}
        return {name: flat.get(own, own) for name, own in short.items()}

    names = max(
        (under(prefix) for prefix in sorted(prefixes)),
        key=lambda names: len(wanted.keys() & names.values()),
    )
    aligned = {own: found[name] for name, own in names.items() if own in wanted}
    return aligned, [names.get(name, name) for name in found if names.get(name) not in aligned]


def _other_channels(tensor: Tensor, like: Tensor) -> tuple[Tensor, str | None]:
    """A first convolution for grey instead of colour, or the reverse: what it answers to a grey
    image stays the same.
    """
    if tensor.shape[0] == like.shape[0] and tensor.shape[2:] == like.shape[2:]:
        if (tensor.shape[1], like.shape[1]) == (3, 1):
            return tensor.sum(1, keepdim=True), "first convolution summed over its 3 channels"
        if (tensor.shape[1], like.shape[1]) == (1, 3):
            return (tensor / 3).expand_as(like), "first convolution shared out to 3 channels"
    return tensor, None


def _layers(names: Iterable[str]) -> list[str]:
    return sorted({name.rpartition(".")[0] for name in names})


def _named(layers: list[str]) -> str:
    return ", ".join(layers[:SHOWN]) + (
        f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else ""
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
