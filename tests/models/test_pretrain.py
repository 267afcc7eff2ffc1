import json
from dataclasses import replace

import pytest
import torch

import models.pretrain
import models.train
import models.training.recipe
from data_prep.episodes.draw import Patients
from data_prep.settings import Convert
from eval.settings import Adapt, Report
from models.checkpoint import load_card
from models.encoders.encoder import network_of
from models.encoders.settings import Encoder
from models.encoders.tensors import read_tensors
from models.pretrain import maker
from models.settings import Params, Pretrain, Train
from models.simsiam import SimSiam, similarity, spread
from models.training.loop import train
from workspace.errors import Refusal
from workspace.outputs import digest

TASKS = {"one": ["x", "y", "z"], "two": ["p", "q"]}
PARAMS = Params(
    sites={"a": "source"},
    convert=Convert(size=[16, 16]),
    train=Train(learners=["supervised"], device="cpu"),
    adapt=Adapt(methods=["majority"]),
    report=Report(method="majority"),
)
STEPS = {"steps": 4, "validate_every": 2, "batch": 16}
ENCODER = {"name": "resnet10", "width": 8}
PRETRAINED = {**ENCODER, "weights": "pretrained"}
LEARNERS = {
    "prototypical": {
        "steps": 2,
        "shot": 2,
        "query": 3,
        "validate_every": 2,
        "validation_episodes": 2,
    }
}


def simsiam(**changes) -> SimSiam:
    torch.manual_seed(0)
    return maker(
        Pretrain(method="simsiam", projection=32, **{**STEPS, **changes}),
        Encoder(**ENCODER),
        PARAMS.convert,
    )(TASKS)


def test_no_gradient_passes_through_the_target():
    predicted, target = torch.randn(4, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)
    similarity(predicted, target).backward()
    assert predicted.grad.abs().sum() > 0 and target.grad is None


def test_the_encoder_learns_through_the_predictor_alone(sources):
    model = simsiam()
    with torch.no_grad():
        model.predictor[-1].weight.zero_()  # a prediction that is the same for every image
    model.loss(model.batch(sources[0], 0)).backward()
    assert all(weight.grad.abs().sum() == 0 for weight in model.encoder.parameters())


def test_the_loss_falls_and_the_features_stay_apart(sources):
    model = simsiam(steps=40, validate_every=10, rate=3e-3)
    state = train(model, *sources, PARAMS)
    assert state.curve[-1]["loss"] < state.curve[0]["loss"] < 0
    assert state.best_validation > models.pretrain.COLLAPSED


def test_a_step_draws_two_views_of_the_same_images_and_depends_on_its_number_alone(sources):
    model = simsiam()
    first, second = model.batch(sources[0], 3)
    assert first.shape == second.shape == (16, 1, 16, 16)
    assert not torch.equal(first, second)
    assert torch.equal(first, model.batch(sources[0], 3)[0])
    assert not torch.equal(first, model.batch(sources[0], 4)[0])


def test_labels_do_not_enter(sources):
    training = sources[0]
    merged = [
        replace(
            pool,
            patients={
                "all": Patients.of(
                    [rows for patients in pool.patients.values() for rows in patients]
                )
            },
        )
        for pool in training.pools
    ]
    for here, there in zip(
        simsiam().batch(training, 0),
        simsiam().batch(replace(training, pools=merged), 0),
        strict=True,
    ):
        assert torch.equal(here, there)


def test_spread_is_0_for_one_direction_and_1_for_opposite_ones():
    direction = torch.randn(1, 8)
    assert spread(direction * torch.tensor([[1.0], [2.0], [5.0]])) == pytest.approx(0, abs=1e-3)
    assert spread(torch.cat([direction, -direction])) == pytest.approx(1)


