"""Work on many files in several processes, with results in the order of the files whatever the number of processes."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 100  # files; one file a task costs more than its work
AHEAD = 2  # chunks for each other process: the one in work and the next
MOST_WAITING = 8  # chunks a process: results do not pile up in memory behind a slow one
PRELOADED = ["data_prep.scan"]  # imported once, by the process that all others are forked from


def in_order(work: Callable[[list[T]], list[R]], items: Sequence[T], workers: int, chunk: int = CHUNK) -> Iterator[R]:
    """Yield the results of `work` on chunks of `items`, one result an item. `workers`: processes with this one; 0: one a core."""
    chunks = deque(list(items[start : start + chunk]) for start in range(0, len(items), chunk))
    processes = min(workers or os.cpu_count() or 1, len(chunks))
    if processes <= 1:
        for part in chunks:
            yield from work(part)
        return
    # Not fork: a forked process inherits locks of running threads, and hangs.
    context = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")
    context.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(processes - 1, mp_context=context) as pool:
        waiting: deque[Future[list[R]]] = deque()
        # Starting them blocks until all is imported, a second or more: this process works meanwhile.
        starting = Thread(target=pool.submit, args=(bool,))
        starting.start()
        try:
            while chunks or waiting:
                while chunks and not starting.is_alive() and sum(not part.done() for part in waiting) < AHEAD * (processes - 1):
                    waiting.append(pool.submit(work, chunks.popleft()))
                if chunks and not (waiting and waiting[0].done()) and len(waiting) < MOST_WAITING * processes:
                    waiting.append(_done_here(work, chunks.popleft()))
                else:
                    yield from waiting.popleft().result()
        finally:
            starting.join()
            pool.shutdown(wait=True, cancel_futures=True)


def _done_here(work: Callable[[list[T]], list[R]], part: list[T]) -> "Future[list[R]]":
    """The work of this process, in line with that of the others."""
    done: Future[list[R]] = Future()
    done.set_result(work(part))
    return done
