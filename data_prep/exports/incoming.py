"""How an export lies under incoming/, so that DVC sees all that is read of it.

DVC follows the link incoming/SITE itself and those to files, and enters no linked folder
(treeverse/dvc#774). So where an export has folders behind links, or is a list, incoming/SITE is a
folder of links: `root`, one for each such folder in `folders`, and one for each file of the list in
`files`, which DVC hashes. It does not hash `folders`: stage SITE of sites/dvc.yaml depends on each
of them and writes `watched` here whenever one has changed (data_prep/watch.py).
"""

import os
from pathlib import Path

from data_prep.exports.walk import beyond
from data_prep.site_file import Site, locate_root
from workspace.errors import Problem
from workspace.paths import Workspace

ROOT, FOLDERS, FILES, WATCHED = "root", "folders", "files", "watched"
Links = dict[str, Path]  # name under incoming/SITE, or "" where that is the link -> where it leads


def incoming_link(workspace: Workspace, site: str) -> Path:
    """The link that leads to the site's export; a folder where the export itself lies there, as a
    phantom does.
    """
    folder = workspace.incoming(site)
    return folder / ROOT if is_folder_of_links(folder) else folder


def is_folder_of_links(folder: Path) -> bool:
    """Whether `wanted_links` were laid there, so that it may be laid anew."""
    return (
        not folder.is_symlink()
        and (folder / ROOT).is_symlink()
        and {path.name for path in folder.iterdir()} <= {ROOT, FOLDERS, FILES, WATCHED}
    )


def wanted_links(root: Path) -> Links:
    """The links that DVC needs to see all of an export. Raises Refusal."""
    places = beyond(root)
    if not places:
        return {"": root}
    folders, files = (
        [path for path in places if path.is_dir()],
        [path for path in places if not path.is_dir()],
    )
    return {
        ROOT: root,
        **{f"{FOLDERS}/{at:06}": path for at, path in enumerate(folders)},
        **{f"{FILES}/{at:06}": path for at, path in enumerate(files)},
    }


def links_there(workspace: Workspace, site: str) -> Links:
    """The links of a site as they are; none where its export itself lies there."""
    folder = workspace.incoming(site)
    if folder.is_symlink():
        return {"": Path(os.readlink(folder))}
    if not is_folder_of_links(folder):
        return {}
    found = [
        folder / ROOT,
        *(
            path
            for part in (FOLDERS, FILES)
            if (folder / part).is_dir()
            for path in sorted((folder / part).iterdir())
        ),
    ]
    return {path.relative_to(folder).as_posix(): Path(os.readlink(path)) for path in found}


def unwatched(workspace: Workspace, name: str, site: Site) -> list[Problem]:
    """What is wrong where convert would read what DVC does not see. Raises Refusal."""
    wanted, there = (
        wanted_links(locate_root(f"sites/{name}.yaml", site)),
        links_there(workspace, name),
    )
    if _beside_the_root(wanted) == _beside_the_root(
        there
    ):  # where the link to the root leads, scan asks
        return []
    return [
        Problem(
            f"incoming/{name}",
            "other folders behind links, or another list, than it was linked for",
            "a link for each, since DVC sees nothing else of them",
            "fewsite link, then dvc repro",
        )
    ]


def _beside_the_root(links: Links) -> Links:
    return {name: path for name, path in links.items() if name not in ("", ROOT)}
