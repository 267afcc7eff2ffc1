"""The tensors of a file, read without unpickling code."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from workspace.errors import Problem, Refusal

WHERE = "params.yaml encoder.weights"
# keys under which training programs store a state dict
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")


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
    if not isinstance(content, dict):
        return None
    return next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), None)
