"""All of params.yaml at once, the learners' and baselines' own settings with it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import create_model

from eval.settings import Adapt, Params, load_params
from models.baselines import cosine_head, fine_tuning
from models.build import learner_settings, settings_class
from models.settings import learner_names
from workspace.errors import together
from workspace.paths import Workspace
from workspace.settings import Sections, Strict, load_yaml


def own_settings() -> type[Sections]:
    """The sections that hold the settings of learners and baselines, by their own classes."""
    classes = {name: settings_class(name) for name in learner_names()}
    fields: dict[str, Any] = {name: (own, own()) for name, own in classes.items()}
    learners = create_model("Learners", __base__=Strict, **fields)
    baselines: dict[str, Any] = {
        "fine_tuning": (fine_tuning.Settings, fine_tuning.Settings()),
        "cosine_head": (cosine_head.Settings, cosine_head.Settings()),
    }
    adapt = create_model("Adapt", __base__=Adapt, **baselines)
    sections: dict[str, Any] = {"learners": (learners, learners()), "adapt": (adapt, adapt())}
    return create_model("Own", __base__=Sections, **sections)


def check_settings(workspace: Workspace) -> Params:
    """Read params.yaml. Raises Refusal with every problem in it."""
    own = partial(load_yaml, workspace.params_file, own_settings())
    params, _ = together(partial(load_params, workspace), own)
    named = dict.fromkeys([*params.train.learners, *params.learners])
    checks: list[Callable[[], Any]] = [
        partial(learner_settings, workspace, params, name) for name in named
    ]
    together(*checks)
    return params