@pytest.mark.parametrize("method", ["simsiam", "supervised"])
def test_a_learner_starts_from_the_pretrained_encoder(study, monkeypatch, method):
    workspace = study(
        encoder=PRETRAINED,
        pretrain={"method": method, "projection": 32, **STEPS},
        learners=LEARNERS,
    )
    models.pretrain.main()
    card = load_card(workspace.pretrained)
    assert (card.learner, card.settings["learner"]["method"], set(card.trained_on)) == (
        "pretrain",
        method,
        {"a", "b", "c"},
    )
    began = {}
    monkeypatch.setattr(
        models.training.recipe,
        "train",
        lambda model, *rest, **more: (
            began.update(
                {
                    name: tensor.clone()
                    for name, tensor in network_of(model.encoder).state_dict().items()
                }
            )
            or train(model, *rest, **more)
        ),
    )
    models.train.main("prototypical", 0)
    kept = load_card(workspace.run("prototypical", 0))
    weights = (workspace.pretrained / "model.safetensors").read_bytes()
    assert (
        kept.start["sha256"] == digest(weights) and kept.start["matched"] == kept.start["tensors"]
    )
    for name, tensor in read_tensors(workspace.pretrained / "model.safetensors").items():
        assert torch.equal(tensor, began[name])


def test_with_no_method_a_marker_keeps_the_graph_whole(study):
    workspace = study()
    models.pretrain.main()
    assert [file.name for file in workspace.pretrained.iterdir()] == ["none.txt"]


def test_a_collapse_is_refused_and_leaves_nothing(study, monkeypatch):
    workspace = study(pretrain={"method": "simsiam", "projection": 32, **STEPS})
    monkeypatch.setattr(SimSiam, "validate", lambda self, source: 0.001)
    with pytest.raises(
        Refusal,
        match=r"pretrain: found features of one direction for all images \(spread 0.001\); need more than 0.02",
    ):
        models.pretrain.main()
    assert not workspace.pretrained.exists()


def test_a_pretrained_encoder_that_is_missing_other_or_of_other_records_is_refused(study):
    pretrain = {"method": "supervised", **STEPS}
    workspace = study(encoder=PRETRAINED, pretrain=pretrain, learners=LEARNERS)
    with pytest.raises(
        Refusal,
        match="found pretrained, and no pretrained encoder; need .*; do set pretrain.method and run dvc repro pretrain",
    ):
        models.train.main("prototypical", 0)
    models.pretrain.main()
    study(
        encoder={**PRETRAINED, "norm": "batch"},
        pretrain={**pretrain, "encoder": ENCODER},
        learners=LEARNERS,
    )
    with pytest.raises(
        Refusal,
        match=r"pretrained as resnet10 group 8 True; need resnet10 batch 8 True \(name, norm, width, standardise\)",
    ):
        models.train.main("prototypical", 0)
    study(encoder=PRETRAINED, pretrain=pretrain, learners=LEARNERS)
    file = workspace.pretrained / "model.json"
    content = json.loads(file.read_text())
    content["trained_on"]["a"]["patients"].pop()
    file.write_text(json.dumps(content))
    with pytest.raises(
        Refusal,
        match="pretrained on other records than those of data/meta_split; need the same; do dvc repro pretrain",
    ):
        models.train.main("prototypical", 0)


def test_a_learner_with_nothing_left_to_train_is_refused(study):
    study(
        encoder={**PRETRAINED, "frozen": "all"},
        pretrain={"method": "supervised", **STEPS},
        learners=LEARNERS,
    )
    models.pretrain.main()
    with pytest.raises(
        Refusal, match="train prototypical: found every weight frozen; need some to train"
    ):
        models.train.main("prototypical", 0)


def test_a_head_is_trained_on_a_wholly_frozen_encoder_and_the_encoder_is_kept_as_it_was(study):
    workspace = study(
        encoder={**PRETRAINED, "frozen": "all"},
        pretrain={"method": "simsiam", "projection": 32, **STEPS},
        learners={"supervised": STEPS},
    )
    models.pretrain.main()
    models.train.main("supervised", 0)
    trained = read_tensors(workspace.run("supervised", 0) / "model.safetensors")
    for name, tensor in read_tensors(workspace.pretrained / "model.safetensors").items():
        assert torch.equal(tensor, trained[f"encoder.1.{name}"])
