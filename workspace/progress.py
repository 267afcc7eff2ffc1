"""Progress of anything that takes longer than two seconds: a bar on a terminal, plain lines without
one.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")

PLAIN_LINE_EVERY = 10.0  # seconds


def torchrun(name: str, alone: int) -> int:
    """What torchrun says of this process (RANK, WORLD_SIZE, ...), or `alone` where it did not start
    it.
    """
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else alone


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, showing how many of `total` are done.

    `what` names the work and never holds a patient's value.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if torchrun("RANK", 0):
        yield from items
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(
            items, description=what, total=total, console=Console(stderr=True), transient=True
        )
        return
    last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last >= PLAIN_LINE_EVERY:
            last = time.monotonic()
            print(
                f"{what}: {done} of {total}" if total else f"{what}: {done}",
                file=sys.stderr,
                flush=True,
            )


def say(line: str) -> None:
    """Print one plain line about a stage's outcome; of several processes the first does."""
    if torchrun("RANK", 0) == 0:
        print(line, file=sys.stderr, flush=True)
