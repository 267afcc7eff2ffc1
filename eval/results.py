"""What was measured at one site, and the source sites it is compared with.

All that a verdict needs, and nothing of data/.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_prep.episodes.meta_split import SITES
from eval.answers import Answers, Query, read_answers
from eval.intervals.patients import Bootstrap, bootstrap
from eval.scores.score import LABEL, Score, scores_of
from eval.settings import Params
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.settings import Role

RESULTS = (
    "predictions.parquet",
    "held_out.parquet",
    "cohort.parquet",
    "embeddings.npy",
    "performance.csv",
    "provenance.json",
)
SOURCE_ONLY = "source_only"  # the source model as it stands: no labelled case, so k = 0


@dataclass(frozen=True)
class SourceSite:
    """What another source site of the same task answered, and who its patients are.

    `embeddings`: (row, feature), no rows where unknown.
    """

    cohort: pd.DataFrame
    embeddings: np.ndarray
    predictions: pd.DataFrame
    other_classes: tuple[str, ...] = ()  # of that site alone: their patients are left out here


@dataclass(frozen=True)
class Results:
    """One site's answers with the settings they were made under."""

    site: str
    role: Role
    params: Params
    provenance: dict[str, Any]
    predictions: pd.DataFrame
    held_out: pd.DataFrame  # answers for labelled cases beyond k
    cohort: pd.DataFrame
    # (row, feature) of the source model, rows as cohort.embedding says; no rows where there is no
    # such model
    embeddings: np.ndarray
    performance: pd.DataFrame
    sources: dict[str, SourceSite]  # the other source sites with this task and all of these classes

    @property
    def classes(self) -> list[str]:
        return self.provenance["classes"]

    @property
    def scores(self) -> tuple[Score, ...]:
        """Those of this kind of target."""
        return scores_of(self.provenance.get("target", LABEL))

    @property
    def score(self) -> Score:
        """What the verdict speaks of."""
        return self.scores[0]

    @property
    def scored(self) -> pd.DataFrame:
        """The rows of `performance` with this score."""
        return self.performance[self.performance["metric"] == self.score.name]

    @property
    def target(self) -> float:
        """The bound that params.yaml gives for the score."""
        return getattr(self.params.report.accept, self.score.name)

    @property
    def method(self) -> str:
        """The method that the verdict speaks of, named in params.yaml before the run."""
        return self.params.report.method

    @property
    def shots(self) -> int:
        """The k that the verdict speaks of."""
        return chosen_shots(self.performance, self.method, self.params.report.shots)

    @property
    def other_classes(self) -> dict[str, str]:
        """The classes that a source site has and this one has not, by source site."""
        return {
            site: ", ".join(source.other_classes)
            for site, source in self.sources.items()
            if source.other_classes
        }

    @property
    def methods(self) -> list[str]:
        """Every method with results: the verdict's first, then in the order of params.yaml; the
        source model last.
        """
        present = set(self.performance["method"])
        order = [self.method, *self.params.methods, *sorted(present - {SOURCE_ONLY}), SOURCE_ONLY]
        return [method for method in dict.fromkeys(order) if method in present]

    @cached_property
    def answers(self) -> tuple[Query, list[Answers]]:
        return read_answers(self.predictions, self.classes, self.site)

    @property
    def query(self) -> Query:
        return self.answers[0]

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """The resamplings of the query set that every interval over patients on the page shares."""
        settings = self.params.adapt
        return bootstrap(
            self.query.patients,
            self.query.labels,
            settings.bootstrap,
            settings.confidence,
            self.params.seed,
        )

    @property
    def verdict_answers(self) -> Answers:
        """What the verdict's method answered at the verdict's k."""
        return next(
            found
            for found in self.answers[1]
            if (found.method, found.k) == (self.method, self.shots)
        )


