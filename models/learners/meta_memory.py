"""Meta-memory network, after Meta Networks: fast weights from support gradients (Munkhdalai and Yu
2017, section 3) in a memory of slots whose controller decides what is written, erased (Graves,
Wayne and Danihelka 2014, section 3.2) and read.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from models.method import Learner
from models.settings import Episodic
from models.support import Support, at_least_float32, class_means, in_own_order
from workspace.settings import Count


class Settings(Episodic):
    """Settings of the meta network."""

    controller: Count = 64
    """units of the LSTM that decides what is written and erased"""


@dataclass(frozen=True)
class Slots:
    """A task's memory, a slot a support image.

    Its fast weights are one gradient's outer product, kept as the two factors.
    """

    keys: Float[Tensor, "task support feature"]
    rows: Float[Tensor, "task support feature"]  # from the loss's gradient at the slow layer
    columns: Float[Tensor, "task support feature"]  # from the layer's input
    support: Support


class MetaMemory(Learner):
    """Classify by distance to class means in a layer whose weights are slow ones, learned once,
    plus fast ones that a query reads.

    Memory is empty at the start of each task and nothing of it is left after. Slots are filled in
    an order of the images' own.
    """

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        self.slow = nn.Linear(features, features)
        self.key = nn.Linear(features, features, bias=False)
        self.to_rows, self.to_columns = (
            nn.Linear(features, features, bias=False) for _ in range(2)
        )
        self.controller = nn.LSTM(2 * features, settings.controller, batch_first=True)
        # write gate, erase gate, how sharply erasing is addressed
        self.writing = nn.Linear(settings.controller, 3)
        self.reading = nn.Linear(features, 2)  # read gate, how sharply reading is addressed

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        return self.encoder(images)

    def adapt(self, support: Support) -> Slots:
        support = in_own_order(support)
        inputs = support.inputs
        gradient = self.support_gradient(support)
        keys = F.normalize(self.key(inputs), dim=-1)
        with torch.autocast(
            inputs.device.type, enabled=False
        ):  # a CPU without AVX-512 has no LSTM in bfloat16
            steps, _ = self.controller(torch.cat([inputs, gradient], -1))
        write, erase, sharp = self.writing(steps).split(1, -1)
        strength = write.sigmoid() * kept(keys, erase.sigmoid(), 1 + F.softplus(sharp))
        return Slots(keys, strength * self.to_rows(gradient), self.to_columns(inputs), support)

    def predict(
        self, adapted: Slots, query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        """Negative squared distances; a query and the means that it is compared with pass through
        the same weights, its own.
        """
        gate, sharp = self.reading(query).split(1, -1)
        alike = F.normalize(self.key(query), dim=-1) @ adapted.keys.transpose(1, 2)
        reads = gate.sigmoid() * (alike * (1 + F.softplus(sharp))).softmax(-1)
        inputs = adapted.support.inputs
        own = (
            self.slow(query).relu() + self._fast(adapted, reads, query[:, :, None])[:, :, 0].relu()
        )
        others = (
            self.slow(inputs).relu()[:, None] + self._fast(adapted, reads, inputs[:, None]).relu()
        )
        member = F.one_hot(adapted.support.labels, adapted.support.way).to(inputs.dtype)
        means = torch.einsum("tsw,tqsf->tqwf", member / member.sum(1, keepdim=True), others)
        return -(own[:, :, None] - means).square().sum(-1)

    def support_gradient(self, support: Support) -> Float[Tensor, "task support feature"]:
        """Gradient of the support's loss at the slow layer's output, an image at a time: with its
        input, that of the weights.
        """
        with torch.enable_grad(), torch.autocast(support.inputs.device.type, enabled=False):
            out = self.slow(at_least_float32(support.inputs))
            out = out if self.training else out.detach().requires_grad_()
            features = out.relu()
            means = class_means(Support(features, support.labels, support.way))
            logits = -(features[:, :, None] - means[:, None]).square().sum(-1)
            loss = self.head.loss(logits, support.labels, reduction="sum")
            return torch.autograd.grad(loss, out, create_graph=self.training)[0]

    def _fast(
        self,
        slots: Slots,
        reads: Float[Tensor, "task query support"],
        inputs: Float[Tensor, "task #query image feature"],
    ) -> Float[Tensor, "task query image feature"]:
        """What the fast weights that each query reads make of `inputs`."""
        within = torch.einsum("tqif,tsf->tqis", inputs, slots.columns) * inputs.shape[-1] ** -0.5
        return torch.einsum(
            "tqs,tqis,tsf->tqif", reads, within.expand(-1, reads.shape[1], -1, -1), slots.rows
        )


def kept(
    keys: Float[Tensor, "task support feature"],
    erase: Float[Tensor, "task support 1"],
    sharp: Float[Tensor, "task support 1"],
) -> Float[Tensor, "task support 1"]:
    """What is left of each slot after the later ones erased in it, each by its gate and by how
    alike their keys are.
    """
    count = keys.shape[1]
    earlier = torch.ones(count, count, device=keys.device).tril(-1).bool()
    scores = (keys @ keys.transpose(1, 2) * sharp).masked_fill(~earlier, -torch.inf)
    # the first slot has none before it
    address = torch.cat([torch.zeros_like(scores[:, :1]), scores[:, 1:].softmax(-1)], 1)
    return (1 - erase * address).prod(1)[..., None]
