"""The workers of a Dask scheduler, as a place to work on files.

They see the same paths and need no secret: keys are made here.

Dask logs the arguments of a task that fails and the text of its exception, which may quote a
patient's values. So both travel inside of objects that say nothing of themselves, and an exception
comes back as a result.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from data_prep.running.code_mark import conversion_mark
from workspace.errors import Problem, Refusal

WHERE = "params.yaml convert.scheduler"
ANSWER = 10  # seconds for the scheduler's answer, and for its first worker
ONE_AT_A_TIME = (
    Lock()
)  # warnings and loggers, by which readers tell damage, belong to a process and not to a thread


class OnDisk(Protocol):
    """What the workers work on, and the files that it lies in."""

    @property
    def paths(self) -> Iterable[Path | str]: ...


@dataclass(frozen=True, repr=False)
class Task:
    work: Callable[[list[Any]], list[Any]]
    part: list[Any]
    mark: str


@dataclass(frozen=True, repr=False)
class Answer:
    """`unseen`: paths that cannot be read there; `alike`: whether the code there is the one that
    asked.
    """

    results: Sequence[Any] = ()
    error: Exception | None = None
    unseen: Sequence[Path | str] = ()
    alike: bool = True


@dataclass(frozen=True)
class Pending:
    """A task on its way, or done. `future`: Dask's."""

    future: Any

    def done(self) -> bool:
        return self.future.done()

    def result(self) -> list[Any]:
        """Raises Refusal where the workers cannot do what this machine would."""
        try:
            answer = self.future.result()
        except Exception as error:
            # a lost worker or connection, or what could not be unpickled: its text may quote
            # anything
            raise Refusal(
                Problem(
                    WHERE,
                    f"a task that was lost ({type(error).__name__})",
                    "a scheduler and workers that stay",
                    "read their logs, give a worker more memory or fewer neighbours, and run again",
                )
            ) from None
        if not answer.alike:
            raise Refusal(
                Problem(
                    WHERE,
                    "a worker with other code or libraries",
                    "the same as here, for the same bytes",
                    "install the same fewsite from requirements.lock on "
                    "every worker, and start them again",
                )
            )
        if unseen := [path for path in answer.unseen if os.access(path, os.R_OK)]:
            raise Refusal(
                Problem(
                    WHERE,
                    f"a worker that cannot read {len(unseen)} files of the export",
                    "every file under the same path on every worker",
                    "mount the export there, and TMPDIR too where "
                    "archives are compressed or nested",
                )
            )
        if answer.error:
            raise answer.error
        return answer.results


@dataclass(frozen=True)
class Workers:
    """All that the scheduler has, also those that come later. `client`: Dask's."""

    client: Any

    @property
    def ready(self) -> int:
        return max(
            1, sum(self.client.nthreads().values())
        )  # with none left, a task waits for the next to come

    def submit(self, work: Callable[[list[Any]], list[Any]], part: list[Any]) -> Pending:
        return Pending(self.client.submit(do, Task(work, part, conversion_mark()), pure=False))


@contextmanager
def workers_of(address: str) -> Iterator[Workers]:
    """The workers of the scheduler at `address`, which goes on without us.

    Raises Refusal where nobody answers.
    """
    if find_spec("distributed") is None:
        raise Refusal(
            Problem(
                WHERE,
                f"{address}, without the package that speaks to it",
                "distributed",
                "pip install 'fewsite[dask]', or set processes",
            )
        )
    from distributed import Client

    try:
        client = Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Refusal(
            Problem(
                WHERE,
                f"no answer from {address} in {ANSWER} s ({type(error).__name__})",
                "a running Dask scheduler",
                "start it with dask scheduler, or set processes",
            )
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER)
        except OSError:
            raise Refusal(
                Problem(
                    WHERE,
                    f"no worker at {address} in {ANSWER} s",
                    "one at least",
                    f"start it with dask worker {address} --nthreads 1",
                )
            ) from None
        yield Workers(client)


def do(task: Task) -> Answer:
    """Runs at a worker."""
    if task.mark != conversion_mark():
        return Answer(alike=False)
    unseen = [
        path
        for path in {path for item in task.part for path in item.paths}
        if not os.access(path, os.R_OK)
    ]
    with ONE_AT_A_TIME:
        try:
            return Answer(task.work(task.part), unseen=unseen)
        except Exception as error:
            return Answer(error=error)
