import os
import subprocess
import sys

import numpy as np
import pytest

from data_prep.episodes.draw import (
    Patients,
    SitePool,
    draw_episodes,
    drop_small_classes,
    refuse_small_classes,
)
from models.settings import Episodic
from workspace.errors import Refusal


def pool(site: str, task: str, sizes: dict[str, int], start: int = 0, images: int = 2) -> SitePool:
    """`sizes`: class -> patients, each with `images` consecutive rows."""
    patients, at = {}, start
    for label, count in sizes.items():
        patients[label] = Patients.of(
            [np.arange(at + images * i, at + images * (i + 1)) for i in range(count)]
        )
        at += images * count
    return SitePool(site, task, patients)


POOLS = [
    pool("north", "chest", {"a": 9, "b": 12, "c": 8}),
    pool("east", "chest", {"b": 9, "c": 9}, start=100),
    pool("blood", "cells", {"p": 10, "q": 9}, start=200),
]
SHAPE = {"chosen": Episodic(way=3, shot=4, query=6), "tasks": 3}


def patient_of(rows: np.ndarray) -> np.ndarray:
    return rows // 2


def owner(row: int) -> tuple[str, str]:
    return next(
        (p.site, label)
        for p in POOLS
        for label, patients in p.patients.items()
        if any(row in own for own in patients)
    )


@pytest.mark.parametrize("index", range(20))
def test_support_and_query_share_no_patient_and_a_support_holds_k_different_ones(index):
    rows = draw_episodes(POOLS, (0, 0), index, **SHAPE)
    for support, query in zip(rows.support, rows.query, strict=True):
        assert not set(patient_of(support).ravel()) & set(patient_of(query).ravel())
        assert len(set(patient_of(support).ravel())) == support.size


@pytest.mark.parametrize("index", range(10))
def test_every_row_of_a_class_belongs_to_one_class_of_one_site(index):
    rows = draw_episodes(POOLS, (0, 0), index, **SHAPE)
    for support, query in zip(rows.support, rows.query, strict=True):
        owners = [
            {owner(row) for row in (*s, *q)}
            for s, q in zip(support, query.reshape(len(support), -1), strict=True)
        ]
        assert all(len(own) == 1 for own in owners)
        assert len({next(iter(own)) for own in owners}) == len(owners)


def test_an_episode_is_a_pure_function_of_seed_and_index():
    first = draw_episodes(POOLS, (7, 0), 5, **SHAPE)
    for index in (1, 9):  # whatever was drawn in between
        draw_episodes(POOLS, (7, 0), index, **SHAPE)
    again = draw_episodes(POOLS, (7, 0), 5, **SHAPE)
    np.testing.assert_array_equal(first.support, again.support)
    np.testing.assert_array_equal(first.query, again.query)


def test_episodes_are_the_same_in_another_process_with_another_hash_seed():
    code = (
        f"import hashlib, runpy; here = runpy.run_path({__file__!r})\n"
        "drawn = [here['draw_episodes'](here['POOLS'], (1, 0), i, **here['SHAPE'], cross_site=0.5) for i in range(20)]\n"
        "parts = [part for rows in drawn for part in (rows.support.tobytes(), rows.query.tobytes(), ' '.join(rows.names).encode())]\n"
        "print(hashlib.sha256(b''.join(parts)).hexdigest())"
    )
    stated = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(stated) == 1


def test_training_and_validation_streams_differ():
    drawn = [draw_episodes(POOLS, (0, stream), 3, **SHAPE).support for stream in (0, 1)]
    assert drawn[0].shape != drawn[1].shape or not np.array_equal(*drawn)


def test_all_classes_of_a_site_still_give_fresh_supports_and_permuted_labels():
    only = [POOLS[0]]
    full = [
        rows.support[0]
        for rows in (
            draw_episodes(only, (0, 0), i, Episodic(way=3, shot=2, query=2), tasks=1)
            for i in range(60)
        )
        if rows.support.shape[1] == 3
    ]
    assert len({support.tobytes() for support in full}) == len(full)
    assert len({owner(support[0, 0])[1] for support in full}) == 3


