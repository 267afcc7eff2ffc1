"""What models reads of params.yaml: the encoder, augmentation, pretraining and training.

A learner's own settings lie in its file, models/learners/NAME.py, as `Settings`.
"""

from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from data_prep import settings as data_prep_settings
from data_prep.episodes.shape import EpisodeShape
from workspace.errors import Problem
from workspace.paths import Workspace
from workspace.settings import Count, Names, Seeds, SiteName, Strict


def _weights(name: str) -> str:
    if name not in ("imagenet", "pretrained") and not name.endswith(
        (".safetensors", ".pt", ".pth")
    ):
        raise ValueError("imagenet, pretrained, or a file that ends in .safetensors, .pt or .pth")
    return name


Weights = Annotated[str, AfterValidator(_weights)]


class Encoder(Strict):
    """What turns an image into features.

    conv4-strided has strides in place of pooling, in half the time. [Weights](weights.md) says
    what it may start from.
    """

    name: Literal[
        "conv4",
        "conv4-strided",
        "resnet10",
        "resnet18",
        "densenet121",
        "efficientnet-b0",
        "efficientnet-lite0",
    ] = "conv4"
    """MONAI networks"""
    norm: Literal["instance", "group", "batch"] = "group"
    """batch: with running statistics, not for MAML"""
    standardise: bool = True
    """bring each image and channel to mean 0 and deviation 1 first: takes a site's brightness and
    stain out
    """
    width: Annotated[int, Field(ge=8, multiple_of=8)] = 64
    """channels, a multiple of 8: of every block (conv4) or of the first stage (resnet); the others
    have their own
    """
    weights: Weights | None = None
    """to start from: a .safetensors, .pt or .pth file, pretrained (of stage pretrain), or imagenet
    (efficientnet-lite0); none: fresh
    """
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """of that file: a changed file is refused, and a changed value trains anew"""
    partial: bool = False
    """true: accept weights that fit some layers and leave the others fresh"""
    frozen: Literal["all"] | Annotated[int, Field(ge=0)] = 0
    """first stages that training leaves as they are: a number, or all"""

    @model_validator(mode="after")
    def _weights_fit(self) -> "Encoder":
        if self.weights == "imagenet" and self.name != "efficientnet-lite0":
            raise ValueError("name efficientnet-lite0 for weights imagenet")
        if (self.weights in (None, "imagenet", "pretrained")) == bool(self.sha256):
            raise ValueError(
                "sha256 (printed by sha256sum) where weights names a file, and nowhere else"
            )
        if not self.weights and (self.frozen or self.partial):
            raise ValueError("weights, before anything is frozen or partial")
        return self


class Augment(Strict):
    """Ranges that each image draws its own values from, uniformly; 0 or false switches an operation
    off.
    """

    flip: bool = False
    """mirror along the last axis"""
    flip_all: bool = False
    """mirror along any spatial axis"""
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    """degrees either way"""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """relative, either way"""
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """of the image's side, either way"""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.2
    """of full range, either way"""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """relative, either way"""
    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """exponent's log, either way"""
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """relative gain a channel, either way"""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.03
    """highest standard deviation, of full range"""
    blur: Annotated[float, Field(ge=0, le=5)] = 0.8
    """highest standard deviation, pixels"""
    bend: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """elastic: highest displacement, of the image's side"""
    coarse: Annotated[float, Field(ge=1, le=8)] = 1.0
    """lost resolution: longest side of a coarser pixel, in pixels; 1: off"""
    bias: Annotated[float, Field(ge=0, le=2)] = 0.0
    """MR: highest log gain of a smooth bias field"""
    gibbs: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """MR: largest share of each axis's spatial frequencies cut off, which rings"""
    spike: Annotated[float, Field(ge=0, le=1)] = 0.0
    """MR: highest amplitude of a spike's stripes, of the image's mean"""
    level: Annotated[float, Field(ge=0, le=1)] = 0.0
    """CT: shift of the window, of full range, either way"""
    width: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """CT: width of the window, relative, either way"""
    kernel: Annotated[float, Field(ge=0, le=2)] = 0.0
    """CT: sharper or smoother reconstruction: share of an image's fine detail, either way"""
    stain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """of haematoxylin, eosin and their residual, relative, either way; images of 3 channels"""


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
