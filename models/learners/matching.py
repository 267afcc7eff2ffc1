"""Matching network: Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra 2016, section 2.1; full context as in its appendix A."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from data_prep.episodes import Episodes
from models.method import Learner, Support
from workspace.settings import Matching as Settings


def log_class_attention(scores: Float[Tensor, "task query support"], support: Support) -> Float[Tensor, "task query way"]:
    """Log of the attention that falls on each class: softmax over the support, summed by label."""
    elsewhere = support.labels[:, None, :, None] != torch.arange(support.way, device=scores.device)
    return scores.log_softmax(-1)[..., None].masked_fill(elsewhere, -torch.inf).logsumexp(2)


def order_of(support: Support) -> tuple[Float[Tensor, "task support feature"], Int[Tensor, "task support"]]:
    """The support in an order of its own, by the embeddings' sums: what reads one image after the other then gives the same whatever
    order the images come in, and whatever their labels are called.
    """
    order = support.inputs.sum(-1).argsort(1)
    return _take(support.inputs, order), support.labels.gather(1, order)


class Matching(Learner):
    """Answer with the labels of the support, each weighted by attention to it: softmax of cosine similarity.

    The similarity's scale is learned: cosines lie within [-1, 1], and their softmax over many images is nearly even.
    """

    FIRST_SCALE = 10.0

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.log_scale = nn.Parameter(torch.tensor(self.FIRST_SCALE).log())
        self.context = FullContext(features, settings.reads) if settings.full_context else None

    def embed(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch feature"]:
        return self.encoder(images)

    def adapt(self, support: Support) -> Support:
        return support if self.context is None else Support(self.context.of_support(support.inputs), support.labels, support.way)

    def predict(self, adapted: Support, query: Float[Tensor, "task query feature"]) -> Float[Tensor, "task query way"]:
        """Log probabilities."""
        asked = query if self.context is None else self.context.of_query(query, adapted.inputs)
        cosine = F.normalize(asked, dim=-1) @ F.normalize(adapted.inputs, dim=-1).transpose(1, 2)
        return log_class_attention(cosine * self.log_scale.exp(), adapted)

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """Mean negative log likelihood: `predict` gives log probabilities already."""
        return F.nll_loss(self.logits(episodes).flatten(0, 1), episodes.query_labels.flatten())


class FullContext(nn.Module):
    """Embeddings that know the whole support: a bidirectional LSTM over it, and for a query an LSTM that reads it by attention."""

    def __init__(self, features: int, reads: int):
        super().__init__()
        self.reads = reads
        self.over_support = nn.LSTM(features, features, batch_first=True, bidirectional=True)
        self.over_reads = nn.LSTMCell(2 * features, features)  # of the query and what was read: the paper's [h, r] without its own h

    def of_support(self, inputs: Float[Tensor, "task support feature"]) -> Float[Tensor, "task support feature"]:
        """Equation 8. An LSTM needs an order: by the embeddings' sums, so that neither the given order nor the labels matter."""
        order = inputs.sum(-1).argsort(1)
        forward, backward = self.over_support(_take(inputs, order))[0].chunk(2, -1)
        return inputs + _take(forward + backward, order.argsort(1))

    def of_query(self, query: Float[Tensor, "task query feature"],
                 support: Float[Tensor, "task support feature"]) -> Float[Tensor, "task query feature"]:
        """Equations 3 to 6; each query reads on its own."""
        hidden, cell = query, torch.zeros_like(query).flatten(0, 1)
        for _ in range(self.reads):
            read = (hidden @ support.transpose(1, 2)).softmax(-1) @ support
            out, cell = self.over_reads(torch.cat([query, read], -1).flatten(0, 1), (hidden.flatten(0, 1), cell))
            hidden = query + out.unflatten(0, query.shape[:2])
        return hidden


def _take(inputs: Float[Tensor, "task support feature"], order: Tensor) -> Float[Tensor, "task support feature"]:
    return inputs.gather(1, order[..., None].expand_as(inputs))
