"""What data_prep reads of params.yaml: the sections sites, phantom, convert and tasks."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from workspace.errors import Problem
from workspace.paths import Workspace
from workspace.settings import (
    Count,
    Fraction,
    Percents,
    Range,
    Role,
    Sections,
    Seed,
    SiteName,
    Strict,
)

LOCAL = "processes"  # of convert.scheduler: those of this machine
OTHERS = "default"  # the key of the modalities that have no entry of their own
INTENSITY = {"CT": {"window": (-1000.0, 400.0)}, OTHERS: {"percentiles": (0.5, 99.5)}}


def _scheduler(value: str) -> str:
    if value != LOCAL and not re.fullmatch(r"(tcp|tls)://[^\s/:]+:\d{1,5}", value):
        raise ValueError(f"{LOCAL}, or the address of a Dask scheduler, such as tcp://host:8786")
    return value


def _beside_the_usual(given: Any) -> Any:
    """What is not written for a modality has its default: an entry for MR leaves CT in HU."""
    return INTENSITY | given if isinstance(given, dict) else given


class Intensity(Strict):
    """Which values become black and white: one of the first three.

    The key is a DICOM code such as MR, or `default` for all that have no entry. An entry replaces
    that modality's default and leaves the others: `{MR: {zscore: 3, n4: true}}` keeps CT in HU.
    Grey files that do not say their units are rejected where a window is set.
    """

    window: Range | None = None
    """lowest and highest value kept, in the file's own units: HU for CT"""
    percentiles: Percents | None = None
    """of the image"""
    zscore: Annotated[float, Field(gt=0, le=10)] | None = None
    """robust standard deviations that are kept either side of the tissue's median"""
    n4: bool = False
    """take the bias field of an MR coil out first; seconds a volume"""
    units: str | None = None
    """that the window is in, as inspect and records.parquet name them; none: HU for CT, Bq/ml for
    PT, unspecified for others
    """

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


class Convert(Strict):
    """Studies become arrays.

    [How it works](how-it-works.md) says how volumes are standardised; `fewsite fit` suggests
    spacing, size and the window of CT.
    """

    size: Annotated[list[Annotated[int, Field(ge=8, le=512)]], Field(min_length=2, max_length=3)]
    """rows, columns or slices, rows, columns"""
    spacing: (
        Annotated[list[Annotated[float, Field(gt=0, le=100)]], Field(min_length=3, max_length=3)]
        | None
    ) = None
    """mm, of slices, rows, columns; none: stretch each volume to size"""
    channels: Literal[1, 3] = 1
    """1: grey; 3: colour, grey images repeated"""
    intensity: Annotated[dict[str, Intensity], BeforeValidator(_beside_the_usual)] = Field(
        INTENSITY, validate_default=True
    )
    """modality or default: see [intensity](#intensity); photographs stay as they are"""
    repeats: Literal["first", "each"] = "first"
    """of the echoes, image types and time points of one DICOM series or 4D NIfTI: the first, or a
    record each
    """
    tilt: Literal["reject", "resample"] = "reject"
    """slices stacked aslant, as by a tilted gantry: refuse them, or shear them back onto a straight
    grid
    """
    workers: Annotated[int, Field(ge=0)] = 0
    """processes; 0: one a core"""
    scheduler: Annotated[str, AfterValidator(_scheduler)] = LOCAL
    """processes: of this machine; or the address of a Dask scheduler, such as tcp://host:8786"""

    @model_validator(mode="after")
    def _has_one_kind_of_workers(self) -> "Convert":
        if self.workers and self.scheduler != LOCAL:
            raise ValueError("workers 0 beside a Dask scheduler, which has workers of its own")
        return self

    def intensity_of(self, modality: str) -> Intensity:
        return self.intensity.get(modality, self.intensity[OTHERS])


class Tasks(Strict):
    """How patients are split, and what is drawn from them."""

    shots: list[Annotated[int, Field(ge=0)]] = [0, 1, 2, 5, 10]
    """k, labelled patients a class; 0 is the source model as it stands"""
    draws: Count = 20
    """support draws for each k"""
    pool: Fraction = 0.5
    """share of a target's patients that supports are drawn from; the rest is the query set"""
    source_validation: Fraction = 0.25
    """share of a source's patients for meta-validation, and as its support pool"""
    source_query: Fraction = 0.25
    """share of a source's patients for its query set; the rest trains"""
    salt: int = 0
    """another number splits all patients anew; change it only before any result was seen"""
    min_query: Count = 2
    """patients a class in the query set, at least; with fewer the site is refused"""


class PhantomHospital(Strict):
    """One synthetic hospital: a vendor's acquisition, a cohort and a file format."""

    vendor: str
    """an acquisition: apex, borealis, cygnus or dorado"""
    patients: Count
    """in the cohort"""
    seed: Seed
    """of everything about the hospital"""


class Phantom(Strict):
    """The synthetic hospitals of the example."""

    dimensions: Literal[2, 3] = 2
    """radiographs, or CT volumes"""
    hospitals: dict[SiteName, PhantomHospital] = {}
    """by site name"""


class Params(Sections):
    """params.yaml as far as data_prep reads it."""

    seed: Seed = 0
    """of the support draws and the bootstrap"""
    sites: dict[SiteName, Role]
    """site: `source` (trains) or `target` (is reported on)"""
    phantom: Phantom = Phantom()
    convert: Convert
    tasks: Tasks = Tasks()

    def contradictions(self, file: str) -> list[Problem]:
        problems, tasks, convert = super().contradictions(file), self.tasks, self.convert
        if not any(tasks.shots):
            cure = "add the numbers of shots to report"
            problems.append(Problem(f"{file} tasks.shots", "no k above 0", "one at least", cure))
        if tasks.source_query + tasks.source_validation >= 1:
            found = "source_query and source_validation of 1 or more together"
            need = "patients left to train on"
            problems.append(Problem(f"{file} tasks", found, need, "lower one"))
        if convert.spacing and len(convert.size) == 2:
            found = "a spacing of volumes beside the size of images"
            cure = "add the slices to size, or leave spacing out"
            where = f"{file} convert.spacing"
            problems.append(Problem(where, found, "three numbers in convert.size", cure))
        wrong = sorted(name for name, how in convert.intensity.items() if how.n4 and name != "MR")
        if wrong:
            where, found = f"{file} convert.intensity", f"n4 for {', '.join(wrong)}"
            need = "n4 for MR alone, where coils make a bias field"
            problems.append(Problem(where, found, need, "remove it"))
        return problems


def load_params(workspace: Workspace) -> Params:
    """Read data_prep's sections of params.yaml. Raises Refusal with every problem in them."""
    return Params.load(workspace)
