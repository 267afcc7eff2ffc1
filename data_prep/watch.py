"""The stage of a site whose export has folders behind links or is a list: what is there of it now.

Run by sites/dvc.yaml.

python -m data_prep.watch SITE

DVC runs it when one of them has changed; `convert` depends on what it writes.
"""

from data_prep.exports.incoming import FILES, FOLDERS, ROOT, WATCHED
from workspace.errors import run_module
from workspace.outputs import write_whole
from workspace.paths import Workspace
from workspace.recorded import listing


def main(site: str) -> None:
    folder = Workspace().incoming(site)
    write_whole(
        folder / WATCHED,
        "".join(f"{listing(folder / part)} {part}\n" for part in (ROOT, FOLDERS, FILES)),
    )


if __name__ == "__main__":
    run_module("data_prep.watch", main, "SITE")
