"""Every setting, with its unit or choices: params.yaml and sites/*.yaml. Unknown keys are refused, all problems at once."""

import difflib
import os
import re
import unicodedata
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace

BASELINES = (
    "majority",
    "source_only",
    "nearest_centroid",
    "linear_probe",
    "cosine_head",
    "fine_tuning",
)  # all but the first need `supervised`
LOCAL = "processes"  # of convert.scheduler: those of this machine
SITE_NAME = r"^[a-z][a-z0-9_]*$"  # DVC turns 007 into 7 and shows names in dvc.lock, so they are plain pseudonyms
SiteName = Annotated[str, Field(pattern=SITE_NAME)]
Role = Literal["source", "target"]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("each value once")
    return values


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError("the lower value first")
    return pair


def _rectangle(value: Any) -> Any:
    whole = (
        isinstance(value, list) and len(value) == 4 and all(type(number) is int for number in value)
    )
    if value != "regions" and not (whole and min(value[:2]) >= 0 and min(value[2:]) >= 1):
        raise ValueError("[top, left, rows, columns] in pixels, or regions")
    return value


Keep = Annotated[tuple[int, int, int, int] | Literal["regions"], BeforeValidator(_rectangle)]


def _weights(name: str) -> str:
    if name not in ("imagenet", "pretrained") and not name.endswith(
        (".safetensors", ".pt", ".pth")
    ):
        raise ValueError("imagenet, pretrained, or a file that ends in .safetensors, .pt or .pth")
    return name


def _scheduler(value: str) -> str:
    if value != LOCAL and not re.fullmatch(r"(tcp|tls)://[^\s/:]+:\d{1,5}", value):
        raise ValueError(f"{LOCAL}, or the address of a Dask scheduler, such as tcp://host:8786")
    return value


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


