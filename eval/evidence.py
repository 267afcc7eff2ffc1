"""Everything that a site's report is drawn from, read once; and the choice of k that the report speaks of."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from data_prep.records import Studies, read_studies
from eval.answers import Answers, Query, read_answers
from eval.performance import AUROC
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.settings import Params, Role, load_params

SOURCE_ONLY = "source_only"  # the source model as it stands: no labelled case, so k = 0


@dataclass(frozen=True)
class Evidence:
    """One site's studies, tasks and results, with the settings they were made under."""

    site: str
    role: Role
    params: Params
    task: dict[str, Any]  # task.json
    summary: dict[str, Any]  # summary.json of the conversion
    provenance: dict[str, Any]
    rejects: pd.DataFrame
    studies: Studies
    draws: pd.DataFrame
    predictions: pd.DataFrame
    performance: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        return self.task["classes"]

    @property
    def method(self) -> str:
        """The method that the verdict speaks of, named in params.yaml before the run."""
        return self.params.report.method

    @property
    def shots(self) -> int:
        """The k that the verdict speaks of."""
        return chosen_shots(self.performance, self.method, self.params.report.shots)

    @property
    def methods(self) -> list[str]:
        """Every method with results: the verdict's first, then in the order of params.yaml; the source model last."""
        present = set(self.performance["method"])
        order = [self.method, *self.params.methods, *sorted(present - {SOURCE_ONLY}), SOURCE_ONLY]
        return [method for method in dict.fromkeys(order) if method in present]

    @cached_property
    def answers(self) -> tuple[Query, list[Answers]]:
        return read_answers(self.predictions, self.classes, self.site)

    @property
    def query(self) -> Query:
        return self.answers[0]

    @property
    def verdict_answers(self) -> Answers:
        """What the verdict's method answered at the verdict's k."""
        return next(found for found in self.answers[1] if (found.method, found.k) == (self.method, self.shots))


def read_evidence(workspace: Workspace, site: str, role: Role) -> Evidence:
    """Read what the earlier stages wrote for `site`. Raises Refusal naming every file that is missing."""
    params = load_params(workspace)
    studies, tasks, results = workspace.studies(site), workspace.tasks(role, site), workspace.results(site)
    refuse_if(_missing({
        f"convert@{site}": [studies / name for name in ("pixels.npy", "records.parquet", "rejects.csv", "summary.json")],
        f"tasks@{site}": [tasks / name for name in ("task.json", "draws.parquet")],
        f"adapt@{site}": [results / name for name in ("predictions.parquet", "performance.csv", "provenance.json")]}))
    evidence = Evidence(
        site, role, params, json.loads((tasks / "task.json").read_text()), json.loads((studies / "summary.json").read_text()),
        json.loads((results / "provenance.json").read_text()),
        pd.read_csv(studies / "rejects.csv", dtype=str, keep_default_na=False), read_studies(studies),
        pd.read_parquet(tasks / "draws.parquet"), pd.read_parquet(results / "predictions.parquet"),
        read_performance(results / "performance.csv"))
    if evidence.method not in set(evidence.performance["method"]):
        raise Refusal(Problem("params.yaml report.method", evidence.method, f"one of {', '.join(evidence.methods)}",
                              "add it to adapt.methods, or name another before looking at any target"))
    return evidence


def read_performance(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, float_precision="round_trip")


def chosen_shots(performance: pd.DataFrame, method: str, shots: int) -> int:
    """`shots` where the method has results there; else the largest smaller k, or the smallest that there is."""
    tried = sorted(performance.loc[(performance["method"] == method) & (performance["metric"] == AUROC), "k"])
    return int(max((k for k in tried if k <= shots), default=tried[0]))


def _missing(needed: dict[str, list[Path]]) -> list[Problem]:
    return [Problem(str(path), "no such file", f"what stage {stage} writes", f"dvc repro {stage}")
            for stage, paths in needed.items() for path in paths if not path.is_file()]
