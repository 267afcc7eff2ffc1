"""Which file a hash stands for: shown to a person who may see the export, written nowhere."""

import re
from pathlib import Path

from data_prep.privacy.deidentify import read_secret
from data_prep.scan import locate
from data_prep.site_file import load_site
from data_prep.unlabelled import files_under, path_keys
from workspace.errors import Problem, Refusal
from workspace.paths import Workspace
from workspace.settings import SITE_NAME


def show_file(workspace: Workspace, where: str, file_hash: str) -> None:
    """Print the path. `where`: a site, or a path that was inspected.

    Raises Refusal where no file there has this hash.

    Of a volume, the hash is its first slice's.
    """
    if (
        not re.match(SITE_NAME, where) and not Path(where).exists()
    ):  # a path may hold a patient's name, so it is not repeated
        raise Refusal(
            Problem(
                "PATH",
                "nothing there",
                "a site's name, or the path that was given to fewsite inspect",
                "correct the path",
            )
        )
    if ("/" in where or not workspace.site_file(where).is_file()) and Path(where).exists():
        paths, at = _under(workspace, Path(where), file_hash), "PATH"
        cure = "give the path that was given to fewsite inspect, in the same workspace"
    else:
        paths, at = (
            locate(workspace, where, load_site(workspace, where), file_hash),
            f"incoming/{where}",
        )
        cure = f"copy it from data/studies/{where}/rejects.csv"
    if not paths:
        raise Refusal(
            Problem(
                at, "no file with this hash", "a value of the column `file` of rejects.csv", cure
            )
        )
    print(
        "\n".join(
            path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            for path in paths
        )
    )  # a name may be in no UTF-8


def _under(workspace: Workspace, path: Path, name: str) -> list[str]:
    """`name`: a hash, or the name of a file that inspect wrote, which begins with one."""
    if not workspace.params_file.is_file():
        raise Refusal(
            Problem(
                "fewsite locate",
                "no workspace here",
                "the one in which fewsite inspect ran: its secret makes the hashes",
                "change to its folder, or run fewsite inspect again in one",
            )
        )
    keys = path_keys(read_secret(workspace))
    digits = name[: len(name) - len(name.lstrip("0123456789abcdef"))]
    return [found.name for found in files_under(path) if keys.file(found.name) == digits]
