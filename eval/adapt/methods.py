"""Every method by name, ready to adapt to one site: learners, and baselines on the source model."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from eval.settings import Adapt, Params
from models.baselines import cosine_head, fine_tuning
from models.baselines.cosine_head import CosineHead
from models.baselines.fine_tuning import FineTuning
from models.baselines.linear_probe import LinearProbe
from models.baselines.majority import Majority
from models.baselines.nearest_centroid import NearestCentroid
from models.baselines.source_only import SourceOnly, head_rows
from models.build import SUPERVISED, load_learner, too_many_classes
from models.learners.supervised import Supervised
from models.method import Method
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import validated


@dataclass(frozen=True)
class Candidate:
    """One method with one training seed. `zero_shot`: it answers at k = 0 and at no other k."""

    name: str
    seed: int
    method: Method
    zero_shot: bool = False


def candidates(
    workspace: Workspace, params: Params, task: str, classes: list[str], device: torch.device
) -> Iterator[Candidate]:
    """Load the methods of `params.methods` one by one, each with every seed it was trained with."""
    for name in params.methods:
        if name == "majority":
            yield Candidate(name, params.train.seeds[0], Majority())
            continue
        for seed in params.train.seeds:
            trained = name if name in params.train.learners else SUPERVISED
            model = load_learner(workspace.run(trained, seed), device)
            if too_many_classes(model, {task: classes}):
                say(
                    f"adapt: {name} is left out, it was trained for {model.most_classes} classes "
                    f"at most and {task} has {len(classes)} here"
                )
                continue
            method = (
                _baseline(name, model, task, classes, workspace, params.adapt)
                if trained == SUPERVISED
                else model
            )
            if method is None:
                say(
                    f"adapt: source_only is left out, no source site knows every class of {task} "
                    "here"
                )
            else:
                yield Candidate(name, seed, method.eval(), zero_shot=name == "source_only")


def _baseline(
    name: str,
    source: Supervised,
    task: str,
    classes: list[str],
    workspace: Workspace,
    settings: Adapt,
) -> Method | None:
    """The baseline on this source model; None for the source-only model where its head lacks a
    class of the site.
    """
    rows = head_rows(source, task, classes)
    if name == "source_only":
        return SourceOnly(source, task, rows) if rows is not None else None
    if name == "nearest_centroid":
        return NearestCentroid(source)
    if name == "linear_probe":
        return LinearProbe(source, settings.probe_c)
    if name == "cosine_head":
        return CosineHead(source, cosine_head_settings(workspace, settings))
    return FineTuning(source, task, rows, fine_tuning_settings(workspace, settings))


def cosine_head_settings(workspace: Workspace, given: Adapt) -> cosine_head.Settings:
    """The section adapt.cosine_head of params.yaml. Raises Refusal with every problem in it."""
    file = str(workspace.params_file)
    return validated(given.cosine_head, cosine_head.Settings, file, "adapt", "cosine_head")


def fine_tuning_settings(workspace: Workspace, given: Adapt) -> fine_tuning.Settings:
    """The section adapt.fine_tuning of params.yaml. Raises Refusal with every problem in it."""
    file = str(workspace.params_file)
    return validated(given.fine_tuning, fine_tuning.Settings, file, "adapt", "fine_tuning")
