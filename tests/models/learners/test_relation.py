import pytest
import torch
from torch import nn

from data_prep.episodes.draw import Episodes
from models.learners.relation import Relation, Settings, relation_module
from models.support import Support


def model() -> Relation:
    torch.manual_seed(0)
    return Relation(nn.Identity(), (2, 4, 4), Settings())


def test_the_loss_is_the_squared_error_of_sigmoids_against_one_hot_targets():
    chosen = model()
    batch = Episodes(
        torch.rand(1, 2, 2, 4, 4),
        torch.tensor([[0, 1]]),
        torch.rand(1, 3, 2, 4, 4),
        torch.tensor([[1, 0, 1]]),
        2,
    )
    scores = chosen.logits(batch).sigmoid()
    assert ((scores > 0) & (scores < 1)).all()
    expected = ((scores - torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])) ** 2).mean()
    torch.testing.assert_close(chosen.loss(batch), expected)


def test_a_class_of_several_shots_is_the_mean_of_its_maps_whatever_their_number():
    chosen, query, image = model(), torch.rand(1, 3, 2, 4, 4), torch.rand(1, 2, 2, 4, 4)
    once = chosen.adapt(Support(image, torch.tensor([[0, 1]]), 2))
    thrice = chosen.adapt(Support(image.repeat(1, 3, 1, 1, 1), torch.tensor([[0, 1] * 3]), 2))
    torch.testing.assert_close(chosen.predict(once, query), chosen.predict(thrice, query))


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 3, 4, 4)])
def test_a_pair_is_the_class_first_and_the_query_second(shape):
    torch.manual_seed(0)
    chosen, query = Relation(nn.Identity(), shape, Settings()), torch.rand(1, 3, *shape)
    nn.init.normal_(chosen.relate[0].conv.bias)
    maps = chosen.adapt(Support(torch.rand(1, 2, *shape), torch.tensor([[0, 1]]), 2))
    pair = torch.cat([maps[0, 1], query[0, 2]])[None]
    torch.testing.assert_close(chosen.predict(maps, query)[0, 2, 1], chosen.relate(pair)[0, 0])


@pytest.mark.parametrize("shape", [(8, 5, 5), (8, 1, 1), (8, 3, 6, 6)])
def test_the_relation_module_takes_maps_of_any_size_and_holds_no_batch_norm(shape):
    module = relation_module(shape, 8)
    assert module(torch.rand(2, 2 * shape[0], *shape[1:])).shape == (2, 1)
    assert not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())