Text = Annotated[
    str, AfterValidator(_composed)
]  # compared with text of exports, which is brought to the same Unicode form
Names = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
Percent = Annotated[float, Field(ge=0, le=100)]
Weights = Annotated[str, AfterValidator(_weights)]
Range = Annotated[tuple[float, float], AfterValidator(_rising)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- sites/NAME.yaml: all that a user writes to add a hospital ---


class Labels(Strict):
    """How a row of the labels table finds its image, and which columns to read."""

    file: Text | None = None  # CSV, relative to the site's root; needed unless match is npz
    match: Text  # "file" or "folder" (name or path under root), a DICOM keyword or tag (PatientID, "(0008,0050)"), or "npz": labels of its own
    column: Text | None = (
        None  # the column that holds the match value; by default the one named like `match`
    )
    class_column: Text | None = Field(
        None, alias="class"
    )  # the column that holds the class; needed unless match is npz
    patient: Text | None = (
        None  # a column, or a DICOM keyword or tag; by default PatientID for DICOM, else every image is its own patient
    )
    one_class_a: Literal["image", "study", "patient"] = (
        "image"  # study, patient: a table that gives one of them two classes is refused
    )
    age: Text | None = None  # a column, years
    sex: Text | None = None  # a column

    @model_validator(mode="after")
    def _are_in_a_table_or_beside_the_images(self) -> "Labels":
        columns = (self.column, self.patient, self.age, self.sex)
        if self.match == "npz" and (
            any((self.file, self.class_column, *columns)) or self.one_class_a != "image"
        ):
            raise ValueError("match alone, since an npz holds its own labels")
        if self.match != "npz" and not (self.file and self.class_column):
            raise ValueError("file and class, unless match is npz")
        return self


class Crop(Strict):
    """What is kept of a device's images. It applies to those of which every value that is set here is true."""

    modality: str | None = (
        None  # as the header says, such as US; of files that do not say, the site's
    )
    manufacturer: str | None = None  # as the header says, letter for letter
    model: str | None = None  # as the header says, letter for letter
    rows: Count | None = None  # of the whole image
    columns: Count | None = None  # of the whole image
    keep: Keep  # [top, left, rows, columns] in pixels, from 0; or regions: what the ultrasound regions of the header span

    @model_validator(mode="after")
    def _keeps_what_is_there(self) -> "Crop":
        if self.keep != "regions":
            top, left, rows, columns = self.keep
            if (self.rows and top + rows > self.rows) or (
                self.columns and left + columns > self.columns
            ):
                raise ValueError("keep within rows and columns")
        return self


class Site(Strict):
    """One hospital's export."""

    root: str  # folder, archive, DICOMDIR or list of paths; may hold environment variables, such as ${FEWSITE_DATA}/chest/nih
    task: SiteName  # sites with the same task share a label space
    labels: Labels  # see below
    classes: dict[
        Text, list[Text]
    ]  # canonical class -> the values that mean it in this site's table
    ignore: list[Text] = []  # values left out on purpose; a value under neither is refused
    max_rejected: Annotated[float, Field(ge=0, le=1)] = (
        0.05  # share of image files that may be lost
    )
    patient_namespace: Text | None = (
        None  # sites of one group that share patient numbers; by default the site's name
    )
    modality: str | None = (
        None  # of files that do not say, such as CT for NIfTI in HU; it chooses the intensity
    )
    crop: list[
        Crop
    ] = []  # what is kept of images with text at their edges; the first rule that applies (see below)
    at_risk: Literal["warn", "refuse"] = (
        "warn"  # images of modalities that often show a patient's data, if no crop applies and the header does not say they are clean
    )

    @model_validator(mode="after")
    def _classes_are_apart(self) -> "Site":
        values = [value for names in self.classes.values() for value in names] + self.ignore
        twice = sorted({value for value in values if values.count(value) > 1})
        if len(self.classes) < 2 or twice:
            raise ValueError(
                f"two classes at least, and each value in one place (twice: {', '.join(twice) or 'none'})"
            )
        return self

    def class_of(self, value: str) -> str | None:
        return next((name for name, values in self.classes.items() if value in values), None)


# --- params.yaml ---


class Intensity(Strict):
    """Which values become black and white: one of the first three."""

    window: Range | None = None  # lowest and highest value kept, in the file's own units: HU for CT
    percentiles: Annotated[tuple[Percent, Percent], AfterValidator(_rising)] | None = (
        None  # of the image
    )
    zscore: Annotated[float, Field(gt=0, le=10)] | None = (
        None  # robust standard deviations that are kept either side of the tissue's median
    )
    n4: bool = False  # take the bias field of an MR coil out first; seconds a volume
    units: str | None = (
        None  # that the window is in, as inspect and records.parquet name them; none: HU for CT, Bq/ml for PT, unspecified for others
    )

    @model_validator(mode="after")
    def _is_one_way(self) -> "Intensity":
        if sum(way is not None for way in (self.window, self.percentiles, self.zscore)) != 1:
            raise ValueError("one of window, percentiles and zscore")
        if self.units and not self.window:
            raise ValueError("units beside a window alone")
        if self.n4 and self.window:
            raise ValueError(
                "n4 with percentiles or zscore, since it changes the units that a window is in"
            )
        return self


OTHERS = "default"  # the key of the modalities that have no entry of their own
INTENSITY = {"CT": {"window": (-1000.0, 400.0)}, OTHERS: {"percentiles": (0.5, 99.5)}}


def _beside_the_usual(given: Any) -> Any:
    """What is not written for a modality has its default: an entry for MR leaves CT in HU."""
    return INTENSITY | given if isinstance(given, dict) else given


class Convert(Strict):
    size: Annotated[
        list[Annotated[int, Field(ge=8, le=512)]], Field(min_length=2, max_length=3)
    ]  # rows, columns or slices, rows, columns
    spacing: (
        Annotated[list[Annotated[float, Field(gt=0, le=100)]], Field(min_length=3, max_length=3)]
        | None
    ) = None  # mm, of slices, rows, columns; none: stretch each volume to size
    channels: Literal[1, 3] = 1  # 1: grey; 3: colour, grey images repeated
    intensity: Annotated[dict[str, Intensity], BeforeValidator(_beside_the_usual)] = Field(
        INTENSITY, validate_default=True
    )  # modality or default -> see intensity; photographs stay as they are
    repeats: Literal["first", "each"] = (
        "first"  # of the echoes, image types and time points of one DICOM series or 4D NIfTI: the first, or a record each
    )
    tilt: Literal["reject", "resample"] = (
        "reject"  # slices stacked aslant, as by a tilted gantry: refuse them, or shear them back onto a straight grid
    )
    workers: Annotated[int, Field(ge=0)] = 0  # processes; 0: one a core
    scheduler: Annotated[str, AfterValidator(_scheduler)] = (
        LOCAL  # processes: of this machine; or the address of a Dask scheduler, such as tcp://host:8786
    )

    @model_validator(mode="after")
    def _has_one_kind_of_workers(self) -> "Convert":
        if self.workers and self.scheduler != LOCAL:
            raise ValueError("workers 0 beside a Dask scheduler, which has workers of its own")
        return self

    def intensity_of(self, modality: str) -> Intensity:
        return self.intensity.get(modality, self.intensity[OTHERS])


class Tasks(Strict):
    shots: list[Annotated[int, Field(ge=0)]] = [
        0,
        1,
        2,
        5,
        10,
    ]  # k, labelled patients a class; 0 is the source model as it stands
    draws: Count = 20  # support draws for each k
    pool: Fraction = (
        0.5  # share of a target's patients that supports are drawn from; the rest is the query set
    )
    source_validation: Fraction = (
        0.25  # share of a source's patients for meta-validation, and as its support pool
    )
    source_query: Fraction = 0.25  # share of a source's patients for its query set; the rest trains
    salt: int = (
        0  # another number splits all patients anew; change it only before any result was seen
    )
    min_query: Count = (
        2  # patients a class in the query set, at least; with fewer the site is refused
    )


class Encoder(Strict):
    name: Literal[
        "conv4",
        "conv4-strided",
        "resnet10",
        "resnet18",
        "densenet121",
        "efficientnet-b0",
        "efficientnet-lite0",
    ] = "conv4"  # MONAI networks
    norm: Literal["instance", "group", "batch"] = (
        "group"  # batch: with running statistics, not for MAML
    )
    standardise: bool = True  # bring each image and channel to mean 0 and deviation 1 first: takes a site's brightness and stain out
    width: Annotated[int, Field(ge=8, multiple_of=8)] = (
        64  # channels, a multiple of 8: of every block (conv4) or of the first stage (resnet); the others have their own
    )
    weights: Weights | None = (
        None  # to start from: a .safetensors, .pt or .pth file, pretrained (of stage pretrain), or imagenet (efficientnet-lite0); none: fresh
    )
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = (
        None  # of that file: a changed file is refused, and a changed value trains anew
    )
    partial: bool = False  # true: accept weights that fit some layers and leave the others fresh
    frozen: Literal["all"] | Annotated[int, Field(ge=0)] = (
        0  # first stages that training leaves as they are: a number, or all
    )

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
    """Ranges that each image draws its own values from, uniformly; 0 or false switches an operation off."""

    flip: bool = False  # mirror along the last axis
    flip_all: bool = False  # mirror along any spatial axis
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0  # degrees either way
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1  # relative, either way
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05  # of the image's side, either way
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.2  # of full range, either way
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.3  # relative, either way
    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.3  # exponent's log, either way
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0  # relative gain a channel, either way
    noise: Annotated[float, Field(ge=0, le=1)] = 0.03  # highest standard deviation, of full range
    blur: Annotated[float, Field(ge=0, le=5)] = 0.8  # highest standard deviation, pixels
    bend: Annotated[float, Field(ge=0, le=0.5)] = (
        0.0  # elastic: highest displacement, of the image's side
    )
    coarse: Annotated[float, Field(ge=1, le=8)] = (
        1.0  # lost resolution: longest side of a coarser pixel, in pixels; 1: off
    )
    bias: Annotated[float, Field(ge=0, le=2)] = 0.0  # MR: highest log gain of a smooth bias field
    gibbs: Annotated[float, Field(ge=0, lt=1)] = (
        0.0  # MR: largest share of each axis's spatial frequencies cut off, which rings
    )
    spike: Annotated[float, Field(ge=0, le=1)] = (
        0.0  # MR: highest amplitude of a spike's stripes, of the image's mean
    )
    level: Annotated[float, Field(ge=0, le=1)] = (
        0.0  # CT: shift of the window, of full range, either way
    )
    width: Annotated[float, Field(ge=0, lt=1)] = (
        0.0  # CT: width of the window, relative, either way
    )
    kernel: Annotated[float, Field(ge=0, le=2)] = (
        0.0  # CT: sharper or smoother reconstruction: share of an image's fine detail, either way
    )
    stain: Annotated[float, Field(ge=0, lt=1)] = (
        0.0  # of haematoxylin, eosin and their residual, relative, either way; images of 3 channels
    )


class Train(Strict):
    learners: Names  # supervised, prototypical, maml; the baselines need supervised
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)] = [
        0
    ]  # each learner is trained once with each
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"  # of training and adaptation
    mixed_precision: bool = True  # bfloat16, on CUDA only; inner loops stay in float32
    threads: Annotated[int, Field(ge=0)] = 0  # CPU threads; 0: torch's own choice
    checkpoint_every: Count = 100  # steps; a killed run goes on from the last one
    preload: Annotated[float, Field(ge=0)] = (
        4.0  # GiB of pixels at most that are held on the device; more stay in their files, fetched a step ahead
    )


