"""What a score is: all that the verdict, its criteria, intervals, figures and pages know of one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from eval.answers import Answers, Query
from eval.words import capital, decimals

Measured = tuple[np.ndarray, np.ndarray]  # in each draw (mean over seeds); in each resample
LABEL = "label"  # the kind of target whose records have one class each


def one_part(classes: int) -> list[int]:
    """Of a score that is no mean over classes."""
    return [0]


def every_record(labels: np.ndarray, parts: Sequence[int]) -> np.ndarray:
    """(group, record): one group, which holds all."""
    return np.ones((1, len(labels)), bool)


@dataclass(frozen=True)
class Score:
    """How good answers are, in one number: a mean over `parts`, such as classes against the rest.

    name: in tables, and of its bound in params.yaml report.accept. title: in sentences.
    part: one part's value in each draw (draw,), mean over seeds, and in each resample (resample,)
    of (resample, record) weights, mean over draws and seeds. parts: of so many classes, the class
    that each is named after. rests_on: (group, record), the records that a mean over parts needs
    patients of. low, high: its bounds. chance: what guessing gives among so many classes.
    meaning, several: a sentence, and what it is of more than two classes.
    """

    name: str
    title: str
    part: Callable[[Answers, Query, int, np.ndarray], Measured]
    parts: Callable[[int], list[int]] = one_part
    rests_on: Callable[[np.ndarray, Sequence[int]], np.ndarray] = every_record
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    higher_is_better: bool = True
    chance: Callable[[int], float] | None = None
    meaning: str = ""
    several: str = ""

    def measure(self, answers: Answers, query: Query, weights: np.ndarray) -> Measured:
        """The mean over all parts."""
        parts = self.parts(answers.probabilities.shape[-1])
        found = [self.part(answers, query, part, weights) for part in parts]
        by_draw, resampled = zip(*found, strict=True)
        return np.mean(by_draw, axis=0), np.mean(resampled, axis=0)

    def of_class(self, name: str) -> str:
        """The name in tables of the part that is named after a class."""
        return f"{self.name}:{name}"

    @property
    def differences(self) -> tuple[float, float]:
        """The bounds of a difference of two."""
        return self.low - self.high, self.high - self.low

    @property
    def heading(self) -> str:
        """The title at the start of a line."""
        return capital(self.title)

    @property
    def article(self) -> str:
        return "an" if self.title[0] in "AEIOaeio" else "a"

    @property
    def axis_title(self) -> str:
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{decimals(value)}{self.unit and f' {self.unit}'}"

    def asks(self, bound: float) -> str:
        """A bound in words."""
        most = "at least" if self.higher_is_better else "at most"
        return f"{self.title} of {most} {bound:g}{self.unit and f' {self.unit}'}"

    def rank(self, value: float) -> float:
        """Higher is better, whatever the direction."""
        return value if self.higher_is_better else -value

    def reached(self, low: float, high: float, bound: float) -> bool:
        """Whether a whole interval is at the bound or on its right side."""
        return low >= bound if self.higher_is_better else high <= bound

    def missed(self, low: float, high: float, bound: float) -> bool:
        """Whether a whole interval is on the wrong side of the bound."""
        return high < bound if self.higher_is_better else low > bound

    def axis(self, values: Sequence[float], below: float, above: float) -> tuple[float, float]:
        """The ends of an axis that holds `values` and the best value.

        `below`, `above`: how far it goes beyond them, in parts of the score's range.
        """
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        bounds = self.high - self.low
        span = bounds if np.isfinite(bounds) else high - low
        if self.higher_is_better:
            best = self.high if np.isfinite(self.high) else high
            return max(self.low, low - below * span), best + above * span
        best = self.low if np.isfinite(self.low) else low
        return best - above * span, min(self.high, high + below * span)


def scores_of(kind: str) -> tuple[Score, ...]:
    """The scores of a kind of target, eval/scores/KIND.py: the verdict speaks of the first."""
    return import_module(f"eval.scores.{kind}").SCORES
