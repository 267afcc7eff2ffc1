"""What of a workspace never enters Git: patients' pixels and keys, exports and links to them, and
whatever else DVC and fewsite keep.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from workspace.errors import Problem
from workspace.outputs import write_whole
from workspace.paths import Workspace

# As .gitignore has it, from the workspace's own folder. Without a slash at the end a link in a
# folder's place is meant too: it holds a path.
# DVC writes its own three lines only where it starts inside a Git repository. In whatever folder
# DVC is run it leaves notes in a .fewsite there.
KEPT_OUT = (
    "/.dvc/cache",
    "/.dvc/tmp",
    "/.dvc/config.local",
    ".fewsite",
    "/incoming",
    "/data",
    "/runs",
    "/results",
    "/reports",
    "/dvc_plots",
    "/marks",
)
SPECIAL = re.compile(r"([\\*?\[ ])")  # gitignore(5)


def keep_out_of_git(workspace: Workspace, *roots: Path) -> None:
    """Name all of it in .gitignore, whether or not there is a Git repository yet; what else stands
    there is left as it is.

    `roots`: of exports, of which those are named that lie in the workspace.
    """
    file = workspace.root / ".gitignore"
    there = file.read_text(encoding="utf-8") if file.exists() else ""
    lacking = [
        line for line in (*KEPT_OUT, *_within(workspace, roots)) if line not in there.splitlines()
    ]
    if lacking:
        write_whole(
            file,
            there
            + ("\n" if there and not there.endswith("\n") else "")
            + "\n".join(lacking)
            + "\n",
        )


def taken_by_git(workspace: Workspace, file: Path, root: Path) -> list[Problem]:
    """What is wrong where `git add` takes an export and the workspace's .gitignore cannot name it.

    `file`: the site's.
    """
    folder = workspace.root.resolve()
    if folder.is_relative_to(root):
        return [
            Problem(
                f"{file} root",
                "a folder in which the workspace lies",
                "an export apart from it",
                "move one of the two",
            )
        ]
    if root.is_relative_to(folder):
        return []
    try:
        asked = subprocess.run(
            ["git", "-C", folder, "check-ignore", "--quiet", root], capture_output=True
        )
    except FileNotFoundError:
        return []
    if asked.returncode != 1:  # 0: it is ignored; 128: it lies in no repository, or in another one
        return []
    return [
        Problem(
            f"{file} root",
            "a place that git add takes",
            "an export outside of the workspace's repository",
            "move it out, or name it in a .gitignore",
        )
    ]


def _within(workspace: Workspace, roots: Iterable[Path]) -> list[str]:
    folder = workspace.root.resolve()
    places = [
        root.resolve().relative_to(folder).as_posix()
        for root in roots
        if root.resolve().is_relative_to(folder)
    ]
    return [
        "/" + SPECIAL.sub(r"\\\1", place)
        for place in places
        if not f"/{place}/".startswith(tuple(f"{line}/" for line in KEPT_OUT))
    ]
