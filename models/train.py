"""Stage `train`: meta-train one learner with one seed on the source sites; keep what is best on their validation patients.

    python -m models.train LEARNER SEED
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from data_prep.episodes import refuse_small_classes, site_pools
from data_prep.images import load_images
from data_prep.meta_split import MetaSplit, read_meta_split
from models.build import SUPERVISED, build_learner, too_many_classes
from models.checkpoint import ModelCard, TrainedOn, TrainingState, load_state, save_model, save_state
from models.device import choose_device, repeatable
from models.method import TRAINING, VALIDATION, Source, Variation
from workspace.errors import Problem, refuse_if, run_module
from workspace.outputs import digest, to_json, whole_folder
from workspace.paths import Workspace
from workspace.progress import say, track
from workspace.settings import Params, load_params


def train(model: Any, training: Source, validation: Source, params: Params, save: Any = lambda state, optimiser: None,
          load: Any = lambda optimiser: None) -> TrainingState:
    """Train `model` in place and return the state after the last step; `best` holds the best validated weights.

    `load` returns an earlier state or None, `save` is called every `checkpoint_every` steps: a run that was cut and goes on
    takes the same steps as one that was not.
    """
    settings = model.settings
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    state = load(optimiser) or TrainingState(0, [], 0, -1.0, {}, [])
    device = training.images.stored.device
    mixed = params.train.mixed_precision and device.type == "cuda"
    for step in track(range(state.step, settings.steps), "train", total=settings.steps - state.step):
        torch.manual_seed(training.step_seed(step))  # dropout of an encoder that has it
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        model.train()
        batch = model.batch(training, step)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            loss = model.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        state.step = step + 1
        state.recent.append(loss.detach().cpu())
        if state.step % settings.validate_every == 0 or state.step == settings.steps:
            _validate(model, validation, state)
        if state.step % params.train.checkpoint_every == 0:
            save(state, optimiser)
    return state


def _validate(model: Any, validation: Source, state: TrainingState) -> None:
    model.eval()
    accuracy, loss = model.validate(validation), float(torch.stack(state.recent).mean())
    refuse_if([] if math.isfinite(loss) else [Problem(f"train, step {state.step}", "a loss that is not a number", "training that converges",
                                                      "lower the learner's rate or inner_rate in params.yaml")])
    state.curve.append({"step": state.step, "loss": loss, "validation_accuracy": accuracy})
    state.recent = []
    if accuracy > state.best_validation:
        state.best_step, state.best_validation = state.step, accuracy
        state.best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def trained_on(meta: MetaSplit) -> dict[str, TrainedOn]:
    """Every patient and picture that training or its validation used, by site."""
    listed = ("patient", "pixel_hash", "perceptual_hash")
    return {name: TrainedOn(*(sorted(site.records[column].unique()) for column in listed), len(site.records))
            for name, site in meta.sites.items()}


def fingerprint(workspace: Workspace, settings: dict[str, Any], seed: int, device: torch.device) -> str:
    """A hash of all that a training state depends on, the code included: another one must not be resumed from."""
    code = Path(__file__).parents[1]
    files = sorted(path for package in ("workspace", "data_prep", "models") for path in (code / package).rglob("*.py"))
    about = to_json({"settings": settings, "seed": seed, "device": device.type, "torch": torch.__version__})
    return digest(b"".join([workspace.meta_split.read_bytes(), about.encode(), *(file.read_bytes() for file in files)]))


def main(learner: str, seed: int) -> None:
    workspace = Workspace()
    params = load_params(workspace)
    meta = read_meta_split(workspace)
    device = choose_device(params.train.device)
    repeatable(seed, params.train.threads)
    images = load_images(workspace, meta, device)
    variation = Variation(params.augment, params.task_augment)
    training = Source(site_pools(meta, images, "train"), images, (seed, TRAINING), variation)
    validation = Source(site_pools(meta, images, "validation"), images, (seed, VALIDATION), variation)
    settings = getattr(params.learners, learner)
    encoder = settings.encoder or params.encoder
    model = build_learner(learner, settings, encoder, params.convert, meta.tasks).to(device)
    refuse_if(too_many_classes(model, meta.tasks))
    refuse_small_classes(training.pools, getattr(model.settings, "shot", 1))
    left_out = model.check(validation)
    for line in left_out:
        say(f"train {learner}: left out of validation: {line}")

    resume = workspace.resume(learner, seed) / "state.safetensors"
    described = {
        "learner": settings.model_dump(mode="json"), "encoder": encoder.model_dump(mode="json"),
        "convert": params.convert.model_dump(mode="json", include={"size", "channels"}),
        "augment": params.augment.model_dump(mode="json"),
        "task_augment": {task: own.model_dump(mode="json") for task, own in params.task_augment.items()},
    }
    mark = fingerprint(workspace, {"name": learner, **described}, seed, device)
    state = train(model, training, validation, params,
                  save=lambda state, optimiser: save_state(resume, mark, state, model, optimiser),
                  load=lambda optimiser: load_state(resume, mark, model, optimiser))
    model.load_state_dict(state.best)
    if learner == SUPERVISED:
        model.eval()
        model.measure_features(training)
    card = ModelCard(learner, seed, described, meta.tasks, trained_on(meta), meta.secret, state.best_step, state.best_validation, sum(p.numel() for p in model.parameters()), left_out)
    with whole_folder(workspace.run(learner, seed)) as folder:
        save_model(folder, model.state_dict(), card)
        pd.DataFrame(state.curve).to_csv(folder / "curve.csv", index=False, float_format="%.6f")
        (folder / "metrics.json").write_text(to_json({"validation_accuracy": state.best_validation, "best_step": state.best_step}))
    resume.unlink(missing_ok=True)
    say(f"train {learner} seed {seed}: validation accuracy {state.best_validation:.3f} at step {state.best_step} on {device.type}")


if __name__ == "__main__":
    run_module("models.train", lambda learner, seed: main(learner, int(seed)), "LEARNER", "SEED")
