"""Memory-augmented network: Santoro, Bartunov, Botvinick, Wierstra and Lillicrap 2016, sections 2
and 3.

A Neural Turing Machine that is shown images one by one, each with the label of the one before, and
writes where its memory is least used (LRUA). The controller sees an image as SEEN normalised
numbers, a fixed map of the encoder's features, where the paper's sees pixels; each head writes to a
slot of its own, with a gate that the controller sets, where the paper learns one number. Keys are
made of the image too, not of the controller's state alone, and at first almost only of it: alike
images then find each other's slots from the start, and what is left to learn is to write labels
there. From keys of the state alone, training sat at chance for thousands of steps.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from data_prep.episodes.draw import Episodes
from models.method import Learner
from models.settings import Episodic
from models.support import Support, in_own_order
from workspace.settings import Count

SEEN = 64  # numbers that an image is to the controller, whatever the encoder's width
EMPTY = 1e-6  # of every cell at the start: a direction, so that cosines exist
SHARP = 5.0  # key strength at the start, before softplus: at 0 every slot is read about alike
FAINT = 0.1  # how much of its usual start the state's part in a key has
DECAY = 0.95  # of usage a step


class Settings(Episodic):
    """Settings of the memory-augmented network."""

    slots: Count = 128
    """of the memory"""
    cell: Count = 40
    """numbers in a slot"""
    heads: Count = 4
    """that read and write"""
    controller: Count = 200
    """units of the LSTM"""


@dataclass(frozen=True)
class Memory:
    """All that one step hands to the next.

    `label`: one-hot of the last image shown, which the next step is told; zero at first.
    """

    cells: Float[Tensor, "task slot cell"]
    reads: Float[Tensor, "task head slot"]  # the last step's read weights
    usage: Float[Tensor, "task slot"]
    read: Float[Tensor, "task head*cell"]
    hidden: Float[Tensor, "task controller"]
    state: Float[Tensor, "task controller"]
    label: Float[Tensor, "task label"]

    def repeat(self, times: int) -> "Memory":
        """Each task's memory `times` over, one copy a query."""
        return Memory(
            *(getattr(self, name).repeat_interleave(times, 0) for name in self.__dataclass_fields__)
        )


