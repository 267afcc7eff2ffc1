"""docs/add-a-learner.md holds a complete learner. It is run here as it stands there."""

import re
import sys
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

import models.learners
from data_prep.settings import Convert
from models.build import build_learner, learner_settings
from models.settings import Encoder, Params, Train, learner_names, load_params
from models.train import train
from workspace.errors import Refusal
from workspace.paths import Workspace

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-learner.md").read_text()
NAME = "nearest_neighbour"
SIZE = [16, 16]


@pytest.fixture
def added(tmp_path):
    code = re.search(rf"```python\n# models/learners/{NAME}.py\n(.*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / f"{NAME}.py").write_text(code)
    models.learners.__path__.append(str(tmp_path))
    yield
    models.learners.__path__.remove(str(tmp_path))
    sys.modules.pop(f"models.learners.{NAME}", None)


def test_a_file_and_its_lines_in_params_make_a_learner_that_learns(added, sources):
    lines = YAML(typ="safe").load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])
    assert NAME in learner_names() and NAME in lines["train"]["learners"]
    params = Params(
        sites={"a": "source"},
        convert=Convert(size=SIZE),
        train=Train(**lines["train"], device="cpu"),
        learners=lines["learners"],
    )
    own = learner_settings(Workspace(), params, NAME)
    assert own.steps == lines["learners"][NAME]["steps"]
    torch.manual_seed(0)
    settings = own.model_copy(
        update={
            "steps": 40,
            "rate": 3e-3,
            "shot": 2,
            "query": 3,
            "validate_every": 20,
            "validation_episodes": 10,
        }
    )
    model = build_learner(NAME, settings, Encoder(width=8), params.convert, {})
    assert train(model, *sources, params).best_validation > 0.75


def test_a_learner_without_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "params.yaml").write_text(
        "sites: {a: source}\nconvert: {size: [16, 16]}\ntrain: {learners: [supervised, nearest]}\nlearners: {protypical: {}}\n"
        "adapt: {}\nreport: {method: linear_probe}\n"
    )
    with pytest.raises(
        Refusal,
        match=r"(?s)train.learners: found 'nearest'; need one of key_value, .* learners: found 'protypical'",
    ):
        load_params(Workspace(tmp_path))
