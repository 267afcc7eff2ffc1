"""Stage `pretrain`: train an encoder on the source sites' training images, for learners with
`encoder.weights: pretrained`.

python -m models.pretrain

Off by default: then a marker stands in the output's place, so that `train` can always depend on it.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
from torch import nn

from data_prep.settings import Convert
from models.checkpoint import save_model
from models.encoders.encoder import build_encoder, feature_shape, network_of
from models.encoders.settings import Encoder
from models.learners.supervised import Supervised
from models.settings import Params, Pretrain, load_params
from models.simsiam import SimSiam
from models.training.processes import launch
from models.training.recipe import Recipe, resume_file, run
from models.training.source import Variation
from workspace.errors import Problem, Refusal, run_module
from workspace.outputs import whole_folder
from workspace.paths import Workspace
from workspace.progress import say

NAME = "pretrain"
COLLAPSED = 0.02  # spread of the features: below it every image has the same, whatever is on it


def encoder_of(params: Params) -> Encoder:
    """What is trained: pretrain.encoder, or the encoder that learners share, from fresh weights."""
    return params.pretrain.encoder or Encoder(
        **params.encoder.model_dump(include={"name", "norm", "standardise", "width"})
    )


def maker(
    settings: Pretrain, encoder: Encoder, convert: Convert
) -> Callable[[dict[str, list[str]]], nn.Module]:
    """Builds the model of the method for the source sites' tasks."""

    def make(tasks: dict[str, list[str]]) -> Any:
        body = build_encoder(encoder, convert.channels, convert.size)
        features = feature_shape(body, convert.channels, convert.size)[0]
        if settings.method == "simsiam":
            return SimSiam(body, features, settings)
        return Supervised(body, features, settings, tasks)

    return make


def main() -> None:
    workspace = Workspace()
    params = load_params(workspace)
    settings = params.pretrain
    fabric = launch(params.train)
    if settings.method == "none":
        if fabric.is_global_zero:
            with whole_folder(workspace.pretrained) as folder:
                (folder / "none.txt").write_text("pretrain.method is none\n")
        return
    encoder = encoder_of(params)
    own = settings.views if settings.method == "simsiam" else None
    variation = Variation(own, {}) if own else Variation(params.augment, params.task_augment)
    make = maker(settings, encoder, params.convert)
    recipe = Recipe(NAME, params.seed, settings, encoder, variation, make)
    model, state, card = run(recipe, workspace, params, fabric)
    if not fabric.is_global_zero:
        return
    measure = "spread" if settings.method == "simsiam" else "validation_accuracy"
    if measure == "spread" and not state.best_validation > COLLAPSED:
        found = f"features of one direction for all images (spread {state.best_validation:.3f})"
        cure = "lower pretrain.rate, raise pretrain.batch, or widen pretrain.views"
        raise Refusal(Problem("pretrain", found, f"more than {COLLAPSED}", cure))
    with whole_folder(workspace.pretrained) as folder:
        save_model(folder, network_of(model.encoder).state_dict(), card)
        curve = pd.DataFrame(state.curve).rename(columns={"validation_accuracy": measure})
        curve.to_csv(folder / "curve.csv", index=False, float_format="%.6f")
    resume_file(workspace, NAME, params.seed).unlink(missing_ok=True)
    say(
        f"pretrain {settings.method}: {measure.replace('_', ' ')} "
        f"{state.best_validation:.3f} at step {state.best_step}"
    )


if __name__ == "__main__":
    run_module("models.pretrain", main)