class Learning(Strict):
    """What every learner's training has in common."""

    encoder: Encoder | None = None  # none: the encoder that all learners share
    steps: Count = 1000  # of the optimiser
    rate: Annotated[float, Field(gt=0)] = 1e-3  # Adam's, with a cosine descent to 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # AdamW's
    validate_every: Count = 100  # steps
    validation_episodes: Count = 60  # the same ones at every validation


class Episodic(Learning):
    way: Annotated[int, Field(ge=2)] = (
        5  # most classes in an episode; each episode draws from min_way to this, as its site allows
    )
    min_way: Annotated[int, Field(ge=2)] = 2  # fewest classes in an episode
    shot: Count = 5  # support patients a class, one image each
    min_shot: Count | None = None  # fewest; each episode draws from this to shot. None: always shot
    query: Count = 10  # images a class
    natural_queries: bool = (
        False  # true: queries hold the classes as often as the site's patients do, not each alike
    )
    tasks: Count = 1  # episodes in one step
    cross_site: Annotated[float, Field(ge=0, le=1)] = (
        0.0  # share of episodes with support and query from different sites of a task
    )

    @model_validator(mode="after")
    def _ranges_rise(self) -> "Episodic":
        if self.min_way > self.way or (self.min_shot or 0) > self.shot:
            raise ValueError("min_way at most way, and min_shot at most shot")
        return self


