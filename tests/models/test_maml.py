import pytest
import torch
import torch.nn.functional as F
from torch import nn

from data_prep.episodes import Episodes
from models.learners.maml import HEAD, Maml
from models.method import Support
from workspace.settings import Maml as Settings


def small(**settings) -> Maml:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return Maml(encoder, 3, Settings(inner_rate=0.3, inner_steps=2, adapt_steps=2, **settings)).double()


def episodes(tasks: int = 2, way: int = 3, shot: int = 2) -> Episodes:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(way).repeat_interleave(shot).expand(tasks, -1)
    images = [torch.randn(tasks, way * shot, 1, 2, 2, generator=generator, dtype=torch.float64) for _ in range(2)]
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
        torch.testing.assert_close(gradient, finite_difference(model, name), rtol=1e-6, atol=1e-8, msg=name)


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
    torch.testing.assert_close(model.encoder[1].weight.grad, leaves["encoder.1.weight".removeprefix("encoder.")].grad)
    torch.testing.assert_close(model.class_vector.grad, leaves[HEAD].grad.sum(0))


def test_no_steps_leave_the_base_model():
    model = small().eval()
    model.settings = model.settings.model_copy(update={"adapt_steps": 0})
    batch = episodes()
    logits = model.predict(model.adapt(Support(batch.support, batch.support_labels, batch.way)), batch.query)
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
    support_loss = F.cross_entropy(model.predict(adapted, batch.support).flatten(0, 1), batch.support_labels.flatten())
    assert support_loss < torch.log(torch.tensor(3.0))


@pytest.mark.parametrize("training", [True, False])
def test_logits_permute_with_the_labels(training):
    model = small().train(training)
    batch = episodes()
    order = torch.tensor([2, 0, 1])
    plain = model.predict(model.adapt(Support(batch.support, batch.support_labels, batch.way)), batch.query)
    moved = model.predict(model.adapt(Support(batch.support, order[batch.support_labels], batch.way)), batch.query)
    torch.testing.assert_close(moved[..., order], plain)
