"""An estimate's words say how many draws have a value, and why there is no spread."""

import math

import pytest

from eval.intervals.estimate import Estimate
from eval.page.estimates import draws_number, draws_share, patients_number, patients_share


def made(draws: int, of: int, low: float = 0.6, high: float = 0.8) -> Estimate:
    spread = (low, high) if draws > 1 else (math.nan, math.nan)
    return Estimate(0.7, 0.5, 0.9, *spread, draws, of)


def test_a_share_is_in_percent_and_a_number_is_not() -> None:
    assert patients_share(made(5, 5)) != patients_number(made(5, 5))
    assert "%" in patients_share(made(5, 5)) and "%" not in patients_number(made(5, 5))
    assert "%" in draws_share(made(5, 5), 5) and "%" not in draws_number(made(5, 5), 5)


@pytest.mark.parametrize(
    ("draws", "of", "k", "words"),
    [
        (1, 1, 5, "one draw only"),
        (1, 1, 0, "nothing drawn"),
        (1, 3, 5, "one draw with a value (1 of 3\N{NO-BREAK SPACE}draws)"),
    ],
)
def test_one_draw_has_no_spread(draws: int, of: int, k: int, words: str) -> None:
    assert draws_share(made(draws, of), k) == draws_number(made(draws, of), k) == words


def test_draws_without_a_value_are_counted() -> None:
    assert draws_number(made(3, 5), 5).endswith("(3 of 5\N{NO-BREAK SPACE}draws)")
    assert "of" not in draws_number(made(5, 5), 5)
