"""The key-value and the meta-memory network."""

import torch
import torch.nn.functional as F

from models.learners.key_value import KeyValue
from models.learners.key_value import Settings as KeyValueSettings
from models.learners.meta_memory import MetaMemory, kept
from models.learners.meta_memory import Settings as MetaMemorySettings
from models.support import Support, class_means


def key_value(hops: int) -> KeyValue:
    torch.manual_seed(0)
    return KeyValue(torch.nn.Flatten(), 4, KeyValueSettings(hops=hops))


def meta_memory() -> MetaMemory:
    torch.manual_seed(0)
    return MetaMemory(torch.nn.Flatten(), 4, MetaMemorySettings(controller=6))


SUPPORT = Support(
    torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(1)),
    torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 1]]),
    3,
)


def cosine(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return F.cosine_similarity(first[:, :, None], second[:, None], dim=-1)


def test_one_hop_is_the_paper_s_addressing_and_reading():
    chosen, query = key_value(1), torch.rand(2, 3, 4)
    keys, values, question = (
        chosen.key(SUPPORT.inputs),
        chosen.value(SUPPORT.inputs),
        chosen.key(query),
    )
    read = (KeyValue.FIRST_SCALE * cosine(question, keys)).softmax(-1) @ values
    last = (KeyValue.FIRST_SCALE * cosine(chosen.hops[0](question + read), keys)).softmax(-1)
    expected = last @ F.one_hot(SUPPORT.labels, 3).float()
    torch.testing.assert_close(chosen.predict(SUPPORT, query).exp(), expected)


def test_more_hops_read_more():
    query = torch.rand(2, 3, 4)
    assert not torch.allclose(
        key_value(1).predict(SUPPORT, query), key_value(3).predict(SUPPORT, query)
    )


def test_the_support_gradient_is_that_of_the_slow_weights_image_by_image():
    chosen = meta_memory().train()
    gradient = chosen.support_gradient(SUPPORT)
    features = chosen.slow(SUPPORT.inputs).relu()
    means = class_means(Support(features, SUPPORT.labels, 3))
    loss = F.cross_entropy(
        -(features[:, :, None] - means[:, None]).square().sum(-1).flatten(0, 1),
        SUPPORT.labels.flatten(),
        reduction="sum",
    )
    whole = torch.autograd.grad(loss, chosen.slow.weight)[0]
    torch.testing.assert_close(torch.einsum("tsr,tsc->rc", gradient, SUPPORT.inputs), whole)


def test_fast_weights_come_from_the_support_alone_and_nothing_is_carried_over():
    chosen = meta_memory().eval()
    with torch.no_grad():
        first = chosen.adapt(SUPPORT)
        chosen.predict(first, torch.rand(2, 7, 4))
        chosen.adapt(Support(SUPPORT.inputs + 3, SUPPORT.labels, 3))
        again = chosen.adapt(SUPPORT)
    for name in ("keys", "rows", "columns"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert getattr(first, name).grad_fn is None


def test_without_what_is_read_it_is_a_prototypical_network_in_the_slow_layer():
    chosen, query = meta_memory().eval(), torch.rand(2, 3, 4)
    with torch.no_grad():
        chosen.reading.bias[0] = -100.0  # the read gate is shut
        features = chosen.slow(SUPPORT.inputs).relu()
        asked = chosen.slow(query).relu()
        expected = (
            -(asked[:, :, None] - class_means(Support(features, SUPPORT.labels, 3))[:, None])
            .square()
            .sum(-1)
        )
        torch.testing.assert_close(chosen.predict(chosen.adapt(SUPPORT), query), expected)


def test_a_slot_is_erased_by_later_ones_alone_as_far_as_their_keys_are_alike():
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    left = kept(keys, torch.tensor([[[1.0], [0.0], [1.0]]]), torch.full((1, 3, 1), 50.0))[0, :, 0]
    torch.testing.assert_close(
        left, torch.tensor([0.0, 1.0, 1.0])
    )  # the third wiped the first; the first had none before it
    untouched = kept(keys, torch.zeros(1, 3, 1), torch.ones(1, 3, 1))
    assert (untouched == 1).all()


def test_the_outer_loss_reaches_the_controller_and_what_makes_fast_weights():
    chosen = meta_memory().train()
    chosen.predict(chosen.adapt(SUPPORT), torch.rand(2, 3, 4)).square().sum().backward()
    for name in ("slow", "key", "to_rows", "to_columns", "writing", "reading"):
        assert getattr(chosen, name).weight.grad.abs().sum() > 0, name


def test_the_second_order_gradient_of_fast_weights_equals_finite_differences_in_float64():
    chosen = meta_memory().double().train()
    support, query = (
        Support(SUPPORT.inputs.double(), SUPPORT.labels, 3),
        torch.rand(2, 3, 4, dtype=torch.float64),
    )

    def loss() -> torch.Tensor:
        return chosen.predict(chosen.adapt(support), query).square().sum()

    loss().backward()
    for name in ("slow.weight", "to_rows.weight", "writing.weight"):
        weight, step = chosen.get_parameter(name), 1e-6
        for at in range(0, weight.numel(), 3):
            flat, kept_value, values = weight.data.view(-1), weight.data.view(-1)[at].item(), []
            for sign in (1, -1):
                flat[at] = kept_value + sign * step
                values.append(loss().item())
            flat[at] = kept_value
            assert (
                abs(weight.grad.view(-1)[at].item() - (values[0] - values[1]) / (2 * step)) < 1e-5
            ), name


def test_fast_weights_are_made_in_float32_under_mixed_precision():
    chosen = meta_memory().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        chosen.predict(
            chosen.adapt(Support(SUPPORT.inputs.bfloat16(), SUPPORT.labels, 3)), torch.rand(2, 3, 4)
        ).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in chosen.parameters())
