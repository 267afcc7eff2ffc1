"""The energy coefficient against a judge that counts pair by pair."""

import numpy as np
import pytest

from eval.measures.energy import coefficient


def by_pairs(one: np.ndarray, other: np.ndarray) -> float:
    """E / (2 mean |X - Y|) as Szekely and Rizzo (2013) write it; nobody is paired with himself.

    dcor.energy_distance has the same with that pair counted, but needs numba.
    """

    def mean(first: np.ndarray, second: np.ndarray, same: bool) -> float:
        pairs = [
            np.sqrt(((a - b) ** 2).sum())
            for i, a in enumerate(first)
            for j, b in enumerate(second)
            if not same or i != j
        ]
        return float(np.mean(pairs))

    across = mean(one, other, same=False)
    within = mean(one, one, same=True) + mean(other, other, same=True)
    return (2 * across - within) / (2 * across)


@pytest.mark.parametrize("seed", range(5))
def test_the_coefficient_is_that_of_every_pair(seed):
    generator = np.random.default_rng(seed)
    n, m = generator.integers(2, 9, 2)
    points = generator.normal(size=(n + m, 3)) + (np.arange(n + m) < n)[:, None] * seed
    distances = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))
    expected = by_pairs(points[:n], points[n:])
    assert coefficient(distances, (np.arange(n + m) < n)[None])[0] == pytest.approx(expected)


def test_a_moved_group_is_farther_and_an_equal_one_near_nought():
    generator = np.random.default_rng(0)
    alike, far = generator.normal(size=(2, 40, 2)), generator.normal(size=(40, 2)) + 50
    assert abs(by_pairs(*alike)) < 0.1 < 0.9 < by_pairs(alike[0], far)
