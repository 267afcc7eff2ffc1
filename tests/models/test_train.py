import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import models.train
from data_prep.episodes.draw import Patients, draw_episodes
from data_prep.settings import Convert
from eval.settings import Adapt, Report
from models import method
from models.augmentation.settings import Augment
from models.build import build_learner, load_learner, settings_class
from models.checkpoint import ModelCard, TrainedOn, load_card, save_model
from models.encoders.settings import Encoder
from models.pretrain import maker
from models.settings import Episodic, Learning, Params, Pretrain, Train, learner_names
from models.training.loop import train
from models.training.source import Variation
from models.training.state import load_state, save_state
from workspace.errors import Refusal

TASKS = {"one": ["x", "y", "z"], "two": ["p", "q"]}
PARAMS = Params(
    sites={"a": "source"},
    convert=Convert(size=[16, 16]),
    train=Train(learners=["maml"], device="cpu", checkpoint_every=2),
    adapt=Adapt(methods=["maml"]),
    report=Report(method="maml"),
)
COMMON = {"steps": 6, "validate_every": 4, "validation_episodes": 4}
EPISODES = {"shot": 2, "query": 3}
OWN = {
    "supervised": {"batch": 16},
    "maml": {
        "tasks": 2,
        "inner_steps": 2,
        "adapt_steps": 2,
        "learned_rates": True,
        "multi_step_steps": 4,
        "first_order_steps": 2,
    },
    "matching": {"full_context": True},
    "mann": {"slots": 16, "cell": 8, "heads": 2, "controller": 20},
}


def settings_of(name: str) -> Learning:
    kind = settings_class(name)
    shape = EPISODES if issubclass(kind, Episodic) else {}
    return kind(**shape, **OWN.get(name, {}), **COMMON)


SETTINGS = {name: settings_of(name) for name in learner_names()}  # a new learner is among them


def fresh(name: str, **changes):
    torch.manual_seed(0)
    if name == "simsiam":
        return maker(
            Pretrain(method=name, batch=16, projection=16, **COMMON),
            Encoder(width=8),
            PARAMS.convert,
        )(TASKS)
    return build_learner(
        name,
        SETTINGS[name].model_copy(update=changes),
        Encoder(width=8, norm="group"),
        PARAMS.convert,
        TASKS,
    )


@pytest.mark.parametrize("name", [*SETTINGS, "simsiam"])
def test_a_run_that_was_cut_anywhere_ends_with_the_weights_and_curve_of_one_that_was_not(
    name, sources, tmp_path
):
    whole = fresh(name)
    straight = train(whole, *sources, PARAMS)

    class Cut(Exception):
        pass

    file = tmp_path / "state.safetensors"
    first = fresh(name)

    def save_then_cut(state, optimiser):
        save_state(file, "mark", state, first, optimiser)
        raise Cut

    with pytest.raises(Cut):
        train(first, *sources, PARAMS, save=save_then_cut)
    second = fresh(name)
    with torch.no_grad():
        next(second.parameters()).zero_()  # whatever it starts from, the state decides
    resumed = train(
        second, *sources, PARAMS, load=lambda optimiser: load_state(file, "mark", second, optimiser)
    )
    assert resumed.curve == straight.curve
    for key, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
    for key, value in straight.best.items():
        assert torch.equal(value, resumed.best[key]), key


def test_a_state_of_other_data_or_settings_is_not_resumed(tmp_path, sources):
    model = fresh("prototypical")
    optimiser = torch.optim.AdamW(model.parameters())
    state = train(model, *sources, PARAMS)
    save_state(tmp_path / "s", "mark", state, model, optimiser)
    assert load_state(tmp_path / "s", "another", model, optimiser) is None
    assert load_state(tmp_path / "missing", "mark", model, optimiser) is None


@pytest.mark.parametrize(
    "name",
    ["prototypical", "supervised", "matching", "relation", "siamese", "key_value", "meta_memory"],
)
def test_training_learns_what_can_be_learned(name, sources):
    model = fresh(name, steps=80, rate=5e-3, validate_every=20)
    state = train(model, *sources, PARAMS)
    assert state.best_validation > 0.75
    assert state.curve[-1]["loss"] < state.curve[0]["loss"]


def test_the_best_validated_weights_are_kept_not_the_last(sources, monkeypatch):
    model = fresh("prototypical")
    scores = iter([0.9, 0.1])
    monkeypatch.setattr(model, "validate", lambda source: next(scores))
    state = train(model, *sources, PARAMS)
    assert (state.best_step, state.best_validation) == (4, 0.9)
    assert any(not torch.equal(state.best[key], value) for key, value in model.state_dict().items())


def test_validation_takes_exactly_the_episodes_that_were_asked_for_and_always_the_same(
    sources, monkeypatch
):
    _, validation = sources
    model, drawn = fresh("prototypical", validation_episodes=7).eval(), []
    monkeypatch.setattr(
        method,
        "draw_episodes",
        lambda pools, seed, index, *rest, **more: (
            drawn.append((seed, index)) or draw_episodes(pools, seed, index, *rest, **more)
        ),
    )
    assert model.validate(validation) == model.validate(validation)
    assert drawn == [(validation.seed, index) for index in range(7)] * 2


def test_queries_are_never_augmented(sources):
    training, _ = sources
    model = fresh("prototypical")
    nothing = Augment(
        rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0, blur=0
    )
    plain, strong = (
        model.batch(replace(training, augment=Variation(how, {})), 3)
        for how in (nothing, Augment(brightness=0.5, noise=0.2))
    )
    assert torch.equal(plain.query, strong.query)
    assert not torch.allclose(plain.support, strong.support, atol=1e-2)


