"""Links under incoming/: DVC watches a hospital's export through them, and never copies it."""

import io
import os
import shutil
from pathlib import Path

from ruamel.yaml import YAML

from data_prep.exports.incoming import (
    FOLDERS,
    ROOT,
    WATCHED,
    Links,
    is_folder_of_links,
    links_there,
    wanted_links,
)
from data_prep.site_file import load_site, locate_root
from eval.settings import load_params
from pipeline.out_of_git import keep_out_of_git
from workspace.errors import Problem, Refusal, refuse_if
from workspace.outputs import whole_folder, write_whole
from workspace.paths import Workspace
from workspace.progress import say

HEAD = (
    "# Written by `fewsite link`: what DVC has to watch of exports with folders behind "
    "links. data_prep/exports/incoming.py says why.\n"
)


def link_site(workspace: Workspace, site: str, root: Path) -> bool:
    """Lay the links of a site, replacing older ones; a real folder there is left alone.

    False if all was right already. Raises Refusal.
    """
    place = workspace.incoming(site)
    wanted = wanted_links(root)
    if not place.is_symlink() and place.resolve() == root.resolve():  # the export itself lies there
        refuse_if(
            []
            if "" in wanted
            else [
                Problem(
                    str(place),
                    "an export with folders behind links",
                    "one outside of incoming/, with links in its place",
                    "move it away and correct root",
                )
            ]
        )
        return False
    if place.exists() and not place.is_symlink() and not is_folder_of_links(place):
        raise Refusal(
            Problem(
                str(place),
                "a folder that is no link",
                "a free place for the link",
                "move the folder away",
            )
        )
    _write_stage(workspace, site, wanted)
    if links_there(workspace, site) == wanted:
        return False
    if not place.is_symlink() or "" not in wanted:
        unlink_site(workspace, site)
    if "" in wanted:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_name(f".{site}.partial")
        aside.unlink(missing_ok=True)
        aside.symlink_to(root)
        os.replace(aside, place)
        return True
    with whole_folder(place) as folder:
        for name, target in wanted.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(target)
    return True


def unlink_site(workspace: Workspace, site: str) -> None:
    """Take the links of a site away, and nothing that they lead to."""
    place = workspace.incoming(site)
    if place.is_symlink():
        place.unlink()
    elif place.is_dir() and is_folder_of_links(place):
        shutil.rmtree(place)


def link_sites(workspace: Workspace) -> None:
    """Link every site of params.yaml but the phantoms, which are made in place.

    Raises Refusal with all that is missing.
    """
    params = load_params(workspace)
    roots: dict[str, Path] = {}
    problems: list[Problem] = []
    for site in params.sites:
        if site in params.phantom.hospitals:
            continue
        try:
            roots[site] = locate_root(f"sites/{site}.yaml", load_site(workspace, site))
        except Refusal as refusal:
            problems += refusal.problems
    refuse_if(problems)
    keep_out_of_git(workspace, *roots.values())
    for site, root in roots.items():
        link_site(workspace, site, root)
    say(f"linked {len(roots)} sites under incoming/")


def forget_stage(workspace: Workspace, site: str) -> None:
    """Take a site out of sites/dvc.yaml."""
    _write_stage(workspace, site, {})


def _write_stage(workspace: Workspace, site: str, links: Links) -> None:
    """Give a site its stage in sites/dvc.yaml if DVC has to watch folders one by one, else none."""
    file = workspace.site_file("dvc")  # which is no site's name: DVC takes the file for its own
    yaml = YAML()
    stages = yaml.load(file.read_text(encoding="utf-8"))["stages"] if file.exists() else {}
    before = dict(stages)
    folders = [name for name in links if name == ROOT or name.startswith(f"{FOLDERS}/")]
    stages.pop(site, None)
    if len(folders) > 1:
        place = workspace.incoming(site).relative_to(workspace.root).as_posix()
        watched = [name for name in folders if name != ROOT or links[ROOT].is_dir()]
        stages[site] = {
            "cmd": f"python -m data_prep.watch {site}",
            "wdir": "..",
            "deps": [f"{place}/{name}" for name in watched],
            "outs": [f"{place}/{WATCHED}"],
        }
    if not stages:
        file.unlink(missing_ok=True)
        file.with_suffix(".lock").unlink(missing_ok=True)
    elif stages != before:
        stream = io.StringIO()
        yaml.dump({"stages": {name: stages[name] for name in sorted(stages)}}, stream)
        write_whole(file, HEAD + stream.getvalue())
