"""What of a workspace never enters Git: patients' pixels and keys, links to exports, and whatever else DVC and fewsite keep."""

from workspace.outputs import write_whole
from workspace.paths import Workspace

# As .gitignore has it, from the workspace's own folder. Without a slash at the end a link in a folder's place is meant too: it holds a path.
# DVC writes its own three lines only where it starts inside a Git repository.
KEPT_OUT = ("/.dvc/cache", "/.dvc/tmp", "/.dvc/config.local", "/.fewsite", "/incoming", "/data", "/runs", "/results", "/reports")


def keep_out_of_git(workspace: Workspace) -> None:
    """Name all of it in .gitignore, whether or not there is a Git repository yet; what else stands there is left as it is."""
    file = workspace.root / ".gitignore"
    there = file.read_text(encoding="utf-8") if file.exists() else ""
    lacking = [line for line in KEPT_OUT if line not in there.splitlines()]
    if lacking:
        write_whole(file, there + ("\n" if there and not there.endswith("\n") else "") + "\n".join(lacking) + "\n")