def test_source_statistics_are_those_of_the_training_images(sources):
    training, _ = sources
    model = fresh("supervised").eval()
    model.measure_features(training)
    rows = np.concatenate(
        [patients.rows for pool in training.pools for patients in pool.patients.values()]
    )
    with torch.no_grad():
        features = model.encoder(training.images.gather(rows))
    torch.testing.assert_close(model.feature_mean, features.mean(0), rtol=1e-4, atol=1e-5)


def test_classes_without_validation_patients_are_named_and_none_at_all_is_refused(sources):
    _, validation = sources
    model, first = fresh("supervised"), validation.pools[0]
    label = next(iter(first.patients))
    without = replace(
        validation,
        pools=[
            replace(first, patients={**first.patients, label: Patients.of([])}),
            *validation.pools[1:],
        ],
    )
    assert model.check(without) == [f"site {first.site}, class {label}: no validation patients"]
    nobody = replace(
        validation,
        pools=[
            replace(pool, patients=dict.fromkeys(pool.patients, Patients.of([])))
            for pool in validation.pools
        ],
    )
    with pytest.raises(
        Refusal, match="validation of supervised: found no patients; need some of each source site"
    ):
        model.check(nobody)


def test_a_supervised_step_draws_all_sites_and_labels_each_task_by_its_own_classes(sources):
    training, _ = sources
    batches = fresh("supervised").batch(training, 0)
    assert [batch.task for batch in batches] == ["one", "two"]
    assert sum(len(batch.labels) for batch in batches) == 16
    assert all(batch.labels.max() < len(TASKS[batch.task]) for batch in batches)


def card(name: str) -> ModelCard:
    return ModelCard(
        name,
        0,
        {
            "learner": SETTINGS[name].model_dump(mode="json"),
            "encoder": Encoder(width=8).model_dump(mode="json"),
            "convert": PARAMS.convert.model_dump(mode="json"),
            "augment": {},
        },
        TASKS,
        {"a": TrainedOn(["p1"], ["h1"], ["n1"], 3)},
        "secret",
        4,
        0.9,
        10,
        [],
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_a_model_comes_back_from_disk_as_it_was(name, tmp_path):
    folder = tmp_path / name / "0"
    folder.mkdir(parents=True)
    model = fresh(name)
    save_model(folder, model.state_dict(), card(name))
    loaded = load_learner(folder, torch.device("cpu"))
    assert not loaded.training
    assert loaded.settings == model.settings
    for key, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key])
    assert load_card(folder) == card(name)


def test_a_missing_foreign_or_broken_model_is_refused(tmp_path):
    folder = tmp_path / "maml" / "0"
    with pytest.raises(
        Refusal, match=r"runs/maml/0: found no trained model; need .*; do dvc repro train@maml-0"
    ):
        load_learner(folder, torch.device("cpu"))
    folder.mkdir(parents=True)
    save_model(folder, fresh("prototypical").state_dict(), card("maml"))
    with pytest.raises(Refusal, match=r"model.safetensors: found weights that do not fit"):
        load_learner(folder, torch.device("cpu"))
    (folder / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(Refusal, match=r"cannot be read"):
        load_learner(folder, torch.device("cpu"))
    content = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(Refusal, match=r"found a model of another format; need format 2"):
        load_card(folder)


def test_a_task_with_ranges_of_its_own_is_augmented_by_them(sources):
    training, _ = sources
    nothing = Augment(
        rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0, blur=0
    )
    own = replace(training, augment=Variation(nothing, {"two": Augment(brightness=0.5)}))
    model = fresh("supervised")
    plain, varied = (
        model.batch(source, 0)
        for source in (replace(training, augment=Variation(nothing, {})), own)
    )
    assert torch.equal(plain[0].images, varied[0].images)
    assert not torch.allclose(plain[1].images, varied[1].images, atol=1e-2)


@pytest.mark.parametrize("learner", ["prototypical", "supervised"])
def test_pixels_that_stay_in_their_files_train_the_same_weights(study, learner):
    trained = []
    for preload in (4, 0):
        workspace = study(
            train={"learners": ["supervised", "prototypical"], "device": "cpu", "preload": preload},
            learners={
                "supervised": {"steps": 4, "batch": 8, "validate_every": 2},
                "prototypical": {
                    "way": 2,
                    "shot": 2,
                    "query": 3,
                    "steps": 4,
                    "validate_every": 2,
                    "validation_episodes": 5,
                },
            },
        )
        models.train.main(learner, 0)
        trained.append((workspace.run(learner, 0) / "model.safetensors").read_bytes())
    assert trained[0] == trained[1]


@pytest.mark.parametrize("size", [[8, 16, 16], [32, 32]], ids=["3D", "larger"])
def test_an_encoder_for_other_images_than_were_converted_is_refused_before_training(study, size):
    study(convert={"size": size})
    had, need = (
        "pixels of 1x16x16 (channels, then sides)",
        f"1x{'x'.join(map(str, size))}, as convert says",
    )
    with pytest.raises(
        Refusal,
        match=re.escape(f"site a: found {had}; need {need}; do correct convert.size, or dvc repro"),
    ):
        models.train.main("prototypical", 0)


@pytest.mark.parametrize("preload", [4, 0])
def test_pixels_other_than_those_that_were_split_are_refused(study, preload):
    workspace = study(
        train={"learners": ["supervised"], "device": "cpu", "preload": preload},
        learners={"supervised": {"steps": 4, "batch": 64, "validate_every": 2}},
    )
    file = workspace.studies("b") / "pixels.npy"
    np.save(file, 255 - np.load(file))
    with pytest.raises(
        Refusal,
        match="^site b: found pixels other than those that were split; need data/studies as `split` saw it; do dvc repro split$",
    ):
        models.train.main("supervised", 0)
    assert not workspace.run("supervised", 0).exists()
