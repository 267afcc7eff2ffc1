"""Stage `train`: meta-train one learner with one seed on the source sites; keep what is best on
their validation patients.

python -m models.train LEARNER SEED
"""

from functools import partial

import pandas as pd

from models.build import build_learner, learner_settings
from models.checkpoint import save_model
from models.settings import load_params
from models.training.processes import launch
from models.training.recipe import Recipe, resume_file, run
from models.training.source import Variation
from workspace.errors import run_module
from workspace.outputs import to_json, whole_folder
from workspace.paths import Workspace
from workspace.progress import say


def main(learner: str, seed: int) -> None:
    workspace = Workspace()
    params = load_params(workspace)
    settings = learner_settings(workspace, params, learner)
    fabric = launch(params.train)
    encoder = settings.encoder or params.encoder
    variation = Variation(params.augment, params.task_augment)
    make = partial(build_learner, learner, settings, encoder, params.convert)
    recipe = Recipe(learner, seed, settings, encoder, variation, make)
    model, state, card = run(recipe, workspace, params, fabric)
    if not fabric.is_global_zero:
        return
    with whole_folder(workspace.run(learner, seed)) as folder:
        save_model(folder, model.state_dict(), card)
        pd.DataFrame(state.curve).to_csv(folder / "curve.csv", index=False, float_format="%.6f")
        (folder / "metrics.json").write_text(
            to_json({"validation_accuracy": state.best_validation, "best_step": state.best_step})
        )
    resume_file(workspace, learner, seed).unlink(missing_ok=True)
    say(
        f"train {learner} seed {seed}: validation accuracy {state.best_validation:.3f} at "
        f"step {state.best_step} on {next(model.parameters()).device.type}"
    )


if __name__ == "__main__":
    run_module("models.train", lambda learner, seed: main(learner, int(seed)), "LEARNER", "SEED")
