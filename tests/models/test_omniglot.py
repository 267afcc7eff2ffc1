"""benchmarks/omniglot.py on a few made-up characters."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FILE = Path(__file__).parents[2] / "benchmarks" / "omniglot.py"
CHARACTERS = 9  # three in each split


@pytest.fixture
def omniglot(monkeypatch):
    spec = importlib.util.spec_from_file_location("omniglot", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "EPISODES", 10)
    return module


@pytest.fixture
def data(tmp_path):
    strokes = np.random.default_rng(0).integers(0, 256, (CHARACTERS, 1, 28, 28)).repeat(20, 1)
    names = [f"made_up/character{at:02}" for at in range(CHARACTERS)]
    np.savez(tmp_path / "omniglot28.npz", images=strokes.astype(np.uint8), classes=names)
    for split, own in zip(
        ("train", "val", "test"), (names[:3], names[3:6], names[6:]), strict=True
    ):
        (tmp_path / f"{split}.txt").write_text(
            "\n".join(f"{name}/rot{turn:03}" for name in own for turn in (0, 90, 180, 270))
        )
    return tmp_path


def run(omniglot, data, capsys, monkeypatch, *arguments: str) -> dict:
    monkeypatch.setattr(
        sys,
        "argv",
        ["omniglot.py", str(data), *arguments, "--device", "cpu", "--set", "validation_episodes=2"],
    )
    omniglot.main()
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.mark.parametrize("learner", ["maml", "mann", "relation"])
def test_a_run_of_a_few_steps_ends_in_one_line_and_is_the_same_again(
    omniglot, data, capsys, monkeypatch, learner
):
    stated = run(omniglot, data, capsys, monkeypatch, learner, "--steps", "2", "--set", "tasks=2")
    assert (
        stated["learner"],
        stated["steps"],
        stated["episodes"],
        stated["way"],
        stated["shot"],
    ) == (
        learner,
        2,
        10,
        5,
        1,
    )
    assert (
        0 <= stated["accuracy"] <= 100
        and stated["half_interval_95"] >= 0
        and ("by_presentation" in stated) == (learner == "mann")
    )
    again = run(omniglot, data, capsys, monkeypatch, learner, "--steps", "2", "--set", "tasks=2")
    assert {**again, "minutes": 0} == {**stated, "minutes": 0}


def test_splits_share_no_character_and_a_class_is_one_character_turned_one_way(omniglot, data):
    training, validation, test = omniglot.read_sources(data, 0, torch.device("cpu"))
    classes = [set(source.pools[0].patients) for source in (training, validation, test)]
    assert [len(own) for own in classes] == [12, 12, 12] and len(set.union(*classes)) == 36
    stored = training.images.stored
    for at, source in enumerate((training, validation, test)):
        upright, turned = (
            source.pools[0].patients[f"made_up/character{3 * at:02}/rot{turn}"]
            for turn in ("000", "090")
        )
        assert len(upright) == 20
        assert torch.equal(stored[int(upright[0][0])].rot90(1, (-2, -1)), stored[int(turned[0][0])])


@pytest.mark.parametrize("learner", ["mann", "maml"])
@pytest.mark.parametrize("on", [False, True], ids=["kept", "trained on"])
def test_a_start_gives_its_encoder_which_then_stays_as_it_is_unless_it_is_trained_on(
    omniglot, data, learner, on
):
    training, validation, _ = omniglot.read_sources(data, 0, torch.device("cpu"))
    few = {"min_way": 2, "shot": 1, "query": 2, "steps": 2, "validation_episodes": 2}
    encoder, given = (
        omniglot.Encoder(norm="group", width=8),
        omniglot.argparse.Namespace(seed=0, threads=1, train_start=on),
    )
    first, _ = omniglot.fit(
        "prototypical",
        omniglot.settings_class("prototypical")().model_copy(update=few),
        encoder,
        training,
        validation,
        given,
        None,
    )
    before = {name: value.clone() for name, value in first.encoder.state_dict().items()}
    model, state = omniglot.fit(
        learner,
        omniglot.settings_class(learner)().model_copy(update=few),
        encoder,
        training,
        validation,
        given,
        None,
        first.encoder,
    )
    assert state.step == 2
    assert all(
        torch.equal(before[name], value) for name, value in model.encoder.state_dict().items()
    ) == (not on)
    first_moved = max(
        float((before[name] - value).abs().max())
        for name, value in model.encoder.state_dict().items()
    )
    assert first_moved < 0.1, "it began from the start's weights"
