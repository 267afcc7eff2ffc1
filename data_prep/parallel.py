"""Work on many files in several processes, with results in the order of the files whatever the number of processes."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 100  # files; one file a task costs more than its work
AHEAD = 3  # chunks in flight for each process, so that results do not pile up in memory


def in_order(work: Callable[[list[T]], list[R]], items: Sequence[T], workers: int, chunk: int = CHUNK) -> Iterator[R]:
    """Yield the results of `work` on chunks of `items`, one result an item. `workers` 0: one process a core; 1: none but this."""
    chunks = [list(items[start : start + chunk]) for start in range(0, len(items), chunk)]
    processes = min(workers or os.cpu_count() or 1, len(chunks))
    if processes <= 1:
        for part in chunks:
            yield from work(part)
        return
    # Not fork: a forked process inherits locks of running threads, and hangs.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context(method)) as pool:
        waiting: deque[Future[list[R]]] = deque()
        try:
            for part in chunks:
                waiting.append(pool.submit(work, part))
                if len(waiting) > AHEAD * processes:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
