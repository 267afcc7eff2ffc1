from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.profiler import ProfilerActivity, profile

from data_prep.episodes.draw import Episodes
from data_prep.settings import Convert
from eval.settings import Adapt, Report
from models.encoders.encoder import build_encoder
from models.encoders.settings import Encoder
from models.learners.maml import HEAD, Maml, Settings, step_weights
from models.settings import Params, Train
from models.support import Support
from models.training.loop import gradient_taker, take_gradient, train
from models.training.processes import launch
from models.training.task_threads import TaskThreads


def small(**settings) -> Maml:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return Maml(
        encoder, 3, Settings(inner_rate=0.3, inner_steps=2, adapt_steps=2, **settings)
    ).double()


def episodes(tasks: int = 2, way: int = 3, shot: int = 2) -> Episodes:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(way).repeat_interleave(shot).expand(tasks, -1)
    images = [
        torch.randn(tasks, way * shot, 1, 2, 2, generator=generator, dtype=torch.float64)
        for _ in range(2)
    ]
    return Episodes(images[0], labels, images[1], labels, way)


def loss_gradient(model: Maml) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model.loss(episodes()).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def finite_difference(model: Maml, name: str, step: float = 1e-5) -> torch.Tensor:
    parameter = dict(model.named_parameters())[name]
    result = torch.zeros_like(parameter)
    for at in range(parameter.numel()):
        flat = parameter.data.view(-1)
        kept = flat[at].item()
        values = []
        for sign in (1, -1):
            flat[at] = kept + sign * step
            values.append(model.loss(episodes()).item())
        flat[at] = kept
        result.view(-1)[at] = (values[0] - values[1]) / (2 * step)
    return result


def test_the_second_order_gradient_equals_finite_differences_in_float64():
    model = small().train()
    for name, gradient in loss_gradient(model).items():
        torch.testing.assert_close(
            gradient, finite_difference(model, name), rtol=1e-6, atol=1e-8, msg=name
        )


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_gradient_is_that_of_the_plain_loop_which_moves_every_weight_at_every_step(steps):
    model, given = small().train(), episodes()
    model.settings = model.settings.model_copy(update={"inner_steps": steps})
    found, losses = loss_gradient(model), []
    model.zero_grad()
    for support, labels, query, query_labels in zip(
        given.support, given.support_labels, given.query, given.query_labels, strict=True
    ):
        body, head = (
            dict(model.encoder.named_parameters()),
            model.class_vector.expand(given.way, -1),
        )
        for _ in range(steps):
            loss = F.cross_entropy(
                functional_call(model.encoder, body, (support,)) @ head.T, labels
            )
            *gradients, last = torch.autograd.grad(loss, [*body.values(), head], create_graph=True)
            body = {
                name: weight - 0.3 * gradient
                for (name, weight), gradient in zip(body.items(), gradients, strict=True)
            }
            head = head - 0.3 * last
        losses.append(
            F.cross_entropy(functional_call(model.encoder, body, (query,)) @ head.T, query_labels)
        )
    torch.stack(losses).mean().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-9, atol=1e-12, msg=name)


def test_the_first_order_gradient_differs_from_finite_differences():
    model = small(first_order=True).train()
    gradient = loss_gradient(model)["encoder.1.weight"]
    assert (gradient - finite_difference(model, "encoder.1.weight")).abs().max() > 1e-4


def test_first_order_is_the_query_gradient_at_the_adapted_weights():
    model = small(first_order=True).train()
    batch = episodes(tasks=1)
    model.zero_grad()
    model.loss(batch).backward()
    adapted = model.adapt(Support(batch.support, batch.support_labels, batch.way)).tasks[0]
    leaves = {name: weight.detach().requires_grad_() for name, weight in adapted.items()}
    F.cross_entropy(model._forward(leaves, batch.query[0]), batch.query_labels[0]).backward()
    torch.testing.assert_close(
        model.encoder[1].weight.grad, leaves["encoder.1.weight".removeprefix("encoder.")].grad
    )
    torch.testing.assert_close(model.class_vector.grad, leaves[HEAD].grad.sum(0))


def test_no_steps_leave_the_base_model():
    model = small().eval()
    model.settings = model.settings.model_copy(update={"adapt_steps": 0})
    batch = episodes()
    logits = model.predict(
        model.adapt(Support(batch.support, batch.support_labels, batch.way)), batch.query
    )
    base = model.encoder(batch.query[0]) @ model.class_vector
    torch.testing.assert_close(logits[0], base[:, None].expand(-1, batch.way))


def test_evaluation_changes_no_parameter_and_builds_no_outer_graph():
    model = small().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = episodes()
    with torch.no_grad():
        adapted = model.adapt(Support(batch.support, batch.support_labels, batch.way))
        logits = model.predict(adapted, batch.query)
    assert all(weight.is_leaf for weights in adapted.tasks for weight in weights.values())
    assert logits.grad_fn is None
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_more_steps_at_a_site_than_in_training_work():
    model = small().eval()
    model.settings = model.settings.model_copy(update={"adapt_steps": 9})
    batch = episodes()
    adapted = model.adapt(Support(batch.support, batch.support_labels, batch.way))
    support_loss = F.cross_entropy(
        model.predict(adapted, batch.support).flatten(0, 1), batch.support_labels.flatten()
    )
    assert support_loss < torch.log(torch.tensor(3.0))