def test_classes_that_are_called_by_numbers_with_gaps_are_labelled_from_0_on():
    gaps = pool("north", "chest", {"10": 9, "2": 9, "-7": 9})
    rows = draw_episodes([gaps], (0, 0), 0, Episodic(way=3, min_way=3, shot=2, query=2), tasks=2)
    assert rows.query_labels.tolist() == [[0, 0, 1, 1, 2, 2]] * 2
    for support, query in zip(
        rows.support, rows.query.reshape(2, 3, 2), strict=True
    ):  # a label's support and query are of one class
        classes = [
            {
                label
                for label, patients in gaps.patients.items()
                for own in patients
                if set(own) & {*s, *q}
            }
            for s, q in zip(support, query, strict=True)
        ]
        assert sorted(map(tuple, classes)) == [("-7",), ("10",), ("2",)]


def test_ways_run_from_two_to_as_many_as_a_site_has():
    ways = [
        draw_episodes(POOLS, (0, 0), i, Episodic(way=5, shot=2, query=2), tasks=1).support.shape[1]
        for i in range(80)
    ]
    assert set(ways) == {2, 3}


def test_way_and_shot_are_drawn_from_their_ranges():
    chosen = Episodic(way=3, min_way=3, shot=4, min_shot=2, query=2)
    shapes = {draw_episodes(POOLS[:1], (0, 0), i, chosen, tasks=1).support.shape for i in range(60)}
    assert shapes == {(1, 3, 2), (1, 3, 3), (1, 3, 4)}
    for wrong in ({"way": 2, "min_way": 3}, {"shot": 1, "min_shot": 2}):
        with pytest.raises(ValueError, match="min_way at most way, and min_shot at most shot"):
            Episodic(**wrong)


def test_a_site_with_fewer_classes_than_the_smallest_way_still_trains_with_all_it_has():
    chosen = Episodic(way=3, min_way=3, shot=2, query=2)
    ways = [draw_episodes(POOLS, (0, 0), i, chosen, tasks=1).support.shape[1] for i in range(90)]
    assert (
        abs(np.mean(np.array(ways) == 2) - 2 / 3) < 0.15
    )  # two of the three sites have two classes


def test_natural_queries_hold_the_classes_as_often_as_the_patients_that_are_left():
    uneven = [pool("north", "chest", {"rare": 6, "common": 33})]
    shares = []
    for index in range(200):
        rows = draw_episodes(
            uneven, (0, 0), index, Episodic(way=2, shot=3, query=5, natural_queries=True), tasks=1
        )
        common = next(at for at in range(2) if owner_in(uneven, rows.support[0, at, 0]) == "common")
        shares.append((rows.query_labels == common).mean())
        for row, label in zip(rows.query[0], rows.query_labels[0], strict=True):
            assert owner_in(uneven, row) == owner_in(uneven, rows.support[0, label, 0])
        assert not set(patient_of(rows.support).ravel()) & set(patient_of(rows.query).ravel())
    assert abs(np.mean(shares) - 30 / 33) < 0.02


def owner_in(pools: list[SitePool], row: int) -> str:
    return next(
        label
        for p in pools
        for label, patients in p.patients.items()
        if any(row in own for own in patients)
    )


def test_a_cross_site_episode_takes_its_query_from_another_site_of_the_same_task():
    crossed = 0
    for index in range(40):
        rows = draw_episodes(
            POOLS, (0, 0), index, Episodic(way=2, shot=2, query=2), tasks=1, cross_site=1.0
        )
        for support, query in zip(rows.support[0], rows.query[0].reshape(2, -1), strict=True):
            (site, label), (other, same) = owner(support[0]), owner(query[0])
            assert label == same
            crossed += site != other
            assert site == other if site == "blood" else site != other
    assert crossed


def test_a_class_with_too_few_patients_is_refused_by_class_and_site():
    with pytest.raises(
        Refusal,
        match=r"site east, class b: found 9 training patients; need 10 for 9 shots; do lower shot",
    ):
        refuse_small_classes(POOLS[1:2], shot=9)


def test_small_validation_classes_are_dropped_and_said():
    kept, dropped = drop_small_classes(POOLS, shot=8)
    assert dropped == ["north: class c has 8 patients, 9 are needed"]
    assert set(kept[0].patients) == {"a", "b"}
