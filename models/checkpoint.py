"""A trained model on disk (safetensors and JSON, never a pickle), and the state from which a killed
training resumes.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, safe_open, save
from torch import Tensor, nn

from data_prep.episodes.meta_split import read_meta_split
from workspace.errors import Problem, Refusal
from workspace.outputs import to_json, write_whole
from workspace.paths import Workspace

FORMAT = 2


@dataclass(frozen=True)
class TrainedOn:
    """One source site's part in training: what a target must not share."""

    patients: list[str]  # keyed hashes, sorted
    pixel_hashes: list[str]  # sorted
    perceptual_hashes: list[str]  # sorted
    records: int


@dataclass(frozen=True)
class ModelCard:
    """model.json: what the weights are and what they have seen."""

    learner: str
    seed: int
    settings: dict[
        str, Any
    ]  # what it was built and trained from: learner, encoder, convert, augment
    tasks: dict[str, list[str]]  # task -> classes, in the order of a supervised head's rows
    trained_on: dict[str, TrainedOn]
    secret: str  # fingerprint of the secret under which the patients' keys were made
    best_step: int
    best_validation: float
    parameters: int
    left_out: list[str]  # classes that meta-validation could not use, in words
    # the layer report of the weights that it started from; none: fresh ones
    start: dict[str, Any] | None = None


def trained_on(workspace: Workspace) -> dict[str, TrainedOn]:
    """Every patient and picture that training or its validation uses, by site."""
    listed = ("patient", "pixel_hash", "perceptual_hash")
    return {
        name: TrainedOn(
            patients=sorted(site.records["patient"].unique()),
            pixel_hashes=sorted(site.records["pixel_hash"].unique()),
            perceptual_hashes=sorted(site.records["perceptual_hash"].unique()),
            records=len(site.records),
        )
        for name, site in read_meta_split(workspace, listed).sites.items()
    }


def save_model(folder: Path, weights: dict[str, Tensor], card: ModelCard) -> None:
    """Write model.safetensors and model.json."""
    (folder / "model.safetensors").write_bytes(
        save({name: tensor.contiguous().cpu() for name, tensor in sorted(weights.items())})
    )
    (folder / "model.json").write_text(to_json({"format": FORMAT, **asdict(card)}))


def load_card(folder: Path) -> ModelCard:
    """Read model.json. Raises Refusal where it is missing or of another format."""
    where = f"runs/{folder.parent.name}/{folder.name}"
    if not (folder / "model.json").is_file():
        raise Refusal(
            Problem(
                where,
                "no trained model",
                "model.json and model.safetensors",
                f"dvc repro train@{folder.parent.name}-{folder.name}",
            )
        )
    content = json.loads((folder / "model.json").read_text())
    if content.pop("format") != FORMAT:
        raise Refusal(
            Problem(
                where,
                "a model of another format",
                f"format {FORMAT}",
                "train it again with this fewsite",
            )
        )
    seen = {site: TrainedOn(**part) for site, part in content.pop("trained_on").items()}
    return ModelCard(trained_on=seen, **content)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Load model.safetensors into `model`: every weight must match. Raises Refusal otherwise."""
    where = f"runs/{folder.parent.name}/{folder.name}/model.safetensors"
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, OSError, RuntimeError):
        raise Refusal(
            Problem(
                where,
                "weights that do not fit or cannot be read",
                "the weights that model.json describes",
                "train the model again",
            )
        ) from None


@dataclass
class TrainingState:
    """All that the next step depends on; batches and noise depend on the step's number alone."""

    step: int
    curve: list[dict[str, float | int]]
    best_step: int
    best_validation: float
    best: dict[str, Tensor]
    recent: list[Tensor]  # losses since the last validation


def save_state(
    file: Path,
    fingerprint: str,
    state: TrainingState,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write the state whole, in one file, so that a kill leaves the last one or this one."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    for index, slot in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": tensor for name, tensor in slot.items()}
    header = {
        "fingerprint": fingerprint,
        "step": state.step,
        "curve": state.curve,
        "best_step": state.best_step,
        "best_validation": state.best_validation,
        "recent": [float(loss) for loss in state.recent],
    }
    write_whole(
        file,
        save(
            {name: tensor.contiguous().cpu().clone() for name, tensor in tensors.items()},
            metadata={"state": json.dumps(header)},
        ),
    )


def load_state(
    file: Path, fingerprint: str, model: nn.Module, optimiser: torch.optim.Optimizer
) -> TrainingState | None:
    """Resume `model` and `optimiser` from a state of the same data and settings; None where there
    is none.
    """
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            header = json.loads(opened.metadata()["state"])
        tensors = load_file(file)
    except SafetensorError:  # a state that power loss cut short is no state
        return None
    if header.pop("fingerprint") != fingerprint:
        return None
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "adam": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    model.load_state_dict(parts["model"])
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["adam"].items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = tensor
    optimiser.load_state_dict(
        {"state": slots, "param_groups": optimiser.state_dict()["param_groups"]}
    )
    recent = [torch.tensor(loss) for loss in header.pop("recent")]
    return TrainingState(best=parts["best"], recent=recent, **header)
