"""Refusals: every problem at once, one line each, exit 2, no traceback and no patient's value."""

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workspace.progress import torchrun
from workspace.recorded import begin, moved

REFUSED = 2
BROKEN = 1


@dataclass(frozen=True)
class Problem:
    """One thing that a person must mend, printed as `where: found X; need Y; do Z`."""

    where: str
    found: str
    need: str
    do: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}; need {self.need}; do {self.do}"


class Refusal(Exception):
    """Input that fewsite does not accept.

    Holds every problem that was found, not only the first.
    """

    def __init__(self, *problems: Problem):
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def refuse_if(problems: Iterable[Problem]) -> None:
    """Raise one Refusal that holds all `problems`, if there are any."""
    problems = tuple(problems)
    if problems:
        raise Refusal(*problems)


def together(*reads: Callable[[], Any]) -> list[Any]:
    """Call each and return their results, or raise one Refusal with all problems, each once."""
    results: list[Any] = []
    problems: list[Problem] = []
    for read in reads:
        try:
            results.append(read())
        except Refusal as refusal:
            problems.extend(refusal.problems)
    refuse_if(dict.fromkeys(problems))
    return results


def run_stage(name: str, main: Callable[[], None], broken: int = BROKEN) -> None:
    """Run a stage's `main` and exit as fewsite promises: 0 done, 2 refused, `broken` for an error
    that nobody foresaw.

    A message of an unexpected exception may quote a patient's value (a DICOM element, a file name),
    so only its type and place are printed. FEWSITE_TRACEBACK=1 shows the whole of it to someone who
    may see the data.
    """
    try:
        main()
    except Refusal as refusal:
        for problem in (
            refusal.problems if torchrun("LOCAL_RANK", 0) == 0 else ()
        ):  # else each process of a machine would say it
            print(problem, file=sys.stderr)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("FEWSITE_TRACEBACK") == "1":
            raise
        print(_unexpected(name, error), file=sys.stderr)
        sys.exit(REFUSED if isinstance(error, OSError) else broken)


def run_module(module: str, main: Callable[..., None], *names: str) -> None:
    """Run a stage's `main` with the values of the command line, one for each of `names`."""
    given = sys.argv[1:]
    wrong = Problem(
        module,
        f"{len(given)} arguments",
        " ".join(names) or "none",
        " ".join(["python -m", module, *names]),
    )

    def call() -> None:
        refuse_if([wrong] if len(given) != len(names) else [])
        begin(module, given)
        main(*given)

    run_stage(module.split(".")[1], call)


def refuse_moved_inputs() -> None:
    """Raise Refusal where what DVC will record of the stage that runs is not what it began with."""
    settings, files = moved()
    stay = "that stay until its outputs are there, since DVC records those of its end"
    refuse_if(
        [
            *(
                Problem(
                    name, "another value than when the stage began", f"settings {stay}", "dvc repro"
                )
                for name in settings
            ),
            *(
                Problem(
                    name,
                    "files that came, went or changed while the stage ran",
                    f"inputs {stay}",
                    "wait until they are complete, then dvc repro",
                )
                for name in files
            ),
        ]
    )


def _unexpected(name: str, error: Exception) -> Problem:
    if isinstance(error, OSError):
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        return Problem(
            name,
            f"the system's answer '{reason}'",
            "readable inputs and room to write",
            "mend permissions or disk space and run again; nothing half-written was left",
        )
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return Problem(
        name,
        f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}",
        "no such error",
        "run again with FEWSITE_TRACEBACK=1 (may print patients' values) and report it",
    )