@pytest.mark.parametrize("training", [True, False])
def test_logits_permute_with_the_labels(training):
    model = small().train(training)
    batch = episodes()
    order = torch.tensor([2, 0, 1])
    plain = model.predict(
        model.adapt(Support(batch.support, batch.support_labels, batch.way)), batch.query
    )
    moved = model.predict(
        model.adapt(Support(batch.support, order[batch.support_labels], batch.way)), batch.query
    )
    torch.testing.assert_close(moved[..., order], plain)


def test_learned_rates_are_followed_step_by_step_and_the_last_goes_on_at_a_site():
    model = small(learned_rates=True).eval()
    with torch.no_grad():
        model.rates.zero_()
        model.rates[:, 1] = 0.3
    batch = episodes(tasks=1)
    support = Support(batch.support, batch.support_labels, batch.way)
    heads = [model._descend(support, steps, second_order=False)[0][-1][HEAD] for steps in range(5)]
    assert torch.equal(heads[0], heads[1])  # the first step's rates are 0
    assert not torch.allclose(heads[1], heads[2])
    assert not torch.allclose(heads[3], heads[4])  # beyond the two steps of training


def test_learned_rates_get_their_gradient_from_the_outer_loss():
    model = small(learned_rates=True).train()
    gradient = loss_gradient(model)["rates"]
    torch.testing.assert_close(gradient, finite_difference(model, "rates"), rtol=1e-6, atol=1e-8)


def test_step_weights_sum_to_one_and_end_on_the_last_step():
    for progress in (0.0, 0.3, 0.99, 1.0, 7.0):
        assert sum(step_weights(4, progress)) == pytest.approx(1)
    assert step_weights(4, 0.0) == [0.25] * 4
    assert step_weights(4, 1.0) == [1.0]
    assert step_weights(4, 0.5)[-1] > step_weights(4, 0.2)[-1]


def test_the_multi_step_loss_is_the_mean_over_inner_steps_at_first_and_the_last_step_s_at_the_end():
    model = small(multi_step_steps=10).train()
    batch = episodes(tasks=1)
    path = model._descend(
        Support(batch.support, batch.support_labels, batch.way), 2, second_order=True
    )[0]
    each = [
        F.cross_entropy(model._forward(weights, batch.query[0]), batch.query_labels[0])
        for weights in path[1:]
    ]
    torch.testing.assert_close(model.loss(batch), (each[0] + each[1]) / 2)
    torch.testing.assert_close(model.loss(replace(batch, step=10)), each[1])


def test_derivatives_are_annealed_from_first_to_second_order():
    def gradient(step: int, **settings) -> torch.Tensor:
        model = small(**settings).train()
        model.loss(replace(episodes(), step=step)).backward()
        return model.encoder[1].weight.grad

    torch.testing.assert_close(gradient(4, first_order_steps=5), gradient(0, first_order=True))
    torch.testing.assert_close(gradient(5, first_order_steps=5), gradient(0))


def test_anil_adapts_the_head_alone_and_its_body_learns_from_the_outer_loss():
    model = small(anil=True).train()
    batch = episodes(tasks=1)
    support = Support(model.embed(batch.support[0])[None], batch.support_labels, batch.way)
    assert list(model.adapt(support).tasks[0]) == [HEAD]
    for name, gradient in loss_gradient(model).items():
        torch.testing.assert_close(
            gradient, finite_difference(model, name), rtol=1e-6, atol=1e-8, msg=name
        )


