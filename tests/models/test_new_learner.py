"""docs/architecture.md and docs/add-a-learner.md hold a complete learner, its test and its lines in
params.yaml. All three are run here as they stand there.
"""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

import models.learners
from data_prep.settings import Convert
from models.build import learner_settings, load_learner
from models.settings import Params, Train, learner_names, load_params
from models.support import Support
from models.train import main
from workspace.errors import Refusal
from workspace.paths import Workspace

DOCS = Path(__file__).parents[2] / "docs"
NAME = "nearest_neighbour"


def shown(page: str, after: str, language: str) -> str:
    """The first block of code of a page after these words."""
    text = (DOCS / page).read_text()
    return re.search(rf"{re.escape(after)}.*?```{language}\n(.*?)```", text, re.DOTALL)[1]


LINES = YAML(typ="safe").load(shown("add-a-learner.md", "params.yaml", "yaml"))


@pytest.fixture
def added(tmp_path):
    """The documented file among the learners."""
    folder = tmp_path / "learners"
    folder.mkdir()
    code = shown("architecture.md", f"`models/learners/{NAME}.py`", "python")
    (folder / f"{NAME}.py").write_text(code)
    models.learners.__path__.append(str(folder))
    yield
    models.learners.__path__.remove(str(folder))
    sys.modules.pop(f"models.learners.{NAME}", None)


@pytest.fixture
def params(added) -> Params:
    """Those of the page, on small images."""
    assert NAME in LINES["train"]["learners"]
    return Params(
        sites={"a": "source"},
        convert=Convert(size=[16, 16]),
        train=Train(**LINES["train"], device="cpu"),
        learners=LINES["learners"],
    )


def test_it_is_found_by_its_name_with_its_settings(params):
    assert NAME in learner_names()
    own = learner_settings(Workspace(), params, NAME)
    assert own.model_dump().items() >= LINES["learners"][NAME].items()
    assert learner_settings(Workspace(), params, "prototypical") != own


def test_it_learns_adapts_and_answers(added, study, sources):
    short = {"steps": 40, "rate": 3e-3, "shot": 2, "query": 3, "validate_every": 20}
    workspace = study(
        encoder={"width": 8},
        train={**LINES["train"], "device": "cpu"},
        learners={NAME: LINES["learners"][NAME] | short | {"validation_episodes": 10}},
    )
    main(NAME, 0)
    folder = workspace.run(NAME, 0)
    assert json.loads((folder / "metrics.json").read_text())["validation_accuracy"] > 0.75
    learner = load_learner(folder, torch.device("cpu"))
    episodes = learner.batch(sources[1], 0)
    with torch.no_grad():
        inputs = learner.embed(episodes.support[0])[None]
        adapted = learner.adapt(Support(inputs, episodes.support_labels[:1], episodes.way))
        logits = learner.predict(adapted, inputs)
    assert logits.shape == (1, inputs.shape[1], episodes.way)
    assert torch.equal(logits.argmax(-1), episodes.support_labels[:1])


@pytest.mark.parametrize(
    ("wrong", "stated"),
    [
        ({"temperature": 0}, "learners.nearest_neighbour.temperature: found .*0"),
        (
            {"temprature": 1.0},
            "learners.nearest_neighbour.temprature: found an unknown setting; .* do write temperature",
        ),
    ],
    ids=["value", "key"],
)
def test_a_wrong_setting_is_refused(params, wrong, stated):
    with pytest.raises(Refusal, match=stated):
        learner_settings(Workspace(), params.model_copy(update={"learners": {NAME: wrong}}), NAME)


def test_its_own_test_passes(added, tmp_path):
    file = tmp_path / f"test_{NAME}.py"
    file.write_text(shown("add-a-learner.md", file.name, "python"))
    tests = [test for name, test in runpy.run_path(str(file)).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


def test_a_learner_without_a_file_is_refused_by_name(tmp_path):
    sections = {
        "sites": {"a": "source"},
        "convert": {"size": [16, 16]},
        "train": {"learners": ["supervised", "nearest"]},
        "learners": {"protypical": {}},
        "adapt": {},
        "report": {"method": "linear_probe"},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(sections))
    with pytest.raises(
        Refusal,
        match=r"(?s)train.learners: found 'nearest'; need one of key_value, .* learners: found 'protypical'",
    ):
        load_params(Workspace(tmp_path))
