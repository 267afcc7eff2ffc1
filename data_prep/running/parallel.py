"""Work on many files in several processes, with results in the order of the files whatever the
number of processes.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol, TypeVar

from data_prep.running.dask_workers import workers_of
from data_prep.settings import LOCAL

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 100  # files; one file a task costs more than its work
AHEAD = 2  # chunks for each other process: the one in work and the next
MOST_WAITING = 8  # chunks a process: results do not pile up in memory behind a slow one
PRELOADED = ["data_prep.scan"]  # imported once, by the process that all others are forked from


class Others(Protocol):
    """Processes that work beside this one.

    `ready`: how many can be given work without waiting for them.
    """

    @property
    def ready(self) -> int: ...

    def submit(
        self, work: Callable[[list[T]], list[R]], part: list[T]
    ) -> Any: ...  # with done() and result()


def in_order(
    work: Callable[[list[T]], list[R]],
    items: Sequence[T],
    workers: int,
    chunk: int = CHUNK,
    scheduler: str = LOCAL,
) -> Iterator[R]:
    """Yield the results of `work` on chunks of `items`, one result an item.

    `workers`: processes with this one; 0: one a core.

    `scheduler`: the address of one whose workers do it all instead. Raises Refusal where they
    cannot.
    """
    parts = deque(list(items[start : start + chunk]) for start in range(0, len(items), chunk))
    processes = min(workers or os.cpu_count() or 1, len(parts))
    # This process works beside others of its own machine, which would leave its core idle. A
    # scheduler's workers may be many and far: to
    # keep them fed is work enough, and a chunk done here would delay what they wait for.
    helps = scheduler == LOCAL
    if helps and processes <= 1:
        for part in parts:
            yield from work(part)
        return
    with _processes(processes - 1) if helps else workers_of(scheduler) as others:
        waiting: deque[Any] = deque()
        while parts or waiting:
            while parts and sum(not part.done() for part in waiting) < AHEAD * others.ready:
                waiting.append(others.submit(work, parts.popleft()))
            if (
                helps
                and parts
                and not (waiting and waiting[0].done())
                and len(waiting) < MOST_WAITING * (others.ready + 1)
            ):
                waiting.append(_done_here(work, parts.popleft()))
            else:
                yield from waiting.popleft().result()


@dataclass(frozen=True)
class _Processes:
    """Those of this machine. `starting`: until it ends, giving them work would wait."""

    pool: ProcessPoolExecutor
    starting: Thread
    count: int

    @property
    def ready(self) -> int:
        return 0 if self.starting.is_alive() else self.count

    def submit(self, work: Callable[[list[T]], list[R]], part: list[T]) -> "Future[list[R]]":
        return self.pool.submit(work, part)


@contextmanager
def _processes(count: int) -> Iterator[Others]:
    """`count` processes of this machine."""
    # Not fork: a forked process inherits locks of running threads, and hangs.
    context = multiprocessing.get_context(
        "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    )
    context.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        # Starting them blocks until all is imported, a second or more: this process works
        # meanwhile.
        starting = Thread(target=pool.submit, args=(bool,))
        starting.start()
        try:
            yield _Processes(pool, starting, count)
        finally:
            starting.join()
            pool.shutdown(wait=True, cancel_futures=True)


def _done_here(work: Callable[[list[T]], list[R]], part: list[T]) -> "Future[list[R]]":
    """The work of this process, in line with that of the others."""
    done: Future[list[R]] = Future()
    done.set_result(work(part))
    return done
