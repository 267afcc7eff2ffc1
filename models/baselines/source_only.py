"""Source only: the source model as it stands, its head cut down to the classes of the site.

No support is used: k = 0.
"""

from jaxtyping import Float
from torch import Tensor

from models.learners.supervised import Supervised
from models.method import Method
from models.support import Support


def head_rows(source: Supervised, task: str, classes: list[str]) -> list[int] | None:
    """Where the site's classes stand in the source model's head for its task; None where a class is
    unknown to the sources.
    """
    known = source.tasks.get(task, [])
    return [known.index(name) for name in classes] if set(classes) <= set(known) else None


class SourceOnly(Method):
    """Answers from the source head, in the order of the site's classes."""

    def __init__(self, source: Supervised, task: str, rows: list[int]):
        super().__init__()
        self.source, self.task, self.rows = source, task, rows

    def embed(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch way"]:
        return self.source.heads[self.task](self.source.encoder(images))[:, self.rows]

    def adapt(self, support: Support) -> None:
        return None

    def predict(
        self, adapted: None, query: Float[Tensor, "task query way"]
    ) -> Float[Tensor, "task query way"]:
        return query
