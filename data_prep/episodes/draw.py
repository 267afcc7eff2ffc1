"""Episodes: which records form the support and the query of a few-shot task.

Episode i is a pure function of (seed, i, pools).
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_prep.episodes.images import Stored
from data_prep.episodes.meta_split import MetaSplit
from data_prep.episodes.shape import EpisodeShape
from data_prep.targets.label import LABEL
from data_prep.targets.target import Target
from workspace.errors import Problem, Refusal


@dataclass(frozen=True)
class Episodes:
    """A batch of tasks of one way, shot and query size.

    Labels are 0..way-1 and mean something within a task only.
    """

    support: Float[Tensor, "task support channel *space"]  # way * shot
    support_labels: Int[Tensor, "task support"]
    query: Float[Tensor, "task query channel *space"]
    query_labels: Int[Tensor, "task query"]
    way: int
    step: int = 0  # of training, for what is annealed over it
    first: int = 0  # where these begin among the step's tasks, which several processes share

    def split(self, tasks: int) -> list["Episodes"]:
        """The same in parts of at most `tasks` tasks."""
        support, labels = self.support.split(tasks), self.support_labels.split(tasks)
        query, query_labels = self.query.split(tasks), self.query_labels.split(tasks)
        parts = zip(support, labels, query, query_labels, strict=True)
        return [
            Episodes(*part, way=self.way, step=self.step, first=self.first + at * tasks)
            for at, part in enumerate(parts)
        ]


@dataclass(frozen=True)
class EpisodeRows:
    """The same as rows of Images, before any pixel is touched."""

    support: Int[np.ndarray, "task way shot"]
    query: Int[np.ndarray, "task query"]
    query_labels: Int[np.ndarray, "task query"]
    names: tuple[str, ...]  # of the tasks, as sites name them

    def gather(self, images: Stored, target: Target = LABEL) -> Episodes:
        """Fetch the pixels, one call for the whole batch."""
        device = images.device
        tasks, way, shot = self.support.shape
        rows = np.concatenate([self.support.reshape(tasks, -1), self.query], 1)
        pixels = images.gather(rows.reshape(-1)).unflatten(0, rows.shape)
        labels = torch.from_numpy(target.collate(self.support)).to(device)
        return Episodes(
            pixels[:, : way * shot],
            labels,
            pixels[:, way * shot :],
            torch.from_numpy(self.query_labels).to(device),
            way,
        )


@dataclass(frozen=True)
class Patients:
    """The patients of one class, each an array of rows of Images: patient i has
    rows[starts[i]:starts[i + 1]].
    """

    rows: Int[np.ndarray, "row"]
    starts: Int[np.ndarray, "bound"]

    @classmethod
    def of(cls, each: Collection[np.ndarray]) -> "Patients":
        """From an array of rows a patient."""
        return cls(np.concatenate([np.empty(0, np.int64), *each]), np.cumsum([0, *map(len, each)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, at: int) -> Int[np.ndarray, "own"]:
        return self.rows[self.starts[:-1][at] : self.starts[1:][at]]

    def one_image_each(
        self, rng: np.random.Generator, chosen: Int[np.ndarray, "patient"]
    ) -> Int[np.ndarray, "patient"]:
        """A row of each chosen patient, any of his."""
        return self.rows[rng.integers(self.starts[chosen], self.starts[chosen + 1])]


@dataclass(frozen=True)
class SitePool:
    """What episodes of one site are drawn from: its patients by class."""

    site: str
    task: str
    patients: dict[str, Patients]


def site_pools(meta: MetaSplit, images: Stored, split: str) -> list[SitePool]:
    """The pools of one split (train or validation), a site each, in a fixed order.

    A patient who has images of two classes, or at two sites of a task, stands for the first alone:
    no episode can have him on both sides. He may stand for something else in another task.
    """
    pools = []
    taken: dict[str, list[pd.Series]] = defaultdict(list)  # by task
    for name, site in meta.sites.items():
        table = site.records[["group", "label"]].assign(
            at=np.arange(len(site.records)) + images.first_row[name]
        )
        table = table[site.records["split"] == split]
        for others in taken[site.task]:
            table = table[~table["group"].isin(others)]
        taken[site.task].append(table["group"].drop_duplicates())
        table = table.assign(group=table["group"].factorize(sort=True)[0]).sort_values(
            "group", kind="stable"
        )
        table = table[table["label"] == table.groupby("group")["label"].transform("first")]
        patients = {
            label: _by_group(table[table["label"] == label]) for label in sorted(site.classes)
        }
        pools.append(SitePool(name, site.task, patients))
    return pools


def _by_group(table: pd.DataFrame) -> Patients:
    """Of a table that is sorted by group."""
    firsts = np.flatnonzero(table["group"].diff().to_numpy() != 0)
    return Patients(table["at"].to_numpy(copy=True), np.append(firsts, len(table)))


def drop_small_classes(pools: list[SitePool], shot: int) -> tuple[list[SitePool], list[str]]:
    """Keep the classes with more than `shot` patients, and the sites left with two classes; say in
    words what was dropped.
    """
    kept, dropped = [], []
    for pool in pools:
        small = [label for label, patients in pool.patients.items() if len(patients) <= shot]
        dropped += [
            f"{pool.site}: class {label} has {len(pool.patients[label])} "
            f"patients, {shot + 1} are needed"
            for label in small
        ]
        patients = {label: rows for label, rows in pool.patients.items() if label not in small}
        if len(patients) >= 2:
            kept.append(SitePool(pool.site, pool.task, patients))
    return kept, dropped


def refuse_small_classes(pools: list[SitePool], shot: int) -> None:
    """Raise Refusal naming each class and site with too few patients for `shot` in support and one
    in query.
    """
    problems = [
        Problem(
            f"site {pool.site}, class {label}",
            f"{len(patients)} training patients",
            f"{shot + 1} for {shot} shots",
            "lower shot under learners in params.yaml, or put the class under ignore at this site",
        )
        for pool in pools
        for label, patients in pool.patients.items()
        if len(patients) <= shot
    ]
    if problems:
        raise Refusal(*problems)


def draw_episodes(
    pools: list[SitePool],
    seed: tuple[int, ...],
    index: int,
    chosen: EpisodeShape,
    *,
    tasks: int,
    cross_site: float = 0.0,
) -> EpisodeRows:
    """Draw one batch of `tasks` episodes of the same way and shot.

    The first is of a site chosen evenly; way and shot are drawn evenly from their ranges, as far as
    that site goes (one with fewer classes than `min_way` shows all it has). The others are of sites
    with as many classes, chosen evenly. Classes and their order are random. Support and query share
    no patient; one image a patient, and a class with fewer query patients than wanted repeats them.
    Queries hold each class equally, or, if natural, as the site's patients do. With chance
    `cross_site`, an episode's query comes from another site of its task, on the classes that both
    have.
    """
    rng = np.random.default_rng([*seed, index])
    first = pools[rng.integers(len(pools))]
    ways, shot = _way_and_shot(rng, chosen, len(first.patients))
    support = np.empty((tasks, ways, shot), np.int64)
    query = np.empty((tasks, ways * chosen.query), np.int64)
    labels = np.tile(np.repeat(np.arange(ways), chosen.query), (tasks, 1))
    able = [pool for pool in pools if len(pool.patients) >= ways]
    names = []
    for task in range(tasks):
        pool = able[rng.integers(len(able))] if task else first
        names.append(pool.task)
        other = _partner(rng, pools, pool, ways) if rng.random() < cross_site else pool
        shared = [label for label in pool.patients if label in other.patients]
        # of each class: the patients that queries are drawn from, and those of them who are in the
        # support
        left = []
        for at, label in enumerate(shared[i] for i in rng.permutation(len(shared))[:ways]):
            patients, others = pool.patients[label], other.patients[label]
            drawn = _some(rng, len(patients), shot + chosen.query)
            support[task, at] = patients.one_image_each(rng, drawn[:shot])
            left.append((others, drawn[:shot] if other is pool else drawn[:0]))
            asked = drawn[shot:] if other is pool else _some(rng, len(others), chosen.query)
            query[task, at * chosen.query : (at + 1) * chosen.query] = others.one_image_each(
                rng, np.resize(asked, chosen.query)
            )
        if chosen.natural_queries:
            labels[task], query[task] = _natural_queries(rng, left, query.shape[1])
    return EpisodeRows(support, query, labels, tuple(names))


def _way_and_shot(rng: np.random.Generator, chosen: EpisodeShape, classes: int) -> tuple[int, int]:
    """Drawn evenly from their ranges; of a site with so many classes."""
    most = min(chosen.way, classes)
    way = int(rng.integers(min(chosen.min_way, most), most + 1))
    if chosen.min_shot is None:
        return way, chosen.shot
    return way, int(rng.integers(chosen.min_shot, chosen.shot + 1))


def _some(rng: np.random.Generator, patients: int, wanted: int) -> Int[np.ndarray, "some"]:
    """`wanted` of so many patients, or all, in random order; in a time that does not grow with the
    patients.
    """
    return rng.choice(patients, min(patients, wanted), replace=False)


def _natural_queries(
    rng: np.random.Generator, left: list[tuple[Patients, np.ndarray]], wanted: int
) -> tuple[Int[np.ndarray, "wanted"], Int[np.ndarray, "wanted"]]:
    """Labels and rows of `wanted` of all classes' patients together who are not in the support: a
    class comes up as often as it is.
    """
    ends = np.cumsum([len(patients) for patients, _ in left])
    starts = ends - [len(patients) for patients, _ in left]
    shown = np.concatenate([start + own for start, (_, own) in zip(starts, left, strict=True)])
    drawn = _some(rng, int(ends[-1]), wanted + len(shown))
    drawn = np.resize(drawn[~np.isin(drawn, shown)], wanted)
    labels = np.searchsorted(ends, drawn, side="right")
    rows = np.empty(wanted, np.int64)
    for label, (patients, _) in enumerate(left):
        rows[labels == label] = patients.one_image_each(rng, drawn[labels == label] - starts[label])
    return labels, rows


def _partner(
    rng: np.random.Generator, pools: list[SitePool], pool: SitePool, ways: int
) -> SitePool:
    """Another site of the same task that shares `ways` classes; the site itself where there is
    none.
    """
    fit = [
        other
        for other in pools
        if other.task == pool.task
        and other.site != pool.site
        and len(pool.patients.keys() & other.patients.keys()) >= ways
    ]
    return fit[rng.integers(len(fit))] if fit else pool
