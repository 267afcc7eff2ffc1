"""What changed between two results of one site: the score, on what both were measured on."""

from dataclasses import dataclass, replace

import numpy as np

from eval.answers import Answers, Query
from eval.intervals.patients import bootstrap
from eval.results import Results
from eval.verdict.judge import judge


@dataclass(frozen=True)
class Change:
    """Two verdicts about one site, and the paired difference of their scores (after minus before).

    No score where the query sets do not share patients of every class.
    """

    score: str  # its title
    before: str
    after: str
    shared_patients: int
    shared_records: int
    value_before: float | None = None
    value_after: float | None = None
    low: float | None = None  # of the difference, over patients
    high: float | None = None


def change(before: Results, after: Results) -> Change:
    """Compare what each run's verdict speaks of.

    Patients are redrawn together for both, so what they share cancels out.
    """
    both, score = (before, after), after.score
    word, word_now = (f"{judge(run).word}, {run.method} at k = {run.shots}" for run in both)
    first, second = (_answered(results) for results in both)
    shared = [record for record, label in first.items() if second.get(record) == label]
    query, old, new = *_restricted(before, shared), _restricted(after, shared)[1]
    found = Change(score.title, word, word_now, len(set(query.patients)), len(shared))
    empty = any(query.patients_of(label) == 0 for label in range(len(after.classes)))
    if before.classes != after.classes or empty:
        return found
    settings, seed = after.params.adapt, after.params.seed
    resamples = bootstrap(
        query.patients, query.labels, settings.bootstrap, settings.confidence, seed
    )
    (old_draws, old_resampled), (new_draws, new_resampled) = (
        score.measure(answers, query, resamples.weights) for answers in (old, new)
    )
    measured = replace(
        found, value_before=float(old_draws.mean()), value_after=float(new_draws.mean())
    )
    if np.array_equal(old.probabilities, new.probabilities):
        return replace(measured, low=0.0, high=0.0)
    difference, resampled = (
        float(new_draws.mean() - old_draws.mean()),
        new_resampled - old_resampled,
    )
    low, high = resamples.interval(difference, resampled, *score.differences)
    return replace(measured, low=low, high=high)


def _answered(results: Results) -> dict[str, str]:
    names = np.asarray(results.classes, dtype=object)
    return dict(zip(results.query.records, names[results.query.labels], strict=True))


def _restricted(results: Results, records: list[str]) -> tuple[Query, Answers]:
    """The query set and the verdict's answers for `records` alone."""
    query, answers = results.query, results.verdict_answers
    kept = np.isin(query.records, records)
    return (
        Query(query.records[kept], query.patients[kept], query.labels[kept]),
        Answers(answers.method, answers.k, answers.probabilities[..., kept, :]),
    )
