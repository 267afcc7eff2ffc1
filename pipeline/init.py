"""Make a workspace: params.yaml, sites/, and a link to fewsite's one dvc.yaml."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.out_of_git import keep_out_of_git
from pipeline.sites.params_file import edited
from workspace.errors import Problem, Refusal
from workspace.outputs import private_folder, write_whole
from workspace.paths import Workspace
from workspace.progress import say

CODE = Path(__file__).resolve().parent.parent


def init_workspace(workspace: Workspace) -> None:
    """Fill a new or empty folder, or one where only `git init` was run.

    Raises Refusal where anything else lies in it.
    """
    root = workspace.root
    if root.exists() and (not root.is_dir() or any(path.name != ".git" for path in root.iterdir())):
        raise Refusal(
            Problem(
                str(root),
                "a place that is not empty",
                "a new or empty folder, or one with nothing but .git",
                "choose another name",
            )
        )
    (root / "sites").mkdir(parents=True)
    shutil.copytree(
        CODE / "reviews", workspace.reviews, ignore=shutil.ignore_patterns("*.yaml")
    )  # stage `report` depends on it
    code = os.path.relpath(CODE, root.resolve())
    write_whole(workspace.params_file, (CODE / "params.yaml").read_text(encoding="utf-8"))
    with edited(workspace) as content:
        content["sites"].clear()
        content["phantom"]["hospitals"].clear()
    workspace.dvc_file.symlink_to(Path(code) / "dvc.yaml")
    keep_out_of_git(workspace)
    write_whole(root / ".dvcignore", (CODE / ".dvcignore").read_text(encoding="utf-8"))
    private_folder(workspace)
    _start_dvc(root)
    say(f"made the workspace {root}")
    say(
        f"next: cd {root}; write sites/NAME.yaml (docs/add-a-hospital.md); "
        "fewsite add sites/NAME.yaml --source"
    )


def _start_dvc(root: Path) -> None:
    """Start DVC as a part of the Git repository that the folder lies in, else without Git.

    Its statistics are off from the first command: they would be sent by a process that outlives it.
    """
    in_git = (
        subprocess.run(
            ["git", "-C", root, "rev-parse", "--is-inside-work-tree"], capture_output=True
        ).returncode
        == 0
    )
    subprocess.run(
        [sys.executable, "-m", "dvc", "init", "--quiet", "--subdir" if in_git else "--no-scm"],
        cwd=root,
        check=True,
        capture_output=True,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
    )
    config = configparser.ConfigParser()
    config.read(root / ".dvc" / "config")
    # DVC notes the name of every file it has seen; names in an export may hold patients, so they
    # stay in this workspace
    config.read_dict(
        {"core": {"analytics": "false", "check_update": "false", "site_cache_dir": ".fewsite/dvc"}}
    )
    with (root / ".dvc" / "config").open("w") as file:
        config.write(file)
