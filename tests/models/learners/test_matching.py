import torch
import torch.nn.functional as F

from data_prep.episodes.draw import Episodes
from models.learners.matching import Matching, Settings
from models.support import Support, log_class_attention


def model(**settings) -> Matching:
    torch.manual_seed(0)
    return Matching(torch.nn.Flatten(), 4, Settings(**settings))


def episodes() -> Episodes:
    labels = torch.tensor([[0, 1, 2, 0]])
    return Episodes(
        torch.rand(1, 4, 1, 2, 2),
        labels,
        torch.rand(1, 5, 1, 2, 2),
        torch.tensor([[0, 1, 2, 2, 1]]),
        3,
    )


def test_a_query_is_answered_by_the_attention_that_falls_on_each_class():
    scores = torch.tensor([[[1.0, 2.0, 3.0]]])
    support = Support(torch.zeros(1, 3, 1), torch.tensor([[0, 1, 0]]), 2)
    weights = scores.softmax(-1)[0, 0]
    torch.testing.assert_close(
        log_class_attention(scores, support).exp()[0, 0],
        torch.stack([weights[0] + weights[2], weights[1]]),
    )


def test_logits_are_log_probabilities_and_the_loss_their_negative_likelihood():
    chosen, batch = model(), episodes()
    logits = chosen.logits(batch)
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(1, 5))
    torch.testing.assert_close(
        chosen.loss(batch), -logits[0, range(5), batch.query_labels[0]].mean()
    )


def test_attention_is_the_softmax_of_scaled_cosines():
    chosen, batch = model(), episodes()
    cosine = F.cosine_similarity(
        batch.query[0].flatten(1)[:, None], batch.support[0].flatten(1), dim=-1
    )
    weights = (cosine * Matching.FIRST_SCALE).softmax(-1)
    torch.testing.assert_close(
        chosen.logits(batch)[0].exp(), weights @ F.one_hot(batch.support_labels[0], 3).float()
    )


def test_the_scale_of_the_cosine_is_learned():
    chosen, batch = model(), episodes()
    chosen.loss(batch).backward()
    assert chosen.log_scale.grad.abs() > 0
    cosines = chosen.logits(batch).softmax(-1)
    with torch.no_grad():
        chosen.log_scale.add_(5.0)
    assert chosen.logits(batch).softmax(-1).max(-1).values.mean() > cosines.max(-1).values.mean()


def test_the_full_context_of_an_image_depends_on_the_whole_support_and_not_on_its_order():
    context = model(full_context=True).context
    support = torch.rand(1, 4, 4)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        context.of_support(support[:, order]), context.of_support(support)[:, order]
    )
    other = support.clone()
    other[0, 3] += 1
    assert not torch.allclose(context.of_support(other)[0, 0], context.of_support(support)[0, 0])
    query = torch.rand(1, 2, 4)
    assert not torch.allclose(context.of_query(query, other), context.of_query(query, support))
