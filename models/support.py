"""A support set, and what several methods make of one."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Support:
    """Labelled inputs of a batch of tasks; labels are 0..way-1."""

    inputs: Float[Tensor, "task support *input"]  # what `embed` returned
    labels: Int[Tensor, "task support"]
    way: int


def class_means(support: Support) -> Float[Tensor, "task way feature"]:
    """Each class's mean input; classes may have different numbers of shots."""
    member = F.one_hot(support.labels, support.way).to(support.inputs.dtype)
    return torch.einsum("tsw,tsf->twf", member, support.inputs) / member.sum(1)[..., None]


def nearness(
    means: Float[Tensor, "task way feature"], query: Float[Tensor, "task query feature"]
) -> Float[Tensor, "task query way"]:
    """Negative squared Euclidean distances.

    Expanded, not torch.cdist: a query's value then does not depend on the others.
    """
    return -(query[:, :, None] - means[:, None]).square().sum(-1)


def log_class_attention(
    scores: Float[Tensor, "task query support"], support: Support
) -> Float[Tensor, "task query way"]:
    """Log of the attention that falls on each class: softmax over the support, summed by label."""
    elsewhere = support.labels[:, None, :, None] != torch.arange(support.way, device=scores.device)
    return scores.log_softmax(-1)[..., None].masked_fill(elsewhere, -torch.inf).logsumexp(2)


def own_order(inputs: Float[Tensor, "task support feature"]) -> Int[Tensor, "task support"]:
    """An order by the embeddings' weighed sums (plain ones are zero where a layer norm comes last):
    what reads one image after the other then gives the same whatever order they come in, and
    whatever their labels are called.
    """
    ramp = torch.arange(1, inputs.shape[-1] + 1, device=inputs.device, dtype=inputs.dtype)
    return (inputs * ramp).sum(-1).argsort(1)


def take(
    inputs: Float[Tensor, "task support feature"], order: Int[Tensor, "task support"]
) -> Float[Tensor, "task support feature"]:
    """The inputs of each task in another order."""
    return inputs.gather(1, order[..., None].expand_as(inputs))


def in_own_order(support: Support) -> Support:
    """The support in an order that depends on its images alone."""
    order = own_order(support.inputs)
    return Support(take(support.inputs, order), support.labels.gather(1, order), support.way)


def at_least_float32(inputs: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """What mixed precision made half, as float32: where gradients are taken of gradients."""
    return inputs.float() if inputs.dtype in (torch.float16, torch.bfloat16) else inputs
