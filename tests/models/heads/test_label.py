import math

import pytest
import torch

from eval.adapt.predictions import _probabilities
from models.heads.label import LabelHead
from models.support import Support
from tests.models.test_methods import METHODS, method, task
from tests.models.test_train import fresh

HEAD = LabelHead()
ANSWER = torch.tensor([[[0.0, 0.0], [3.0, 0.0]], [[0.0, 1.0], [0.0, 2.0]]])  # task, query, way
LABELS = torch.tensor([[0, 0], [1, 0]])


class Counted(LabelHead):
    """Tells how often each of its parts was called."""

    def __init__(self):
        self.calls = []

    def loss(self, *given, **named):
        self.calls.append("loss")
        return super().loss(*given, **named)

    def probabilities(self, answer):
        self.calls.append("probabilities")
        return super().probabilities(answer)

    def agreement(self, *given):
        self.calls.append("agreement")
        return super().agreement(*given)


def test_an_answer_without_preference_costs_the_log_of_the_classes():
    equal = torch.zeros(5, 4)
    assert HEAD.loss(equal, torch.arange(5) % 4).item() == pytest.approx(math.log(4))


def test_each_images_loss_has_its_place_and_they_sum_to_the_whole():
    each = HEAD.loss(ANSWER, LABELS, "none")
    expected = [
        math.log(1 + math.exp(other - own)) for own, other in ((0, 0), (3, 0), (1, 0), (0, 2))
    ]
    torch.testing.assert_close(each, torch.tensor(expected).reshape(2, 2))
    torch.testing.assert_close(HEAD.loss(ANSWER, LABELS, "sum"), each.sum())
    torch.testing.assert_close(HEAD.loss(ANSWER, LABELS), each.mean())


def test_probabilities_are_softmax_in_float32():
    found = HEAD.probabilities(ANSWER)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0, 0], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(found[1, 1, 1], torch.tensor(math.exp(2) / (1 + math.exp(2))))


def test_agreement_is_the_share_of_right_answers():
    assert HEAD.agreement(ANSWER, LABELS).item() == 0.75  # of two that are even the first counts


def test_its_layer_gives_a_logit_a_class():
    assert HEAD.layer(6, 3)(torch.zeros(2, 6)).shape == (2, 3)


@pytest.mark.parametrize("name", ["cosine_head", "fine_tuning", "imprinted", "maml", "meta_memory"])
def test_what_descends_a_loss_at_a_site_descends_the_heads(name):
    chosen, (support, labels, _) = method(name), task()
    chosen.head = Counted()
    chosen.adapt(Support(chosen.embed(support)[None], labels[None], 3))
    assert set(chosen.head.calls) == {"loss"}


@pytest.mark.parametrize("name", METHODS)
def test_answers_at_a_site_are_the_heads(name):
    chosen, (support, labels, query) = method(name), task()
    with torch.no_grad():
        adapted = chosen.adapt(Support(chosen.embed(support)[None], labels[None], 3))
        chosen.head = Counted()
        found = _probabilities(chosen, adapted, chosen.embed(query))
    assert chosen.head.calls == ["probabilities"]
    assert found.shape == (len(query), 3) and abs(found.sum(1) - 1).max() < 1e-5


@pytest.mark.parametrize("name", ["prototypical", "maml", "mann", "supervised"])
def test_training_descends_the_heads_loss_and_validation_asks_its_agreement(name, sources):
    model = fresh(name)
    model.head = Counted()
    model.train()
    model.loss(model.batch(sources[0], 0)).backward()
    assert set(model.head.calls) == {"loss"}
    model.head.calls.clear()
    model.eval()
    model.validate(sources[1])
    assert "agreement" in model.head.calls
