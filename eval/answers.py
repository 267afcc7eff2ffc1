"""predictions.parquet as arrays: one query set, and what each method answered at each k."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workspace.errors import Problem, Refusal, refuse_if


@dataclass(frozen=True)
class Query:
    """The images that every method answered, sorted by record.

    `labels`: (record,) index into the site's classes.
    """

    records: np.ndarray
    patients: np.ndarray
    labels: np.ndarray

    def patients_of(self, label: int) -> int:
        return len(set(self.patients[self.labels == label]))


@dataclass(frozen=True)
class Answers:
    """What one method answered with k labelled patients a class.

    `probabilities`: (seed, draw, record, class).
    """

    method: str
    k: int
    probabilities: np.ndarray


@dataclass(frozen=True)
class HeldOut:
    """A method's answers for each draw's labelled cases beyond k: `probabilities` (seed, draw,
    case, class), `labels` (draw, case).

    Every draw has the same number of cases of each class; where k is the largest of tasks.shots
    there are none, and no draw either.
    """

    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def per_class(self) -> int:
        return self.labels.shape[-1] // self.probabilities.shape[-1]


def read_answers(
    predictions: pd.DataFrame, classes: list[str], site: str = "the site"
) -> tuple[Query, list[Answers]]:
    """The query set and all answers, sorted by method and k.

    Raises Refusal if a class has no query patient, a probability is no number, or a method left out
    an image or a draw.
    """
    codes, records = pd.factorize(predictions["record"], sort=True)
    first = np.unique(codes, return_index=True)[1]
    query = Query(
        np.asarray(records, dtype=str),
        predictions["patient"].to_numpy(str)[first],
        pd.Index(classes).get_indexer(predictions["label"].to_numpy(str)[first]),
    )
    refuse_if(_query_problems(query, classes, site))

    probabilities = predictions[[f"p_{name}" for name in classes]].to_numpy(np.float32)
    if not np.isfinite(probabilities).all():
        raise Refusal(
            Problem(
                f"predictions of {site}",
                "a probability that is no number",
                "finite probabilities",
                f"look for a diverged learner in runs/, then dvc repro adapt@{site}",
            )
        )
    seeds, draws = predictions["seed"].to_numpy(), predictions["draw"].to_numpy()
    answers = []
    for (method, k), rows in sorted(predictions.groupby(["method", "k"]).indices.items()):
        rows = rows[np.lexsort((codes[rows], draws[rows], seeds[rows]))]
        grid = (len(np.unique(seeds[rows])), len(np.unique(draws[rows])), len(records))
        if (
            len(rows) != np.prod(grid)
            or (codes[rows].reshape(-1, len(records)) != np.arange(len(records))).any()
        ):
            raise Refusal(
                Problem(
                    f"predictions of {site}, {method} at k = {k}",
                    "answers for a part of the query set",
                    "one answer for each query image, draw and seed",
                    f"run dvc repro -f adapt@{site}",
                )
            )
        answers.append(
            Answers(str(method), int(k), probabilities[rows].reshape(*grid, len(classes)))
        )
    return query, answers


def read_held_out(table: pd.DataFrame, classes: list[str], method: str, k: int) -> HeldOut:
    """The cases of `method` with k labelled patients a class, sorted by seed, draw, position and
    record.
    """
    rows = table[(table["method"] == method) & (table["k"] == k)].sort_values(
        ["seed", "draw", "position", "record"]
    )
    seeds, draws = rows["seed"].nunique(), rows["draw"].nunique()
    cases = len(rows) // max(seeds * draws, 1)
    labels = pd.Index(classes).get_indexer(rows["label"].to_numpy(str)).reshape(seeds, draws, cases)
    probabilities = (
        rows[[f"p_{name}" for name in classes]]
        .to_numpy(np.float32)
        .reshape(seeds, draws, cases, len(classes))
    )
    return HeldOut(probabilities, labels[0] if seeds else labels.reshape(0, 0))


def _query_problems(query: Query, classes: list[str], site: str) -> list[Problem]:
    empty = [name for label, name in enumerate(classes) if not (query.labels == label).any()]
    problems = [
        Problem(
            f"query set of {site}, class {name}",
            "no patient",
            "query patients of every class",
            f"add patients of class {name}, or take it out of sites/{site}.yaml",
        )
        for name in empty
    ]
    if (query.labels < 0).any():
        problems.append(
            Problem(
                f"query set of {site}",
                "a label that is none of the site's classes",
                "the classes of task.json",
                f"run dvc repro tasks@{site} adapt@{site}",
            )
        )
    return problems
