"""The state from which a killed training resumes: tensors and JSON, never a pickle."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, safe_open, save
from torch import Tensor, nn

from workspace.outputs import write_whole


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
