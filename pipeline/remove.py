"""Take a site out of params.yaml. Its results stay on disk; no later stage reads a site that params.yaml does not name."""

import shutil

from pipeline.params_file import edited
from workspace.errors import Problem, Refusal
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import load_params


def remove_site(workspace: Workspace, site: str) -> None:
    """Remove a site, its link under incoming/, the records kept for its next conversion and, for a phantom, the making of it. Raises Refusal for an unknown name."""
    params = load_params(workspace)
    if site not in params.sites:
        raise Refusal(Problem("params.yaml sites", f"no site '{site}'", f"one of {', '.join(params.sites) or '(there is none)'}", "correct the name"))
    with edited(workspace) as content:
        del content["sites"][site]
        if site in params.phantom.hospitals:
            del content["phantom"]["hospitals"][site]
    link = workspace.incoming(site)
    if link.is_symlink():
        link.unlink()
    shutil.rmtree(workspace.decoded(site), ignore_errors=True)
    say(f"removed {site}; run: dvc repro")
    if params.sites[site] == "source":
        say("it was a source: the learners will be trained again without it")
