"""Episodes: which records form the support and the query of a few-shot task. Episode i is a pure function of (seed, i, pools)."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from data_prep.images import Images
from data_prep.meta_split import MetaSplit
from workspace.errors import Problem, Refusal
from workspace.settings import Episodic


@dataclass(frozen=True)
class Episodes:
    """A batch of tasks of one way, shot and query size. Labels are 0..way-1 and mean something within a task only."""

    support: Float[Tensor, "task support channel *space"]  # way * shot
    support_labels: Int[Tensor, "task support"]
    query: Float[Tensor, "task query channel *space"]
    query_labels: Int[Tensor, "task query"]
    way: int
    step: int = 0  # of training, for what is annealed over it
    first: int = 0  # where these begin among the step's tasks, which several processes share

    def split(self, tasks: int) -> list["Episodes"]:
        """The same in parts of at most `tasks` tasks."""
        parts = zip(*(getattr(self, name).split(tasks) for name in ("support", "support_labels", "query", "query_labels")), strict=True)
        return [Episodes(*part, self.way, self.step, self.first + at * tasks) for at, part in enumerate(parts)]


@dataclass(frozen=True)
class EpisodeRows:
    """The same as rows of Images, before any pixel is touched."""

    support: Int[np.ndarray, "task way shot"]
    query: Int[np.ndarray, "task query"]
    query_labels: Int[np.ndarray, "task query"]
    names: tuple[str, ...]  # of the tasks, as sites name them

    def gather(self, images: Images) -> Episodes:
        """Fetch the pixels, two calls for the whole batch."""
        device = images.stored.device
        tasks, way, shot = self.support.shape

        def take(rows: np.ndarray) -> Tensor:
            return images.gather(torch.from_numpy(rows.reshape(-1)).to(device)).unflatten(0, (tasks, -1))

        labels = torch.arange(way, device=device).repeat_interleave(shot).expand(tasks, -1)
        return Episodes(take(self.support), labels, take(self.query), torch.from_numpy(self.query_labels).to(device), way)


@dataclass(frozen=True)
class SitePool:
    """What episodes of one site are drawn from: class -> its patients, each an array of rows of Images."""

    site: str
    task: str
    patients: dict[str, list[np.ndarray]]


def site_pools(meta: MetaSplit, images: Images, split: str) -> list[SitePool]:
    """The pools of one split (train or validation), a site each, in a fixed order.

    A patient who has images of two classes, or at two sites of a task, stands for the first alone: no episode can have him on both
    sides. He may stand for something else in another task.
    """
    pools = []
    taken: dict[str, set[str]] = defaultdict(set)  # by task
    for name, site in meta.sites.items():
        table = site.records.assign(at=np.arange(len(site.records)) + images.first_row[name])
        table = table[(table["split"] == split) & ~table["group"].isin(taken[site.task])]
        taken[site.task].update(table["group"])
        table = table[table["label"] == table.groupby("group")["label"].transform("first")]
        patients = {label: _rows_by_group(table[table["label"] == label]) for label in sorted(site.classes)}
        pools.append(SitePool(name, site.task, patients))
    return pools


def _rows_by_group(table: pd.DataFrame) -> list[np.ndarray]:
    return [rows["at"].to_numpy() for _, rows in table.groupby("group", sort=True)]


def drop_small_classes(pools: list[SitePool], shot: int) -> tuple[list[SitePool], list[str]]:
    """Keep the classes with more than `shot` patients, and the sites left with two classes; say in words what was dropped."""
    kept, dropped = [], []
    for pool in pools:
        small = [label for label, patients in pool.patients.items() if len(patients) <= shot]
        dropped += [f"{pool.site}: class {label} has {len(pool.patients[label])} patients, {shot + 1} are needed" for label in small]
        patients = {label: rows for label, rows in pool.patients.items() if label not in small}
        if len(patients) >= 2:
            kept.append(SitePool(pool.site, pool.task, patients))
    return kept, dropped


def refuse_small_classes(pools: list[SitePool], shot: int) -> None:
    """Raise Refusal naming each class and site with too few patients for `shot` in support and one in query."""
    problems = [Problem(f"site {pool.site}, class {label}", f"{len(patients)} training patients", f"{shot + 1} for {shot} shots",
                        "lower shot under learners in params.yaml, or put the class under ignore at this site")
                for pool in pools for label, patients in pool.patients.items() if len(patients) <= shot]
    if problems:
        raise Refusal(*problems)


def draw_episodes(pools: list[SitePool], seed: tuple[int, ...], index: int, chosen: Episodic, *, tasks: int,
                  cross_site: float = 0.0) -> EpisodeRows:
    """Draw one batch of `tasks` episodes of the same way and shot.

    The first is of a site chosen evenly; way and shot are drawn evenly from their ranges, as far as that site goes (one with fewer classes
    than `min_way` shows all it has). The others are of sites with as many classes, chosen evenly. Classes and their order are random. Support and
    query share no patient; one image a patient, and a class with fewer query patients than wanted repeats them. Queries hold
    each class equally, or, if natural, as the site's patients do. With chance `cross_site`, an episode's query comes from
    another site of its task, on the classes that both have.
    """
    rng = np.random.default_rng([*seed, index])
    first = pools[rng.integers(len(pools))]
    most = min(chosen.way, len(first.patients))
    ways = int(rng.integers(min(chosen.min_way, most), most + 1))
    shot = chosen.shot if chosen.min_shot is None else int(rng.integers(chosen.min_shot, chosen.shot + 1))
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
        left = []
        for at, label in enumerate(rng.permutation(shared)[:ways]):
            order = rng.permutation(len(pool.patients[label]))
            support[task, at] = _one_image_each(rng, [pool.patients[label][i] for i in order[:shot]])
            left.append([pool.patients[label][i] for i in order[shot:]] if other is pool else
                        [other.patients[label][i] for i in rng.permutation(len(other.patients[label]))])
            if not chosen.natural_queries:
                query[task, at * chosen.query : (at + 1) * chosen.query] = _one_image_each(
                    rng, [left[at][i % len(left[at])] for i in range(chosen.query)])
        if chosen.natural_queries:
            everyone = [(at, rows) for at, patients in enumerate(left) for rows in patients]
            drawn = [everyone[i] for i in rng.permutation(len(everyone))]
            drawn = [drawn[i % len(drawn)] for i in range(query.shape[1])]
            labels[task], query[task] = [at for at, _ in drawn], _one_image_each(rng, [rows for _, rows in drawn])
    return EpisodeRows(support, query, labels, tuple(names))


def _partner(rng: np.random.Generator, pools: list[SitePool], pool: SitePool, ways: int) -> SitePool:
    """Another site of the same task that shares `ways` classes; the site itself where there is none."""
    fit = [other for other in pools if other.task == pool.task and other.site != pool.site
           and len(pool.patients.keys() & other.patients.keys()) >= ways]
    return fit[rng.integers(len(fit))] if fit else pool


def _one_image_each(rng: np.random.Generator, patients: list[np.ndarray]) -> list[int]:
    return [int(rows[rng.integers(len(rows))]) for rows in patients]
