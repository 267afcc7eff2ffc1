"""Prediction sets (split conformal), and what is gained by leaving doubtful images to a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from eval.answers import HeldOut
from eval.intervals.estimate import Estimate, estimate, known, share
from eval.results import Results

LEVELS = (0.8, 0.9, 0.95)  # the share of images whose set is to hold the true class
# the share of images that the model answers, most confident first
ANSWERED = (
    1.0,
    0.9,
    0.8,
    0.7,
    0.5,
)
ROUNDING = 1e-9  # 0.9 times 10 is 9


@dataclass(frozen=True)
class Sets:
    """The prediction sets at one level: each share is one of images.

    `wrong`: of the one-class sets, None where there are none.
    """

    level: float
    coverage: Estimate
    size: Estimate
    one_class: Estimate
    wrong: Estimate | None
    empty: Estimate
    by_class: tuple[Estimate, ...]


def cuts(held_out: HeldOut, level: float) -> np.ndarray:
    """The least probability with which a class is in a set: (seed, draw, class), -inf where there
    are too few cases to leave a class out.

    Split conformal prediction with the score 1 - p of the true class (Vovk 2005; Sadinle 2019),
    calibrated on each class's own cases (Mondrian, Vovk 2012): a case of a class is covered with at
    least the probability `level`, whatever share of the patients has it. The cut of n cases is
    their ceil((n + 1) level)-th highest probability.
    """
    classes, n = held_out.probabilities.shape[-1], held_out.per_class
    rank = int(np.ceil((n + 1) * level - ROUNDING))
    if rank > n:
        return np.full((*held_out.probabilities.shape[:2], classes), -np.inf)
    # (seed, draw, class, case)
    own = np.stack(
        [
            np.stack(
                [
                    held_out.probabilities[:, draw, labels == label, label]
                    for draw, labels in enumerate(held_out.labels)
                ],
                axis=1,
            )
            for label in range(classes)
        ],
        axis=2,
    )
    return -np.sort(-own, axis=-1)[..., rank - 1]


def cases_needed(level: float) -> int:
    """The fewest cases a class with which a set may leave a class out."""
    return int(np.ceil(1 / (1 - level) - 1 - ROUNDING))


def prediction_sets(results: Results, held_out: HeldOut, level: float) -> Sets:
    query, bootstrap = results.query, results.bootstrap
    # (seed, draw, record, class)
    members = results.verdict_answers.probabilities >= cuts(held_out, level)[:, :, None, :]
    holds = members[..., np.arange(len(query.labels)), query.labels]
    size, every = members.sum(axis=-1), np.ones((1, 1, len(query.labels)), bool)
    return Sets(
        level,
        known(share(holds, every, bootstrap)),
        known(share(size, every, bootstrap, high=len(results.classes))),
        known(share(size == 1, every, bootstrap)),
        share((size == 1) & ~holds, size == 1, bootstrap),
        known(share(size == 0, every, bootstrap)),
        tuple(
            known(share(holds & own, own[None, None], bootstrap))
            for own in (query.labels == label for label in range(len(results.classes)))
        ),
    )


def selective_risk(
    confidence: np.ndarray,
    wrong: np.ndarray,
    weights: np.ndarray,
    answered: Sequence[float] = ANSWERED,
) -> np.ndarray:
    """Error rates among the most confident shares, and last the area under the risk-coverage curve
    (El-Yaniv and Wiener 2010).

    (record,), (record,), (resample, record) -> (share and 1, resample). Equally confident images
    share their errors, as in random order. Whole weights in float32 sum to whole numbers under
    2**24, so nothing but the quotients and such shares is rounded.
    """
    order = np.argsort(-confidence, kind="stable")
    drawn = weights[:, order]
    images, errors = (
        drawn.cumsum(axis=1),
        _shared(confidence[order], drawn, drawn * wrong[order]).cumsum(axis=1),
    )
    risk = errors / np.maximum(images, 1)  # where nothing is drawn yet, nothing is wrong yet
    asked = [
        np.ceil(part * images[:, -1:].astype(np.float64) - ROUNDING).astype(images.dtype)
        for part in answered
    ]
    last = [(images < number).sum(axis=1, keepdims=True) for number in asked]
    return np.stack(
        [
            *(np.take_along_axis(risk, at, axis=1)[:, 0] for at in last),
            np.einsum("rn,rn->r", drawn, risk) / images[:, -1],
        ]
    )


def _shared(confidence: np.ndarray, drawn: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """(resample, record) errors with those of equally confident neighbours spread evenly over what
    is drawn of them.
    """
    first = np.flatnonzero(np.diff(confidence, prepend=np.inf))
    if len(first) == len(confidence):
        return errors
    share = np.add.reduceat(errors, first, axis=1) / np.maximum(
        np.add.reduceat(drawn, first, axis=1), 1
    )
    return drawn * np.repeat(share, np.diff(first, append=len(confidence)), axis=1)


def abstaining(results: Results) -> list[Estimate]:
    """The error rate at each share of `ANSWERED`, and last the area under the curve."""
    probabilities = results.verdict_answers.probabilities.astype(np.float64)
    # as p, but apart where single precision rounds p to 1
    confidence = 2 * probabilities.max(axis=-1) - probabilities.sum(axis=-1)
    wrong = probabilities.argmax(axis=-1) != results.query.labels
    seeds, draws, records = wrong.shape
    pairs, once = list(np.ndindex(seeds, draws)), np.ones((1, records))
    values = np.reshape(
        [selective_risk(confidence[pair], wrong[pair], once)[:, 0] for pair in pairs],
        (seeds, draws, -1),
    )
    resampled = np.mean(
        [
            selective_risk(confidence[pair], wrong[pair], results.bootstrap.weights)
            for pair in pairs
        ],
        axis=0,
    )
    place = (-confidence).argsort(axis=-1, kind="stable").argsort(axis=-1)
    among = [
        (place < np.ceil(part * records - ROUNDING)).any(axis=(0, 1)) for part in (*ANSWERED, 1.0)
    ]
    return [
        known(
            estimate(
                values[..., at],
                resampled[at],
                results.bootstrap.confidence,
                partial(results.bootstrap.interval, of=of),
            )
        )
        for at, of in enumerate(among)
    ]
