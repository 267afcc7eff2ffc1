"""Matching network: Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra 2016, section 2.1; full
context as in its appendix A.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from models.method import Learner
from models.settings import Episodic
from models.support import Support, log_class_attention, own_order, take
from workspace.settings import Count


class Settings(Episodic):
    """Settings of the matching network."""

    full_context: bool = False
    """true: embed each image in the context of the whole support"""
    reads: Count = 5
    """of the support by a query's LSTM, with full_context"""


class Matching(Learner):
    """Answer with the labels of the support, each weighted by attention to it: softmax of cosine
    similarity.

    The similarity's scale is learned: cosines lie within [-1, 1], and their softmax over many
    images is nearly even.
    """

    FIRST_SCALE = 10.0

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.log_scale = nn.Parameter(torch.tensor(self.FIRST_SCALE).log())
        self.context = FullContext(features, settings.reads) if settings.full_context else None

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        return self.encoder(images)

    def adapt(self, support: Support) -> Support:
        if self.context is None:
            return support
        return Support(self.context.of_support(support.inputs), support.labels, support.way)

    def predict(
        self, adapted: Support, query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        """Log probabilities, so that the loss, which is cross-entropy, is their negative
        likelihood.
        """
        asked = query if self.context is None else self.context.of_query(query, adapted.inputs)
        cosine = F.normalize(asked, dim=-1) @ F.normalize(adapted.inputs, dim=-1).transpose(1, 2)
        return log_class_attention(cosine * self.log_scale.exp(), adapted)


class FullContext(nn.Module):
    """Embeddings that know the whole support: a bidirectional LSTM over it, and for a query an LSTM
    that reads it by attention.
    """

    def __init__(self, features: int, reads: int):
        super().__init__()
        self.reads = reads
        self.over_support = nn.LSTM(features, features, batch_first=True, bidirectional=True)
        # of the query and what was read: the paper's [h, r] without its own h
        self.over_reads = nn.LSTMCell(2 * features, features)

    def of_support(
        self, inputs: Float[Tensor, "task support feature"]
    ) -> Float[Tensor, "task support feature"]:
        """Appendix A.2. An LSTM needs an order: the images' own."""
        order = own_order(inputs)
        forward, backward = self.over_support(take(inputs, order))[0].chunk(2, -1)
        return inputs + take(forward + backward, order.argsort(1))

    def of_query(
        self,
        query: Float[Tensor, "task query feature"],
        support: Float[Tensor, "task support feature"],
    ) -> Float[Tensor, "task query feature"]:
        """Equations 3 to 6; each query reads on its own."""
        hidden, cell = query, torch.zeros_like(query).flatten(0, 1)
        for _ in range(self.reads):
            read = (hidden @ support.transpose(1, 2)).softmax(-1) @ support
            out, cell = self.over_reads(
                torch.cat([query, read], -1).flatten(0, 1), (hidden.flatten(0, 1), cell)
            )
            hidden = query + out.unflatten(0, query.shape[:2])
        return hidden
