"""Check a hospital's export from its headers and a decoded sample, say what it holds, and register
it in params.yaml.
"""

from pathlib import Path

from data_prep.exports.siblings import role_problems
from data_prep.exports.unhashable import hashing_problems
from data_prep.privacy.deidentify import read_secret
from data_prep.scan import scan
from data_prep.site_file import Site, load_site_file, locate_root, resolve_root
from eval.settings import Params, load_params
from pipeline.account import largest_k, shown, take_account
from pipeline.out_of_git import keep_out_of_git, taken_by_git
from pipeline.sites.link import link_site
from pipeline.sites.params_file import edited
from workspace.errors import Problem, refuse_if, together
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Role

SAMPLE = 20  # records decoded to see that the codecs of this export are there


def add_site(workspace: Workspace, file: Path, role: Role, check: bool) -> None:
    """Validate and register a site; with `check`, write nothing at all.

    Raises Refusal with all problems that can be told at once.
    """
    params, site, root = _read(workspace, file, role)
    name = file.stem
    secret = read_secret(workspace, keep=not check)
    found = scan(workspace, name, site, params, root=root, secret=secret)
    account = take_account(found, SAMPLE)
    print(shown(account))
    together(
        account.refuse,
        lambda: refuse_if(
            hashing_problems(name, root, found.keys if workspace.secret_file.exists() else None)
        ),
    )
    print(largest_k(account, role, params))
    if check:
        print(
            f"{name} can be added: fewsite add "
            f"{file}{' --source' if role == 'source' else ''}; every file, decoded: fewsite "
            f"check {name}"
        )
        return
    keep_out_of_git(workspace, root)
    linked = link_site(workspace, name, locate_root(str(file), site))
    if name in params.sites:
        print(
            f"{name} is registered as {role} already; "
            f"{'its link was renewed' if linked else 'nothing changed'}"
        )
        return
    with edited(workspace) as content:
        content["sites"][name] = role
    print(f"registered {name} as {role} in params.yaml; run: dvc repro")
    if role == "source":
        say("a source changes what every learner is trained on: dvc repro will train again")


def _read(workspace: Workspace, file: Path, role: Role) -> tuple[Params, Site, Path]:
    """Settings, the site's YAML and its root."""
    params, (site, root) = together(lambda: load_params(workspace), lambda: _site_and_root(file))
    problems = []
    if file.resolve() != workspace.site_file(file.stem).resolve():
        problems.append(
            Problem(
                str(file),
                "a file outside this workspace's sites/",
                f"sites/{file.name}",
                f"move it to sites/{file.name}",
            )
        )
    registered = params.sites.get(file.stem)
    if registered not in (None, role):
        problems.append(
            Problem(
                f"params.yaml sites.{file.stem}",
                f"'{registered}'",
                f"no such site, or '{role}'",
                f"fewsite remove {file.stem}, then add it again",
            )
        )
    if file.stem in params.phantom.hospitals and root != workspace.incoming(file.stem).resolve():
        problems.append(
            Problem(
                f"params.yaml phantom.hospitals.{file.stem}",
                "a phantom of this name",
                "a name of its own for the hospital",
                f"rename {file.name}, or fewsite remove {file.stem}",
            )
        )
    refuse_if(
        [
            *problems,
            *taken_by_git(workspace, file, root),
            *role_problems(workspace, file.stem, site, params, role),
        ]
    )
    return params, site, root


def _site_and_root(file: Path) -> tuple[Site, Path]:
    site = load_site_file(file)
    return site, resolve_root(str(file), site)
