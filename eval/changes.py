"""What changed between two results of one site: AUROC of the verdict's method, on the patients and images that both were measured on."""

from dataclasses import dataclass

import numpy as np

from eval.answers import Answers, Query
from eval.performance import auroc_of
from eval.results import Results
from eval.uncertainty import bootstrap
from eval.verdict import judge


@dataclass(frozen=True)
class Change:
    """Two verdicts about one site, and the paired difference of their AUROC (after minus before).

    No AUROC where the query sets do not share patients of every class.
    """

    before: str
    after: str
    shared_patients: int
    shared_records: int
    auroc_before: float | None
    auroc_after: float | None
    low: float | None  # of the difference, over patients
    high: float | None


def change(before: Results, after: Results) -> Change:
    """Compare what each run's verdict speaks of. Patients are redrawn together for both, so what they share cancels out."""
    words = [
        f"{judge(results).word}, {results.method} at k = {results.shots}"
        for results in (before, after)
    ]
    first, second = [_answered(results) for results in (before, after)]
    shared = [record for record, label in first.items() if second.get(record) == label]
    query, old, new = *_restricted(before, shared), _restricted(after, shared)[1]
    if before.classes != after.classes or any(
        query.patients_of(label) == 0 for label in range(len(after.classes))
    ):
        return Change(*words, len(set(query.patients)), len(shared), None, None, None, None)
    settings = after.params.adapt
    resamples = bootstrap(
        query.patients, query.labels, settings.bootstrap, settings.confidence, after.params.seed
    )
    (old_draws, old_resampled), (new_draws, new_resampled) = [
        auroc_of(answers, query, resamples.weights) for answers in (old, new)
    ]
    if np.array_equal(old.probabilities, new.probabilities):
        return Change(
            *words,
            len(set(query.patients)),
            len(shared),
            float(old_draws.mean()),
            float(new_draws.mean()),
            0.0,
            0.0,
        )
    value = float(new_draws.mean() - old_draws.mean())
    return Change(
        *words,
        len(set(query.patients)),
        len(shared),
        float(old_draws.mean()),
        float(new_draws.mean()),
        *resamples.interval(value, new_resampled - old_resampled, -1.0, 1.0),
    )


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