def test_the_inner_loop_stays_in_float32_under_mixed_precision():
    torch.manual_seed(0)
    model = Maml(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), 3, Settings(adapt_steps=2)).eval()
    batch = episodes()
    support = Support(batch.support.float(), batch.support_labels, batch.way)
    plain = model.adapt(support).tasks[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model.adapt(support).tasks[0]
    assert all(torch.equal(mixed[name], plain[name]) for name in plain)


def test_the_first_inner_step_moves_the_head_alone_while_its_rows_are_equal():
    model = small().train()
    batch = episodes(tasks=1)
    path = model._descend(
        Support(batch.support, batch.support_labels, batch.way), 2, second_order=False
    )[0]
    for name in path[0]:
        assert torch.allclose(path[0][name], path[1][name], atol=1e-12) == (name != HEAD)
        assert not torch.allclose(path[1][name], path[2][name], atol=1e-6)


def test_anil_trains_under_mixed_precision():
    torch.manual_seed(0)
    model = Maml(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), 3, Settings(anil=True)).train()
    batch = episodes()
    batch = replace(batch, support=batch.support.float(), query=batch.query.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.loss(batch).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("wrong", "stated"),
    [
        ({"first_order": True, "first_order_steps": 5}, "first_order or first_order_steps"),
        ({"inner_steps": 0, "learned_rates": True}, "inner_steps of 1"),
        ({"inner_steps": 0, "multi_step_steps": 3}, "inner_steps of 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong, stated):
    with pytest.raises(ValueError, match=stated):
        Settings(**wrong)


def most_held(tasks: int, chunk: int) -> int:
    """Bytes that one training step holds at most, of tensors that it made."""
    model, given = small(chunk=chunk).train(), episodes(tasks)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        take_gradient(model, given, nullcontext())
    changes = [
        event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"
    ]
    return max(
        np.cumsum([event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns())])
    )


def test_memory_is_flat_over_tasks_in_chunks_and_not_without():
    assert most_held(tasks=12, chunk=2) <= 1.2 * most_held(tasks=2, chunk=2)
    assert most_held(tasks=12, chunk=12) > 4 * most_held(tasks=2, chunk=2)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_chunks_give_the_gradient_and_the_loss_of_all_tasks_at_once(chunk):
    whole, parts = small().train(), small(chunk=chunk).train()
    together = whole.loss(episodes(5))
    together.backward()
    torch.testing.assert_close(take_gradient(parts, episodes(5), nullcontext()), together.detach())
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_threads_and_one_vectorised_gradient_give_the_gradient_of_the_plain_loop():
    wanted = loss_gradient(small().train())
    together, threaded = small(together="vectorised").train(), small(together="threads").train()
    assert threaded.tasks_alone and not together.tasks_alone and not small(anil=True).tasks_alone
    found = loss_gradient(together)
    TaskThreads(threaded, 2).take_gradient(episodes())
    for name, parameter in threaded.named_parameters():
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-12, msg=name)
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-9, atol=1e-12, msg=name)


def test_tasks_that_threads_take_at_once_do_not_meet_in_a_network():
    torch.manual_seed(0)
    chosen = Settings(inner_steps=3, tasks=8)
    model = Maml(build_encoder(Encoder(width=8), 1, [16, 16]), 8, chosen).train()
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.rand(8, 6, 1, 16, 16, generator=generator), torch.arange(3).repeat(8, 2)
    batch = Episodes(images, labels, images.flip(0), labels, 3)
    model.loss(batch).backward()
    wanted = [weight.grad.clone() for weight in model.parameters()]
    threads = TaskThreads(model, 4)
    first = [threads.take_gradient(batch), *(weight.grad.clone() for weight in model.parameters())]
    for found, due in zip(first[1:], wanted, strict=True):
        torch.testing.assert_close(found, due, rtol=1e-3, atol=1e-5)
    for _ in range(5):
        assert torch.equal(threads.take_gradient(batch), first[0])
        assert all(
            torch.equal(weight.grad, due)
            for weight, due in zip(model.parameters(), first[1:], strict=True)
        )


def test_training_says_that_it_uses_threads_where_there_are_several(sources, capfd, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    torch.manual_seed(0)
    chosen = Settings(
        way=2,
        shot=1,
        query=2,
        tasks=2,
        inner_steps=2,
        steps=2,
        validate_every=2,
        validation_episodes=2,
    )
    model = Maml(build_encoder(Encoder(width=8), 1, [16, 16]), 8, chosen)
    params = Params(
        sites={"a": "source"},
        convert=Convert(size=[16, 16]),
        train=Train(learners=["maml"], device="cpu"),
        adapt=Adapt(methods=["maml"]),
        report=Report(method="maml"),
    )
    assert train(model, *sources, params).step == 2
    assert "train: the tasks of a step on 2 threads, one on each" in capfd.readouterr().err


def test_a_network_with_dropout_stays_off_the_threads_since_their_order_would_decide_what_is_dropped(
    monkeypatch,
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    fabric = launch(Train(learners=["maml"], device="cpu"))
    dropping = Maml(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3)), 3, Settings())
    assert isinstance(getattr(gradient_taker(small(), fabric), "__self__", None), TaskThreads)
    assert not hasattr(gradient_taker(dropping, fabric), "__self__")


@pytest.mark.parametrize("steps", [0, 1, 2, 4])
def test_there_are_as_many_forward_passes_as_steps_and_no_path_is_kept_at_a_site(steps):
    model, batch, passes = small(), episodes(tasks=1), []
    model.settings = model.settings.model_copy(update={"inner_steps": steps, "adapt_steps": steps})
    model.encoder.register_forward_hook(lambda *_: passes.append(1))
    support = Support(batch.support, batch.support_labels, batch.way)
    for training in (True, False):
        passes.clear()
        path = model.train(training)._descend(support, steps, second_order=training)[0]
        assert (
            len(passes) == {0: 0, 1: 1, 2: 1, 4: 3}[steps]
        )  # the second step takes the first one's
        assert len(path) == (steps + 1 if training else 1)
