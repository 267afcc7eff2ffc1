"""Reads what it is told to, one export a line, in a process whose memory is limited: a crash or a hang here ends nobody else.

Answers with one JSON object a line: what came of each image, how far memory grew, and what was printed.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

from data_prep.decode import Planned, read
from data_prep.privacy.deidentify import new_secret
from data_prep.readers.image_file import Pixels
from data_prep.scan import scan
from data_prep.settings import Params
from data_prep.site_file import Site
from data_prep.volumes.orientation import common_shape
from data_prep.volumes.standardise import standardise
from workspace.errors import Refusal
from workspace.paths import Workspace

SECONDS = 10  # for one export, after which the process is killed, in C code too
ADDRESSES = (
    2**29
)  # bytes above those in use at the start: what promises gigabytes is noticed even if it is never touched
SIZES = [16, 16], [8, 8, 8]  # every export is read as images and as volumes


def settings(by_array: bool, size: list[int]) -> tuple[Site, Params]:
    labels = (
        {"match": "npz"} if by_array else {"file": "labels.csv", "match": "file", "class": "view"}
    )
    site = Site(
        root="x",
        task="t",
        labels=labels,
        classes={"A": ["A", "0"], "B": ["B", "1"]},
        max_rejected=1.0,
    )
    return site, Params(
        sites={"site": "source"},
        convert={"size": size, "workers": 1},
        train={"learners": ["prototypical"]},
        adapt={"methods": ["prototypical"]},
        report={"method": "prototypical"},
    )


def outcomes(root: Path, by_array: bool) -> list[str]:
    """The shape of every image that is read, as images and as volumes, and the reason of every file that is not."""
    made = []
    for size in SIZES:
        site, params = settings(by_array, size)
        try:
            found = scan(Workspace(root), "site", site, params, root=root, secret=new_secret())
        except Refusal as refusal:
            made.append(f"refused: {refusal}")
            continue
        rejects = list(found.rejects)
        for plan in found.plans:
            pixels = read(plan, windowed=False)
            if isinstance(pixels, Pixels):
                check(plan, pixels)
                made.append(
                    f"shape: {standardise(pixels, found.convert, str(plan.row['modality'])).shape}"
                )
            else:
                rejects += pixels
        made += [f"{reject.reason}: {reject.found}" for reject in rejects]
    return made


def check(plan: Planned, pixels: Pixels) -> None:
    """Raise AssertionError unless the pixels are what the header promises."""
    shape = plan.files[0].header.shape
    if plan.affine is not None:
        shape = common_shape((*shape[::-1], len(plan.files)), plan.affine)
    if pixels.values.shape != (*shape, *([3] if pixels.photograph else [])):
        raise AssertionError("pixels of another shape than the header's")
    if not np.isfinite(pixels.values).all():
        raise AssertionError("pixels that are not finite")


def status(field: str) -> int:
    """Of this process, in bytes (proc(5): VmRSS is resident memory, VmHWM its peak, VmSize the addresses in use)."""
    line = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(field)
    )
    return int(line.split()[1]) * 1024


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
        for line in sys.stdin:
            task = json.loads(line)
            if task["limited"]:
                resource.setrlimit(
                    resource.RLIMIT_AS, (status("VmSize") + ADDRESSES, resource.RLIM_INFINITY)
                )
            before = status("VmRSS")
            Path("/proc/self/clear_refs").write_text(
                "5"
            )  # proc(5): sets VmHWM to what is resident now
            signal.alarm(SECONDS)
            try:
                answer = {"outcomes": outcomes(Path(task["root"]), task["by_array"])}
            except BaseException:
                answer = {"escaped": traceback.format_exc(limit=-4)}
            signal.alarm(0)
            answer["grew"] = status("VmHWM") - before
            printed.seek(0)
            answer["printed"] = printed.read().decode(errors="replace")
            printed.truncate(0)
            printed.seek(0)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
