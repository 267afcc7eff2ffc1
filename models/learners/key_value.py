"""Key-value memory network: Miller et al. 2016, section 3, with a support image a slot."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from models.method import Learner
from models.settings import Episodic
from models.support import Support, log_class_attention
from workspace.settings import Count


class Settings(Episodic):
    """Settings of the key-value memory network."""

    hops: Count = 2
    """readings of the memory before the answer"""


class KeyValue(Learner):
    """Each support image is a slot: its key is what a query is compared with, its value what is
    read, and its label the answer.

    The paper's values are words of a fixed vocabulary. Labels mean something within a task only, so
    a value here is a second embedding of the image, which the hops read, beside the label, which
    the last addressing answers with. Addressing is by cosine with a learned scale: by plain
    products a class of short keys would never be found.
    """

    FIRST_SCALE = 10.0

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        self.encoder = encoder
        # A of the keys and of the question, which are images alike
        self.key = nn.Linear(features, features)
        self.value = nn.Linear(features, features)  # A of the values
        hops = [nn.Linear(features, features, bias=False) for _ in range(settings.hops)]
        for hop in hops:
            nn.init.eye_(hop.weight)  # untrained hops leave the question in the space of the keys
        self.hops = nn.ModuleList(hops)  # R_j
        self.log_scale = nn.Parameter(torch.tensor(self.FIRST_SCALE).log())

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        return self.encoder(images)

    def adapt(self, support: Support) -> Support:
        return support

    def predict(
        self, adapted: Support, query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        """Log probabilities: equations 1 and 2 for each hop, then the labels under the last
        addressing.
        """
        keys, values = self.key(adapted.inputs), self.value(adapted.inputs)
        question = self.key(query)
        for hop in self.hops:
            question = hop(question + self._scores(question, keys).softmax(-1) @ values)
        return log_class_attention(self._scores(question, keys), adapted)

    def _scores(
        self,
        question: Float[Tensor, "task query feature"],
        keys: Float[Tensor, "task support feature"],
    ) -> Float[Tensor, "task query support"]:
        towards = F.normalize(keys, dim=-1).transpose(1, 2)
        return self.log_scale.exp() * F.normalize(question, dim=-1) @ towards