def read_results(workspace: Workspace, params: Params, site: str, role: Role) -> Results:
    """Read what stage `adapt` wrote for `site` and for its sources.

    Raises Refusal naming every file that is missing.
    """
    folder = workspace.results(role, site)
    refuse_if(missing({f"adapt@{site}": [folder / name for name in RESULTS]}))
    stage = f"adapt@{site}"
    provenance = whole(folder / "provenance.json", read_json, stage)
    predictions, held_out, cohort = (
        whole(folder / f"{name}.parquet", pd.read_parquet, stage)
        for name in ("predictions", "held_out", "cohort")
    )
    results = Results(
        site,
        role,
        params,
        provenance,
        predictions,
        held_out,
        cohort,
        _embeddings(folder, site),
        whole(folder / "performance.csv", read_performance, stage),
        read_sources(workspace, site, provenance["task"], provenance["classes"]),
    )
    if results.method not in set(results.performance["method"]):
        raise Refusal(
            Problem(
                f"results of {site}",
                f"no answers of {results.method}, which params.yaml report.method names",
                f"its answers; there are those of {', '.join(results.methods) or 'no method'}",
                f"dvc repro {stage}; where it cannot run here (no source site with the task, or "
                "too few patients to draw from) name another "
                "before looking at any target",
            )
        )
    return results


def read_sources(
    workspace: Workspace, site: str, task: str, classes: list[str]
) -> dict[str, SourceSite]:
    """The source sites but `site` with this task and all of these classes.

    Their names are the split's: DVC leaves results of other sites on disk.

    Raises Refusal naming every result that is missing.
    """
    split = (
        json.loads((workspace.meta_split / SITES).read_text())["sites"]
        if (workspace.meta_split / SITES).is_file()
        else {}
    )
    names = [
        name
        for name, known in sorted(split.items())
        if name != site and known["task"] == task and set(classes) <= set(known["classes"])
    ]
    refuse_if(
        missing(
            {
                f"adapt@{name}": [workspace.results("source", name) / file for file in RESULTS]
                for name in names
            }
        )
    )
    return {
        name: _source(
            workspace.results("source", name),
            name,
            classes,
            set(split[name]["classes"]) - set(classes),
        )
        for name in names
    }


def _source(folder: Path, site: str, classes: list[str], others: set[str]) -> SourceSite:
    """A source site's patients of `classes`, and what was answered for them given that the class is
    one of these.
    """
    cohort, predictions = (
        whole(folder / name, pd.read_parquet, f"adapt@{site}")
        for name in ("cohort.parquet", "predictions.parquet")
    )
    columns = [f"p_{name}" for name in classes]
    own = predictions[predictions["label"].isin(classes)].drop(
        columns=[f"p_{name}" for name in others]
    )
    if others:
        total = own[columns].sum(axis=1)
        own[columns] = own[columns].div(total.where(total > 0), axis=0).fillna(1 / len(classes))
    return SourceSite(
        cohort[cohort["label"].isin(classes)], _embeddings(folder, site), own, tuple(sorted(others))
    )


def _embeddings(results: Path, site: str) -> np.ndarray:
    found = whole(results / "embeddings.npy", read_features, f"adapt@{site}")
    if not np.isfinite(found).all():
        raise Refusal(
            Problem(
                str(results / "embeddings.npy"),
                "a feature that is no number",
                "finite features of the supervised source model",
                f"look for a diverged learner in runs/supervised, then dvc repro adapt@{site}",
            )
        )
    return found


def read_features(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def whole(path: Path, read: Callable[[Path], Any], stage: str) -> Any:
    """What `read` makes of a file.

    Raises Refusal where the file is cut short, as a full disk or a broken copy leaves it.
    """
    try:
        return read(path)
    except (ValueError, EOFError) as error:  # of JSON, CSV, Parquet and NumPy alike
        raise Refusal(
            Problem(
                str(path),
                "a file that is cut short or broken",
                f"what stage {stage} writes",
                f"dvc repro -f {stage}",
            )
        ) from error


def read_performance(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, float_precision="round_trip")


def chosen_shots(performance: pd.DataFrame, method: str, shots: int) -> int:
    """`shots` where the method has results there; else the largest smaller k, or the smallest."""
    tried = sorted(performance.loc[performance["method"] == method, "k"])
    return int(max((k for k in tried if k <= shots), default=tried[0]))


def missing(needed: dict[str, list[Path]]) -> list[Problem]:
    return [
        Problem(str(path), "no such file", f"what stage {stage} writes", f"dvc repro {stage}")
        for stage, paths in needed.items()
        for path in paths
        if not path.is_file()
    ]
