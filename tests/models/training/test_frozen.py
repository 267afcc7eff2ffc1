from dataclasses import replace

import pytest
import torch

from data_prep.settings import Convert
from eval.settings import Adapt, Report
from models.augmentation.settings import Augment
from models.build import build_learner
from models.encoders.encoder import build_encoder, network_of
from models.encoders.settings import Encoder
from models.encoders.stages import frozen_modules, stages
from models.learners.prototypical import Settings as PrototypicalSettings
from models.learners.supervised import Settings as SupervisedSettings
from models.settings import Params, Train
from models.training.frozen import features_once
from models.training.loop import train
from models.training.source import Variation
from workspace.errors import Refusal

TASKS = {"one": ["x", "y", "z"], "two": ["p", "q"]}
PARAMS = Params(
    sites={"a": "source"},
    convert=Convert(size=[16, 16]),
    train=Train(learners=["supervised"], device="cpu"),
    adapt=Adapt(methods=["majority"]),
    report=Report(method="majority"),
)
STEPS = {"steps": 6, "validate_every": 3, "validation_episodes": 2}
STILL = Augment(rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0, blur=0)
COUNTS = {
    "conv4": 4,
    "resnet10": 5,
    "resnet18": 5,
    "densenet121": 5,
    "efficientnet-b0": 9,
    "efficientnet-lite0": 9,
}


def started(frozen, **settings) -> Encoder:
    """An encoder's settings as if it had weights to start from: fresh ones must not be frozen."""
    return Encoder(
        **{
            "name": "resnet10",
            "width": 8,
            "weights": "w.pt",
            "sha256": "0" * 64,
            "frozen": frozen,
            **settings,
        }
    )


def fresh(name: str, settings, encoder: Encoder):
    torch.manual_seed(0)
    return build_learner(name, settings, encoder, PARAMS.convert, TASKS)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("space", [2, 3])
def test_the_stages_of_an_encoder_hold_all_its_weights_once(name, space):
    network = network_of(build_encoder(Encoder(name=name, width=8), 1, [32] * space))
    held = [
        weight for stage in stages(network) for module in stage for weight in module.parameters()
    ]
    assert len(stages(network)) == COUNTS[name]
    assert {id(weight) for weight in held} == {id(weight) for weight in network.parameters()}
    assert len(held) == len(list(network.parameters()))


def test_the_first_stages_keep_weights_and_statistics_and_the_others_train(sources):
    model = fresh(
        "prototypical", PrototypicalSettings(shot=2, query=3, **STEPS), started(2, norm="batch")
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(model, *sources, PARAMS)
    kept = ("conv1", "bn1", "layer1")
    for name, tensor in model.state_dict().items():
        part = name.removeprefix("encoder.1.").split(".")[0]
        assert torch.equal(before[name], tensor) == (part in kept), name


def test_more_frozen_stages_than_there_are_is_refused():
    with pytest.raises(
        Refusal,
        match=r"encoder.frozen: found 5; need at most 4 of its 5 stages, or all; do lower it",
    ):
        build_encoder(started(5), 1, [32, 32])


def test_a_wholly_frozen_encoder_sees_each_image_once_in_training(sources):
    model = fresh("supervised", SupervisedSettings(batch=16, **STEPS), started("all"))
    encoder, passed = model.encoder, []
    encoder.register_forward_hook(lambda module, inputs, output: passed.append(len(inputs[0])))
    with features_once(model, True, *sources) as features:
        train(model, *features, PARAMS)
        model.measure_features(features[0])
    assert sum(passed) == len(sources[0].images)
    assert model.encoder is encoder and model.feature_mean.abs().sum() > 0


def test_features_computed_once_train_the_same_head_as_the_images_they_are_of(sources):
    still = [replace(source, augment=Variation(STILL, {})) for source in sources]
    heads = []
    for once in (True, False):
        model = fresh("supervised", SupervisedSettings(batch=16, **STEPS), started("all"))
        with features_once(model, once, *still) as given:
            curve = train(model, *given, PARAMS).curve
        heads.append((model.heads.state_dict(), curve))
    for name, tensor in heads[0][0].items():
        torch.testing.assert_close(tensor, heads[1][0][name], rtol=1e-3, atol=1e-5)
    assert heads[0][1][-1]["validation_accuracy"] == heads[1][1][-1]["validation_accuracy"]


def test_modules_with_a_weight_that_trains_do_not_rest():
    assert frozen_modules(build_encoder(Encoder(name="conv4", width=8), 1, [16, 16])) == []
