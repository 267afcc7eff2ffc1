"""A trained model on disk: safetensors and JSON, never a pickle."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from data_prep.episodes.meta_split import read_meta_split
from workspace.errors import Problem, Refusal
from workspace.outputs import to_json
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
    # what it was built and trained from: learner, encoder, convert, augment
    settings: dict[str, Any]
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
        cure = f"dvc repro train@{folder.parent.name}-{folder.name}"
        raise Refusal(Problem(where, "no trained model", "model.json and model.safetensors", cure))
    content = json.loads((folder / "model.json").read_text())
    if content.pop("format") != FORMAT:
        found, cure = "a model of another format", "train it again with this fewsite"
        raise Refusal(Problem(where, found, f"format {FORMAT}", cure))
    seen = {site: TrainedOn(**part) for site, part in content.pop("trained_on").items()}
    return ModelCard(trained_on=seen, **content)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Load model.safetensors into `model`: every weight must match. Raises Refusal otherwise."""
    where = f"runs/{folder.parent.name}/{folder.name}/model.safetensors"
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, OSError, RuntimeError):
        found = "weights that do not fit or cannot be read"
        need = "the weights that model.json describes"
        raise Refusal(Problem(where, found, need, "train the model again")) from None
