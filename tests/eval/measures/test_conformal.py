"""Prediction sets against crepes, a published package for conformal prediction."""

import numpy as np
import pytest

from eval.answers import HeldOut
from eval.measures.conformal import cuts

crepes = pytest.importorskip("crepes", reason="pip install -e .[test]")


def held_out(cases: int, classes: int, seed: int) -> HeldOut:
    """One seed and draw with so many cases of each class; answers on a grid, so that some tie."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), size=cases * classes).round(2)
    labels = np.repeat(np.arange(classes), cases)
    return HeldOut(probabilities[None, None], labels[None])


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
@pytest.mark.parametrize(("cases", "classes"), [(4, 2), (9, 2), (19, 3), (40, 2)])
def test_a_class_is_in_a_set_where_its_p_value_is_above_what_is_given_away(level, cases, classes):
    """Each class by itself (Mondrian), with the score 1 - p, not smoothed.

    crepes' `predict_set` also keeps a class whose p value is 1 - level to the digit, where rounding
    lets it, so its p values are what is compared.
    """
    held = held_out(cases, classes, seed=cases)
    asked = np.linspace(0, 1, 101)
    for label in range(classes):
        own = held.labels[0] == label
        judge = crepes.ConformalClassifier().fit(1 - held.probabilities[0, 0, own, label])
        p = judge.predict_p((1 - asked)[:, None], smoothing=False)[:, 0]
        members = asked >= cuts(held, level)[0, 0, label]
        assert (members == (p > 1 - level + 1e-9)).all()
        assert members.any()
