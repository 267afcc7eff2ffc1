"""Every image and volume under a path as NIfTI, so that what fewsite reads can be looked at in any
viewer.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from data_prep.as_nifti import FLAGS, name_of, write_nifti
from data_prep.decode import Planned
from data_prep.exports.dicomdir import is_dicomdir
from data_prep.exports.sources import Found
from data_prep.privacy.deidentify import Keys, new_secret, read_secret
from data_prep.rejects import Reject, left_out, one_a_file, write_rejects
from data_prep.unlabelled import files_under, path_keys, plan_all
from pipeline.account import losses
from workspace.errors import Problem, Refusal, refuse_if
from workspace.outputs import whole_folder
from workspace.paths import Workspace
from workspace.progress import track

# How a hash leads back to a file: in a workspace, and outside of one.
BACK = {
    True: "  the path that a file's name or a hash of rejects.csv stands for: "
    "fewsite locate PATH HASH",
    False: "  no hash leads back to a file: the secret is gone; run in a workspace, and "
    "fewsite locate PATH HASH shows the path",
}


def inspect_path(workspace: Workspace, path: Path, out: Path, straightened: bool = False) -> None:
    """Write `out`, whole or not at all, and print what became of every file.

    One record at a time is in memory. Raises Refusal.

    Hashes are made with the workspace's secret, so that `fewsite locate` resolves them; outside of
    a workspace with one that is forgotten. `straightened`: tilted stacks are brought onto a
    straight grid; else they are rejected, since nothing is resampled.
    """
    refuse_if(_problems(path, out))
    here = workspace.params_file.is_file()
    keys = path_keys(read_secret(workspace) if here else new_secret())
    files = files_under(path)
    if not files:
        raise Refusal(Problem("PATH", "no file", "images", "correct the path"))
    plans, rejects = plan_all(files, keys, straightened)
    with whole_folder(out.resolve()) as folder:
        # Patients' pixels, also where this is killed: `git add` leaves them out.
        (folder / ".gitignore").write_text("*\n")
        written, new = _write(plans, keys, folder)
        used = {file.name for plan, _ in written for file in _files(plan)}
        frames = left_out([*rejects, *new], used)
        rejects = one_a_file([*rejects, *new], used)
        write_rejects(rejects, keys, folder / "rejects.csv")
    images = sum(reject.image for reject in rejects)
    print(
        f"PATH: {len(files)} files = {len(used)} used + {images} rejected + "
        f"{len(rejects) - images} no images"
    )
    lines = [*losses(rejects, frames, keys, 0), *_shown([told for _, told in written])]
    print("\n".join([*lines, "  why a file was rejected: rejects.csv in DIR", BACK[here]]))


def _files(plan: Planned) -> list[Found]:
    return [file for image in plan.files for file in image.identity.files]


def _write(
    plans: list[Planned], keys: Keys, folder: Path
) -> tuple[list[tuple[Planned, dict[str, Any]]], list[Reject]]:
    """What each plan that was written says of itself, and the rejects of the others."""
    written: list[tuple[Planned, dict[str, Any]]] = []
    rejects: list[Reject] = []
    for plan in track(plans, "writing NIfTI", total=len(plans)):
        outcome = write_nifti(plan, name_of(plan, keys), folder)
        if isinstance(outcome, dict):
            written.append((plan, outcome))
        else:
            rejects += outcome
    return written, rejects


def _shown(written: list[dict[str, Any]]) -> list[str]:
    """How many were written, and how many of them raise each flag."""
    volumes = sum(told["shape"][2] > 1 for told in written)
    flags = Counter(flag for told in written for flag in told["flags"])
    return [
        f"  {volumes} volumes and {len(written) - volumes} images "
        "written to DIR, each with its JSON",
        *(["   number flag: what it means"] if flags else []),
        *(f"  {flags[flag]:7} {flag}: {means}" for flag, means in FLAGS.items() if flags[flag]),
    ]


def _problems(path: Path, out: Path) -> list[Problem]:
    problems = []
    if not path.exists():
        problems.append(
            Problem(
                "PATH",
                "nothing there",
                "a folder, an archive, a DICOMDIR, a list of paths or an image file",
                "correct the path",
            )
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        problems.append(
            Problem(
                "--out", "a place that is not empty", "a new or empty folder", "choose another name"
            )
        )
    folder = path.parent if is_dicomdir(path.name) else path
    if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
        problems.append(
            Problem(
                "--out",
                "a folder inside PATH",
                "one outside: an export is left as it is",
                "choose another place",
            )
        )
    return problems
