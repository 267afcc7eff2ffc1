"""Run by test_finished.py as a process of its own, to be killed: converts `site` of a workspace, slowly, and notes each decoded record."""

import sys
import time
from pathlib import Path

from data_prep import convert, decode
from data_prep.decode import Decoded, Planned
from data_prep.running import finished
from data_prep.settings import Convert
from workspace.paths import Workspace

SECONDS = 0.1  # beside each record's decoding, so that there is a moment to be killed in
whole = decode.decode


def noted(plan: Planned, settings: Convert) -> Decoded:
    time.sleep(SECONDS)
    with Path("decoded").open("a") as file:
        file.write(f"{plan.key}\n")
    return whole(plan, settings)


if __name__ == "__main__":
    decode.decode, finished.SETTLED = noted, 0.0
    convert.convert(Workspace(Path(sys.argv[1])), "site")
