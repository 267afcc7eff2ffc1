import torch
import torch.nn.functional as F

from data_prep.episodes.draw import draw_episodes
from models.learners.siamese import Settings, Siamese, balanced_cross_entropy
from models.support import Support


def model() -> Siamese:
    torch.manual_seed(0)
    return Siamese(torch.nn.Flatten(), 4, Settings(units=4))


def test_a_pair_scores_the_same_whichever_comes_first():
    first, second = torch.rand(2, 3, 4), torch.rand(2, 5, 4)
    torch.testing.assert_close(
        model().pair_odds(first, second), model().pair_odds(second, first).transpose(1, 2)
    )


def test_before_any_training_each_difference_makes_a_pair_less_likely():
    first = torch.full((1, 1, 4), 0.5)
    others = torch.stack([first[0, 0], *(first[0, 0] + 0.3 * torch.eye(4))])[None]
    odds = model().pair_odds(first, others)[0, 0]
    assert (odds[0] > odds[1:]).all() and (odds.diff()[1:].abs() < 1e-6).all()


def test_a_class_of_several_shots_scores_the_mean_log_odds_of_its_pairs():
    chosen, query = model(), torch.rand(1, 2, 4)
    support = Support(torch.rand(1, 3, 4), torch.tensor([[0, 1, 0]]), 2)
    odds = chosen.pair_odds(query, support.inputs)
    expected = torch.stack([(odds[..., 0] + odds[..., 2]) / 2, odds[..., 1]], -1)
    torch.testing.assert_close(chosen.predict(chosen.adapt(support), query), expected)


def test_like_and_unlike_pairs_weigh_the_same_however_many_there_are():
    odds, alike = torch.tensor([2.0, -1.0, 0.5, 3.0]), torch.tensor([True, False, False, False])
    expected = (F.softplus(-odds[0]) + F.softplus(odds[1:]).mean()) / 2
    torch.testing.assert_close(balanced_cross_entropy(odds, alike), expected)
    many = torch.cat([odds[1:]] * 10)
    torch.testing.assert_close(
        balanced_cross_entropy(torch.cat([odds[:1], many]), torch.arange(31) == 0), expected
    )


def test_a_pair_is_never_an_image_with_itself(sources):
    training, _ = sources
    for step in range(20):
        rows = draw_episodes(
            training.pools, training.seed, step, Settings(shot=2, query=3), tasks=2
        )
        for support, query in zip(rows.support, rows.query, strict=True):
            assert not set(support.ravel()) & set(query.ravel())
