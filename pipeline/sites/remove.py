"""Take a site out of params.yaml, and its page and results away; no later stage reads a site that
params.yaml does not name.
"""

import shutil
from typing import get_args

from eval.settings import load_params
from pipeline.sites.link import forget_stage, unlink_site
from pipeline.sites.params_file import edited
from workspace.errors import Problem, Refusal
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Role


def remove_site(workspace: Workspace, site: str) -> None:
    """Remove a site, its link under incoming/, its page with its pictures, its results and the
    records kept for its next conversion.

    Of a phantom also the making of it. What stays is said. Raises Refusal for an unknown name.
    """
    params = load_params(workspace)
    if site not in params.sites:
        raise Refusal(
            Problem(
                "params.yaml sites",
                f"no site '{site}'",
                f"one of {', '.join(params.sites) or '(there is none)'}",
                "correct the name",
            )
        )
    with edited(workspace) as content:
        del content["sites"][site]
        if site in params.phantom.hospitals:
            del content["phantom"]["hospitals"][site]
    unlink_site(workspace, site)
    forget_stage(workspace, site)
    for folder in (
        workspace.report(site),
        *(workspace.results(role, site) for role in get_args(Role)),
        workspace.decoded(site),
    ):
        shutil.rmtree(folder, ignore_errors=True)
    workspace.pdf(site).unlink(missing_ok=True)
    say(f"removed {site}, its page and its results; run: dvc repro")
    _say_what_stays(workspace, site)
    if params.sites[site] == "source":
        say("it was a source: the learners will be trained again without it")


def _say_what_stays(workspace: Workspace, site: str) -> None:
    stays = [
        workspace.incoming(site),
        workspace.studies(site),
        *(workspace.tasks(role, site) for role in get_args(Role)),
        workspace.review(site),
    ]
    there = " ".join(path.relative_to(workspace.root).as_posix() for path in stays if path.exists())
    if there:
        say(f"what stays, pixels with it: {there}; to delete it: rm -r {there}")
    say(
        "DVC's cache keeps all that was made of it, its page too; to delete that, and "
        "what only earlier commits name: dvc repro, then dvc gc --workspace"
    )