class Supervised(Learning):
    batch: Count = 64  # images a step


class Pretrain(Supervised):
    """Training of an encoder before the learners', on the same records; they use it with `encoder.weights: pretrained`.

    Its `encoder`: none: the shared one, from fresh weights.
    """

    method: Literal["none", "supervised", "simsiam"] = (
        "none"  # supervised: as the source model; simsiam: without labels
    )
    projection: Annotated[int, Field(ge=8, multiple_of=8)] = (
        512  # of simsiam: width of its projector (the paper's: 2048), a multiple of 8
    )
    views: Augment | None = (
        None  # of simsiam: ranges of its two views; none: those of augment and task_augment
    )


class Prototypical(Episodic):
    pass


class Maml(Episodic):
    tasks: Count = 4  # episodes in one step
    chunk: Count = (
        4  # of them, whose gradient is taken at once: memory grows with the chunk, not with `tasks`
    )
    together: Literal["auto", "threads", "vectorised"] = (
        "auto"  # a chunk's tasks: each on a CPU thread, or all in one batched gradient; auto: that on a GPU
    )
    inner_rate: Annotated[float, Field(gt=0)] = 0.05  # of the gradient steps on a support
    inner_steps: Annotated[int, Field(ge=0)] = 3  # in training
    adapt_steps: Annotated[int, Field(ge=0)] = 10  # at a site
    first_order: bool = False  # true: leave the second derivatives out
    first_order_steps: Annotated[int, Field(ge=0)] = (
        0  # training steps before the second derivatives come in
    )
    anil: bool = False  # true: adapt the head alone
    learned_rates: bool = (
        False  # true: an inner rate learned for each parameter tensor and step, from inner_rate on
    )
    multi_step_steps: Annotated[int, Field(ge=0)] = (
        0  # training steps over which the loss moves from every inner step to the last
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Maml":
        if self.first_order and self.first_order_steps:
            raise ValueError("first_order or first_order_steps, not both")
        if not self.inner_steps and (self.learned_rates or self.multi_step_steps):
            raise ValueError("inner_steps of 1 at least with learned_rates or multi_step_steps")
        return self


class Matching(Episodic):
    full_context: bool = False  # true: embed each image in the context of the whole support
    reads: Count = 5  # of the support by a query's LSTM, with full_context


class Relation(Episodic):
    hidden: Count = 8  # units of the relation module's dense layer


class Siamese(Episodic):
    units: Count = 512  # of the layer in which two images are compared (the paper's: 4096)


class Mann(Episodic):
    slots: Count = 128  # of the memory
    cell: Count = 40  # numbers in a slot
    heads: Count = 4  # that read and write
    controller: Count = 200  # units of the LSTM


class KeyValue(Episodic):
    hops: Count = 2  # readings of the memory before the answer


class MetaMemory(Episodic):
    controller: Count = 64  # units of the LSTM that decides what is written and erased


class Learners(BaseModel):
    """One a file of models/learners. A new one needs no entry here unless it has settings that no other has."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Episodic]

    supervised: Supervised = Supervised()
    prototypical: Prototypical = Prototypical()
    matching: Matching = Matching()
    relation: Relation = Relation()
    siamese: Siamese = Siamese()
    maml: Maml = Maml()
    mann: Mann = Mann()
    key_value: KeyValue = KeyValue()
    meta_memory: MetaMemory = MetaMemory()

    def of(self, name: str) -> Learning:
        """A learner's settings; those of every episodic one where it has none of its own."""
        return (
            getattr(self, name)
            if name in type(self).model_fields
            else self.__pydantic_extra__.get(name, Episodic())
        )


class FineTuning(Strict):
    steps: Count = 40  # on each support
    rate: Annotated[float, Field(gt=0)] = 1e-3  # AdamW's, falling linearly to 0
    batch: Count = 32  # images, at most


class CosineHead(Strict):
    steps: Count = 100  # on each support
    rate: Annotated[float, Field(gt=0)] = 0.01  # Adam's
    scale: Annotated[float, Field(gt=0)] = 10.0  # of the cosines before softmax


class Adapt(Strict):
    methods: Names | None = (
        None  # learners and baselines, each on the same draws; none: all baselines and all trained learners
    )
    fine_tuning: FineTuning = FineTuning()
    cosine_head: CosineHead = CosineHead()
    probe_c: Annotated[float, Field(gt=0)] = (
        1.0  # inverse strength of the linear probe's L2 penalty; fixed, not tuned on a site
    )
    bootstrap: Annotated[int, Field(ge=100)] = 1000  # resamplings of the query set's patients
    confidence: Fraction = 0.95  # of both intervals


class Accept(Strict):
    """When a model is accepted at a site: each criterion is fixed before the run, and all that are given must be met."""

    auroc: Fraction = 0.85  # at least
    shots: Count | None = None  # labelled patients a class that may be needed for it, at most
    sensitivity: Fraction | None = (
        None  # at the operating point that the source sites fix, at least; of two classes that of the second in `classes`, of more the worst
    )
    calibration_error: Fraction | None = (
        None  # expected calibration error of the answers as they are, at most
    )
    subgroup_gap: Fraction | None = (
        None  # AUROC between the best and the worst subgroup of one kind, at most
    )


class Report(Strict):
    method: str  # what the verdict speaks of: named before the run, never chosen on a target's query set
    shots: Count = 5  # k of the verdict, the confusion matrix and the gallery
    accept: Accept = Accept()
    operating_sensitivity: Fraction = 0.9  # the share of positive images that a threshold must find on the source sites; of these the one that parts them best is kept at every site


class PhantomHospital(Strict):
    """One synthetic hospital: a vendor's acquisition, a cohort and a file format."""

    vendor: str  # an acquisition: apex, borealis, cygnus or dorado
    patients: Count  # in the cohort
    seed: Seed  # of everything about the hospital


class Phantom(Strict):
    dimensions: Literal[2, 3] = 2  # radiographs, or CT volumes
    hospitals: dict[SiteName, PhantomHospital] = {}  # by site name


class Params(Strict):
    code: str = (
        "."  # where fewsite's code lies, seen from this workspace (dvc.yaml depends on its files)
    )
    seed: Seed = 0
    sites: dict[SiteName, Role]
    phantom: Phantom = Phantom()
    convert: Convert
    tasks: Tasks = Tasks()
    encoder: Encoder = Encoder()
    augment: Augment = Augment()
    task_augment: dict[
        SiteName, Augment
    ] = {}  # task: its own ranges instead, since a cell may be turned and a chest may not
    pretrain: Pretrain = Pretrain()
    train: Train
    learners: Learners = Learners()
    adapt: Adapt
    report: Report

    @property
    def methods(self) -> list[str]:
        """What is evaluated at every site."""
        if self.adapt.methods is not None:
            return self.adapt.methods
        learners = [name for name in self.train.learners if name != "supervised"]
        return [*(BASELINES if "supervised" in self.train.learners else BASELINES[:1]), *learners]


# --- reading them ---


def load_params(workspace: Workspace) -> Params:
    """Read params.yaml. Raises Refusal with every problem in it."""
    params = load_yaml(workspace.params_file, Params)
    refuse_if(_contradictions(str(workspace.params_file), params))
    return params


def load_site(workspace: Workspace, site: str) -> Site:
    """Read sites/SITE.yaml. Raises Refusal with every problem in it."""
    return load_site_file(workspace.site_file(site))


def load_site_file(path: Path) -> Site:
    """Read a site's YAML from wherever it lies. Raises Refusal with every problem in it."""
    refuse_if(
        [
            Problem(
                str(path),
                "a name that is no site name",
                f"NAME.yaml with NAME like {SITE_NAME}",
                "rename the file",
            )
        ]
        if not re.match(SITE_NAME, path.stem)
        else []
    )
    return load_yaml(path, Site)


def resolve_root(site_file: str, site: Site) -> Path:
    """Where the site's root really lies, past all links. Raises Refusal if a variable is unset or nothing is there."""
    return locate_root(site_file, site).resolve()


def locate_root(site_file: str, site: Site) -> Path:
    """The site's root with ~ and environment variables filled in, absolute. Raises Refusal if one is unset or nothing is there."""
    text = os.path.expandvars(os.path.expanduser(site.root))
    unset = re.findall(r"\$\{?(\w+)\}?", text)
    if unset:
        raise Refusal(
            Problem(
                f"{site_file} root",
                f"${unset[0]}, which is not set",
                "an environment variable that holds a folder",
                f"export {unset[0]}=/path/to/the/data",
            )
        )
    path = Path(text)
    if not path.exists():
        raise Refusal(
            Problem(
                f"{site_file} root",
                f"nothing at {site.root}",
                "a folder, a zip, a tar, a DICOMDIR or a list of paths",
                "mount the export or correct root",
            )
        )
    # What a DICOMDIR stands for is the folder that it lies in (PS3.10 8.6, which also fixes its name), and all of it is to be watched.
    return (path.parent if path.is_file() and path.name.upper() == "DICOMDIR" else path).absolute()


def learner_names() -> list[str]:
    """The learners that there are: the files of models/learners."""
    return sorted(
        module.name
        for module in iter_modules(find_spec("models.learners").submodule_search_locations)
    )


def _contradictions(file: str, params: Params) -> list[Problem]:
    """Settings that are each valid and do not fit together."""
    learners, methods, known = params.train.learners, params.methods, learner_names()
    episodic = [name for name in learners if name != "supervised"]
    problems = [
        Problem(
            f"{file} {where}",
            f"'{name}'",
            f"one of {', '.join(known)}",
            "correct the name, or write models/learners/NAME.py",
        )
        for where, names in (
            ("train.learners", learners),
            ("learners", params.learners.__pydantic_extra__),
        )
        for name in names
        if name not in known
    ]
    problems += [
        Problem(
            f"{file} adapt.methods",
            f"'{name}'",
            f"one of {', '.join([*episodic, *BASELINES])}",
            "correct the name, or add the learner to train.learners",
        )
        for name in methods
        if name not in (*episodic, *BASELINES)
    ]
    if "supervised" not in learners and set(methods) & set(BASELINES[1:]):
        problems.append(
            Problem(
                f"{file} train.learners",
                "baselines in adapt.methods without their source model",
                "supervised among the learners",
                "add supervised",
            )
        )
    if params.report.method not in methods:
        problems.append(
            Problem(
                f"{file} report.method",
                f"'{params.report.method}'",
                f"one of adapt.methods: {', '.join(methods)}",
                "name the method of the verdict before the run",
            )
        )
    if params.report.shots not in params.tasks.shots:
        problems.append(
            Problem(
                f"{file} report.shots",
                str(params.report.shots),
                f"one of tasks.shots: {', '.join(map(str, params.tasks.shots))}",
                "add it to tasks.shots, or name another before the run",
            )
        )
    if not any(params.tasks.shots):
        problems.append(
            Problem(
                f"{file} tasks.shots",
                "no k above 0",
                "one at least",
                "add the numbers of shots to report",
            )
        )
    if params.tasks.source_query + params.tasks.source_validation >= 1:
        problems.append(
            Problem(
                f"{file} tasks",
                "source_query and source_validation of 1 or more together",
                "patients left to train on",
                "lower one",
            )
        )
    if params.convert.spacing and len(params.convert.size) == 2:
        problems.append(
            Problem(
                f"{file} convert.spacing",
                "a spacing of volumes beside the size of images",
                "three numbers in convert.size",
                "add the slices to size, or leave spacing out",
            )
        )
    if wrong := sorted(
        modality
        for modality, how in params.convert.intensity.items()
        if how.n4 and modality != "MR"
    ):
        problems.append(
            Problem(
                f"{file} convert.intensity",
                f"n4 for {', '.join(wrong)}",
                "n4 for MR alone, where coils make a bias field",
                "remove it",
            )
        )
    ranges = {
        "augment": params.augment,
        "pretrain.views": params.pretrain.views,
        **{f"task_augment.{task}": own for task, own in params.task_augment.items()},
    }
    problems += [
        Problem(
            f"{file} {where}.stain",
            f"{own.stain:g} with convert.channels {params.convert.channels}",
            "3 channels to tell stains apart",
            "set it to 0",
        )
        for where, own in ranges.items()
        if own and own.stain and params.convert.channels != 3
    ]
    encoder = params.learners.maml.encoder or params.encoder
    if "maml" in learners and encoder.norm == "batch" and not params.learners.maml.anil:
        problems.append(
            Problem(
                f"{file} learners.maml.encoder.norm",
                "'batch', whose running statistics no inner step can own",
                "group or instance",
                "set learners.maml.encoder with another norm",
            )
        )
    if "maml" in learners and encoder.frozen and not params.learners.maml.anil:
        problems.append(
            Problem(
                f"{file} learners.maml.encoder.frozen",
                str(encoder.frozen),
                "0, since its inner steps move the whole encoder",
                "set learners.maml.encoder without frozen",
            )
        )
    return problems + _pretraining(file, params)


def _pretraining(file: str, params: Params) -> list[Problem]:
    own = [params.learners.of(name).encoder for name in params.train.learners]
    problems, first = [], params.pretrain.encoder
    if params.pretrain.method == "none" and any(
        (encoder or params.encoder).weights == "pretrained" for encoder in own
    ):
        problems.append(
            Problem(
                f"{file} encoder.weights",
                "pretrained, and pretrain.method none",
                "supervised or simsiam",
                "set pretrain.method",
            )
        )
    if first and (first.weights == "pretrained" or first.frozen == "all"):
        problems.append(
            Problem(
                f"{file} pretrain.encoder",
                "weights pretrained or frozen all",
                "weights that are there before and can be trained",
                "name a file or imagenet, or remove it",
            )
        )
    return problems


def load_yaml(path: Path, model: type[BaseModel]) -> Any:
    """Read a YAML file that a person writes as `model`. Raises Refusal with every problem in it."""
    if not path.is_file():
        raise Refusal(
            Problem(str(path), "no such file", "a YAML file", "see docs/settings.md for an example")
        )
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise Refusal(
            Problem(
                f"{path}{f' line {mark.line + 1}' if mark else ''}",
                "text that is not YAML",
                "valid YAML",
                "mend the line",
            )
        ) from None
    try:
        return model.model_validate(content if content is not None else {})
    except ValidationError as error:
        raise Refusal(*(_problem(path, model, found) for found in error.errors())) from None


def _problem(path: Path, model: type[BaseModel], found: Any) -> Problem:
    """One pydantic error as one line. Settings are no patient's values, so what was found is shown."""
    keys = [str(key) for key in found["loc"]]
    where = f"{path} {'.'.join(keys)}".rstrip()
    if found["type"] == "extra_forbidden":
        known = _fields(model, keys[:-1])
        close = difflib.get_close_matches(keys[-1], known, n=1)
        return Problem(
            where,
            "an unknown setting",
            f"one of {', '.join(known)}",
            f"write {close[0]}" if close else "remove it",
        )
    if found["type"] == "missing":
        return Problem(where, "nothing", "a value", "add the setting (docs/settings.md lists them)")
    shown = repr(found["input"])
    return Problem(
        where,
        shown if len(shown) < 60 else shown[:57] + "...",
        found["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
        "correct the value",
    )


def _fields(model: type[BaseModel], keys: list[str]) -> list[str]:
    """The settings that are known at `keys` under `model`, as they are written in YAML."""
    for key in keys:
        inner = next(
            (
                _classes(field.annotation)
                for name, field in model.model_fields.items()
                if key in (name, field.alias)
            ),
            [],
        )
        model = (
            inner[0] if inner else Episodic if model is Learners else model
        )  # a key that is no field is a name in a mapping, such as a site's
    return [field.alias or name for name, field in model.model_fields.items()]


def _classes(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes inside an annotation such as `dict[str, Site]` or `Encoder | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _classes(inner)]