class Mann(Learner):
    """Bind images to labels in an external memory as they are shown.

    Labels are outputs of their own: `way` bounds a site's classes.
    """

    settings: Settings

    def __init__(self, encoder: nn.Module, features: int, settings: Settings):
        super().__init__(settings)
        heads, cell, labels = settings.heads, settings.cell, settings.way
        self.encoder = encoder
        # what is alike stays alike; a map that learned did not stay so
        onto_few = nn.Linear(features, SEEN, bias=False)
        nn.init.orthogonal_(onto_few.weight).requires_grad_(False)
        self.squeeze = nn.Sequential(
            nn.LayerNorm(features, elementwise_affine=False),
            onto_few,
            nn.LayerNorm(SEEN, elementwise_affine=False),
        )
        self.controller = nn.LSTMCell(SEEN + labels + heads * cell, settings.controller)
        # of each head: key, its strength, write gate
        self.interface = nn.Linear(settings.controller + SEEN, heads * (cell + 2))
        with torch.no_grad():
            keys = self.interface.weight.view(heads, cell + 2, -1)[:, :cell]
            keys[..., : settings.controller] *= FAINT
            keys[..., settings.controller :].normal_(std=SEEN**-0.5)
            self.interface.bias.view(heads, cell + 2)[:, cell] = SHARP
        self.answer = nn.Linear(settings.controller + heads * cell, labels)

    @property
    def most_classes(self) -> int:
        """Labels are outputs, so there are no more than these."""
        return self.settings.way

    def embed(
        self, images: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch feature"]:
        """Of mean 0 and deviation 1: many or large features saturate the controller, which then
        never binds an image to its label.
        """
        return self.squeeze(self.encoder(images))

    def adapt(self, support: Support) -> tuple[Memory, int]:
        """Show the support in one order, whatever order it comes in; not that of likeness, since
        training mixes the classes.

        The last label waits for the next image.
        """
        support = in_own_order(support)
        mixed = torch.randperm(
            support.inputs.shape[1], generator=torch.Generator().manual_seed(0)
        ).to(support.labels.device)
        support = Support(support.inputs[:, mixed], support.labels[:, mixed], support.way)
        memory = self.blank(support.inputs)
        for at in range(support.inputs.shape[1]):
            _, memory = self.show(memory, support.inputs[:, at])
            memory = self.tell(memory, support.labels[:, at])
        return memory, support.way

    def predict(
        self, adapted: tuple[Memory, int], query: Float[Tensor, "task query feature"]
    ) -> Float[Tensor, "task query way"]:
        """Each query is shown to a copy of its own of the memory, which is then dropped."""
        memory, way = adapted
        logits, _ = self.show(memory.repeat(query.shape[1]), query.flatten(0, 1))
        return logits.unflatten(0, query.shape[:2])[..., :way]

    def blank(self, inputs: Float[Tensor, "task image feature"]) -> Memory:
        """An empty memory for each task."""
        chosen, tasks, zeros = self.settings, len(inputs), inputs.new_zeros
        return Memory(
            zeros(tasks, chosen.slots, chosen.cell) + EMPTY,
            zeros(tasks, chosen.heads, chosen.slots),
            zeros(tasks, chosen.slots),
            zeros(tasks, chosen.heads * chosen.cell),
            zeros(tasks, chosen.controller),
            zeros(tasks, chosen.controller),
            zeros(tasks, chosen.way),
        )

    def tell(self, memory: Memory, labels: Int[Tensor, "task"]) -> Memory:
        """The label of the image that was just shown."""
        return replace(memory, label=F.one_hot(labels, self.settings.way).to(memory.label.dtype))

    def show(
        self, memory: Memory, inputs: Float[Tensor, "task feature"]
    ) -> tuple[Float[Tensor, "task label"], Memory]:
        """One step: write where the last one read or where least is lost (equations 5 to 8), then
        read (2 to 4) and answer.
        """
        chosen = self.settings
        hidden, state = self.controller(
            torch.cat([inputs, memory.label, memory.read], 1), (memory.hidden, memory.state)
        )
        keys, strength, gate = (
            self.interface(torch.cat([hidden, inputs], 1))
            .unflatten(1, (chosen.heads, -1))
            .split([chosen.cell, 1, 1], -1)
        )
        # a slot for each head
        least = F.one_hot(memory.usage.topk(chosen.heads, largest=False).indices, chosen.slots).to(
            keys.dtype
        )
        writes = gate.sigmoid() * memory.reads + (1 - gate.sigmoid()) * least
        cells = memory.cells * (1 - least.sum(1))[..., None] + writes.transpose(1, 2) @ keys.tanh()
        alike = F.normalize(keys.tanh(), dim=-1) @ F.normalize(cells, dim=-1).transpose(1, 2)
        reads = (alike * (1 + F.softplus(strength))).softmax(-1)
        read = (reads @ cells).flatten(1)
        usage = DECAY * memory.usage + (reads + writes).sum(1)
        return self.answer(torch.cat([hidden, read], 1)), Memory(
            cells, reads, usage, read, hidden, state, memory.label
        )

    def sequence(
        self, inputs: Float[Tensor, "task image feature"], labels: Int[Tensor, "task image"]
    ) -> Float[Tensor, "task image label"]:
        """Answers to images shown one after the other, each before its label is told."""
        memory, answers = self.blank(inputs), []
        for at in range(inputs.shape[1]):
            logits, memory = self.show(memory, inputs[:, at])
            memory = self.tell(memory, labels[:, at])
            answers.append(logits)
        return torch.stack(answers, 1)

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """Mean cross-entropy over sequences of all of an episode's images, in random order, under
        random labels (section 2).
        """
        inputs, labels = shuffled(
            torch.cat(self.embed_both(episodes), 1),
            torch.cat([episodes.support_labels, episodes.query_labels], 1),
            self.settings.way,
            episodes.first,
            self.settings.tasks,
        )
        return self.head.loss(self.sequence(inputs, labels), labels)


def shuffled(
    inputs: Float[Tensor, "task image feature"],
    labels: Int[Tensor, "task image"],
    most: int,
    first: int = 0,
    of: int = 0,
) -> tuple[Float[Tensor, "task image feature"], Int[Tensor, "task image"]]:
    """Each task in an order of its own, its labels renamed to any of 0..most-1: no output may get
    to mean a place in the episode.

    Where the tasks are a share, from `first` on, of `of`, all are drawn for, so that each gets what
    it would in one process.
    """
    tasks, images = labels.shape
    whole, mine = max(of, tasks), slice(first, first + tasks)
    order = torch.rand(whole, images)[mine].argsort(1).to(labels.device)
    names = torch.rand(whole, most)[mine].argsort(1).to(labels.device)
    return inputs.gather(1, order[..., None].expand_as(inputs)), names.gather(
        1, labels.gather(1, order)
    )
