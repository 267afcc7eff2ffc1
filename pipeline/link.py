"""Links under incoming/: DVC watches a hospital's export through one, and never copies it."""

import os
from pathlib import Path

from pipeline.out_of_git import keep_out_of_git
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import load_params, load_site, resolve_root


def link_site(workspace: Workspace, site: str, root: Path) -> bool:
    """Point incoming/SITE at `root`, replacing an older link; a real folder there is left alone. False if it was right already."""
    link = workspace.incoming(site)
    if link.resolve() == root:
        return False
    if link.exists() and not link.is_symlink():
        raise Refusal(Problem(str(link), "a folder that is no link", "a free place for the link", "move the folder away"))
    link.parent.mkdir(parents=True, exist_ok=True)
    aside = link.with_name(f".{site}.partial")
    aside.unlink(missing_ok=True)
    aside.symlink_to(root)
    os.replace(aside, link)
    return True


def link_sites(workspace: Workspace) -> None:
    """Link every site of params.yaml but the phantoms, which are made in place. Raises Refusal with all that is missing."""
    params = load_params(workspace)
    roots, problems = {}, []
    for site in params.sites:
        if site in params.phantom.hospitals:
            continue
        try:
            roots[site] = resolve_root(f"sites/{site}.yaml", load_site(workspace, site))
        except Refusal as refusal:
            problems += refusal.problems
    refuse_if(problems)
    keep_out_of_git(workspace)
    for site, root in roots.items():
        link_site(workspace, site, root)
    say(f"linked {len(roots)} sites under incoming/")
