"""What eval reads of params.yaml: adaptation and the report."""

from typing import Annotated, Any

from pydantic import Field

from models import settings as models_settings
from workspace.errors import Problem
from workspace.paths import Workspace
from workspace.settings import Count, Fraction, Names, Strict

SUPERVISED = "supervised"
# All but the first need the supervised source model.
BASELINES = (
    "majority",
    "source_only",
    "nearest_centroid",
    "linear_probe",
    "cosine_head",
    "fine_tuning",
)


class Adapt(Strict):
    """Adaptation to a site."""

    methods: Names | None = None
    """learners and baselines, each on the same draws; none: all baselines and all trained learners
    """
    fine_tuning: dict[str, Any] = {}
    cosine_head: dict[str, Any] = {}
    probe_c: Annotated[float, Field(gt=0)] = 1.0
    """inverse strength of the linear probe's L2 penalty; fixed, not tuned on a site"""
    bootstrap: Annotated[int, Field(ge=100)] = 1000
    """resamplings of the query set's patients"""
    confidence: Fraction = 0.95
    """of both intervals"""


class Accept(Strict):
    """When a model is accepted at a site: each criterion is fixed before the run, and all that are
    given must be met.
    """

    auroc: Fraction = 0.85
    """at least"""
    shots: Count | None = None
    """labelled patients a class that may be needed for it, at most"""
    sensitivity: Fraction | None = None
    """at the operating point that the source sites fix, at least; of two classes that of the second
    in `classes`, of more the worst
    """
    calibration_error: Fraction | None = None
    """expected calibration error of the answers as they are, at most"""
    subgroup_gap: Fraction | None = None
    """AUROC between the best and the worst subgroup of one kind, at most"""


class Report(Strict):
    """What the report decides."""

    method: str
    """what the verdict speaks of: named before the run, never chosen on a target's query set"""
    shots: Count = 5
    """k of the verdict, the confusion matrix and the gallery"""
    accept: Accept = Accept()
    operating_sensitivity: Fraction = 0.9
    """the share of positive images that a threshold must find on the source sites; of these the one
    that parts them best is kept at every site
    """


class Params(models_settings.Params):
    """The whole of params.yaml."""

    adapt: Adapt
    report: Report

    @property
    def methods(self) -> list[str]:
        """What is evaluated at every site."""
        if self.adapt.methods is not None:
            return self.adapt.methods
        baselines = BASELINES if SUPERVISED in self.train.learners else BASELINES[:1]
        return [*baselines, *self.episodic]

    @property
    def episodic(self) -> list[str]:
        """The learners that are methods; the supervised model is the baselines' source."""
        return [name for name in self.train.learners if name != SUPERVISED]

    def contradictions(self, file: str) -> list[Problem]:
        problems, methods = super().contradictions(file), self.methods
        known = [*self.episodic, *BASELINES]
        need = f"one of {', '.join(known)}"
        cure = "correct the name, or add the learner to train.learners"
        problems += [
            Problem(f"{file} adapt.methods", f"'{name}'", need, cure)
            for name in methods
            if name not in known
        ]
        if SUPERVISED not in self.train.learners and set(methods) & set(BASELINES[1:]):
            found = "baselines in adapt.methods without their source model"
            need = "supervised among the learners"
            problems.append(Problem(f"{file} train.learners", found, need, "add supervised"))
        if self.report.method not in methods:
            need = f"one of adapt.methods: {', '.join(methods)}"
            cure = "name the method of the verdict before the run"
            found = f"'{self.report.method}'"
            problems.append(Problem(f"{file} report.method", found, need, cure))
        if self.report.shots not in self.tasks.shots:
            need = f"one of tasks.shots: {', '.join(map(str, self.tasks.shots))}"
            cure = "add it to tasks.shots, or name another before the run"
            where, found = f"{file} report.shots", str(self.report.shots)
            problems.append(Problem(where, found, need, cure))
        return problems


def load_params(workspace: Workspace) -> Params:
    """Read params.yaml but for the learners' own settings. Raises Refusal with every problem."""
    return Params.load(workspace)
