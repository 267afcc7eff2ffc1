"""The energy coefficient against a judge that counts pair by pair."""

import numpy as np
import pytest

from eval.measures.energy import coefficient


def by_pairs(one: np.ndarray, other: np.ndarray) -> float:
    """E / (2 mean |X - Y|) as Szekely and Rizzo (2013) write it; nobody is paired with himself."""

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


def waves(count: int, move: float) -> np.ndarray:
    return np.sin(np.arange(3 * count).reshape(count, 3) * 1.7) + move


# dcor 0.7 on these points, which needs numba and so is no package of the tests:
# dcor.energy_distance(one, other, estimation_stat="u_statistic")
@pytest.mark.parametrize(
    ("sizes", "move", "distance"),
    [
        ((7, 5), 0.0, -0.5216365116626567),
        ((12, 9), 0.5, 0.2713276646659013),
        ((20, 30), 2.0, 4.481586455395626),
    ],
)
def test_the_coefficient_is_dcors_distance_by_twice_the_mean_across(sizes, move, distance):
    one = waves(sizes[0], 0.0)
    other = waves(sizes[1], move) + 0.1 * np.cos(np.arange(3 * sizes[1]).reshape(-1, 3))
    points = np.concatenate([one, other])
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    across = distances[: sizes[0], sizes[0] :].mean()
    found = coefficient(distances, (np.arange(sum(sizes)) < sizes[0])[None])[0]
    assert 2 * across * found == pytest.approx(distance)


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
