"""What models reads of params.yaml: training, pretraining, and what lies beside what it sets.

A learner's own settings lie in its file, models/learners/NAME.py, as `Settings`.
"""

from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Annotated, Any, Literal

from pydantic import Field

from data_prep import settings as data_prep_settings
from data_prep.episodes.shape import EpisodeShape
from models.augmentation.settings import Augment
from models.encoders.settings import Encoder
from workspace.errors import Problem
from workspace.paths import Workspace
from workspace.settings import Count, Names, Seeds, SiteName, Strict


class Train(Strict):
    """Training of all learners."""

    learners: Names
    """supervised, prototypical, maml; the baselines need supervised"""
    seeds: Seeds = [0]
    """each learner is trained once with each"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """of training and adaptation"""
    mixed_precision: bool = True
    """bfloat16, on CUDA only; inner loops stay in float32"""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads; 0: torch's own choice"""
    checkpoint_every: Count = 100
    """steps; a killed run goes on from the last one"""
    preload: Annotated[float, Field(ge=0)] = 4.0
    """GiB of pixels at most that are held on the device; more stay in their files, fetched a step
    ahead
    """


class Learning(Strict):
    """What every learner's training has in common."""

    encoder: Encoder | None = None
    """none: the encoder that all learners share"""
    steps: Count = 1000
    """of the optimiser"""
    rate: Annotated[float, Field(gt=0)] = 1e-3
    """Adam's, with a cosine descent to 0"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's"""
    validate_every: Count = 100
    """steps"""
    validation_episodes: Count = 60
    """the same ones at every validation"""

    def contradictions(self, where: str, encoder: Encoder) -> list[Problem]:
        """What does not fit the encoder that this learner trains. `where`: its section."""
        return []


class Episodic(EpisodeShape, Learning):
    """What training on episodes has in common."""

    tasks: Count = 1
    """episodes in one step"""
    cross_site: Annotated[float, Field(ge=0, le=1)] = 0.0
    """share of episodes with support and query from different sites of a task"""


class Batched(Learning):
    """Training on batches of images."""

    batch: Count = 64
    """images a step"""


class Pretrain(Batched):
    """Training of an encoder before the learners', on the same records; they use it with
    `encoder.weights: pretrained`.

    Its `encoder`: none: the shared one, from fresh weights.
    """

    method: Literal["none", "supervised", "simsiam"] = "none"
    """supervised: as the source model; simsiam: without labels"""
    projection: Annotated[int, Field(ge=8, multiple_of=8)] = 512
    """of simsiam: width of its projector (the paper's: 2048), a multiple of 8"""
    views: Augment | None = None
    """of simsiam: ranges of its two views; none: those of augment and task_augment"""


class Params(data_prep_settings.Params):
    """params.yaml as far as models reads it."""

    encoder: Encoder = Encoder()
    augment: Augment = Augment()
    task_augment: dict[SiteName, Augment] = {}
    """task: its own ranges instead, since a cell may be turned and a chest may not"""
    pretrain: Pretrain = Pretrain()
    train: Train
    learners: dict[str, dict[str, Any]] = {}

    def contradictions(self, file: str) -> list[Problem]:
        problems = super().contradictions(file)
        known = learner_names()
        need, cure = (
            f"one of {', '.join(known)}",
            "correct the name, or write models/learners/NAME.py",
        )
        for where, names in (("train.learners", self.train.learners), ("learners", self.learners)):
            unknown = [name for name in names if name not in known]
            problems += [Problem(f"{file} {where}", f"'{name}'", need, cure) for name in unknown]
        return problems + self._stains(file) + self._pretraining(file)

    def _stains(self, file: str) -> list[Problem]:
        ranges = {"augment": self.augment, "pretrain.views": self.pretrain.views}
        ranges |= {f"task_augment.{task}": own for task, own in self.task_augment.items()}
        channels = self.convert.channels
        return [
            Problem(
                f"{file} {where}.stain",
                f"{own.stain:g} with convert.channels {channels}",
                "3 channels to tell stains from one another",
                "set it to 0",
            )
            for where, own in ranges.items()
            if own and own.stain and channels != 3
        ]

    def _pretraining(self, file: str) -> list[Problem]:
        first = self.pretrain.encoder
        if not first or (first.weights != "pretrained" and first.frozen != "all"):
            return []
        found = "weights pretrained or frozen all"
        need = "weights that are there before and can be trained"
        cure = "name a file or imagenet, or remove it"
        return [Problem(f"{file} pretrain.encoder", found, need, cure)]


def load_params(workspace: Workspace) -> Params:
    """Read models' sections of params.yaml. Raises Refusal with every problem in them."""
    return Params.load(workspace)


def learner_names() -> list[str]:
    """The learners that there are: the files of models/learners."""
    found = find_spec("models.learners")
    places = found.submodule_search_locations if found else None
    return sorted(module.name for module in iter_modules(places))


def training_modules(name: str) -> tuple[str, str]:
    """The modules whose code trains `name`: a learner, or `pretrain`."""
    if name == "pretrain":
        return "models.pretrain", "models.learners.supervised"
    return "models.train", f"models.learners.{name}"
