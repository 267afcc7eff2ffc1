"""An estimate's intervals as words: of a share in percent, of another number with decimals."""

from collections.abc import Callable

from eval.intervals.estimate import Estimate
from eval.words import count, interval, percents


def patients_share(found: Estimate) -> str:
    """A share's interval over patients."""
    return percents(found.patient_low, found.patient_high)


def patients_number(found: Estimate) -> str:
    """A number's interval over patients."""
    return interval(found.patient_low, found.patient_high)


def draws_share(found: Estimate, k: int) -> str:
    """A share's spread over draws of k patients a class, or why there is none."""
    return _over_draws(found, k, percents)


def draws_number(found: Estimate, k: int) -> str:
    """A number's spread over draws of k patients a class, or why there is none."""
    return _over_draws(found, k, interval)


def _over_draws(found: Estimate, k: int, ends: Callable[[float, float], str]) -> str:
    spread = found.draws != 1
    words = ends(found.draws_low, found.draws_high) if spread else _one_draw(found, k)
    if found.draws < found.all_draws:  # the others have no value
        return f"{words} ({found.draws} of {count(found.all_draws, 'draw')})"
    return words


def _one_draw(found: Estimate, k: int) -> str:
    if found.all_draws > 1:
        return "one draw with a value"
    return "one draw only" if k else "nothing drawn"
