"""Whether a hospital's acceptance criteria are met, as an exit status."""

import sys

from eval.current import is_current
from eval.results import read_results
from eval.settings import load_params
from eval.verdict.criteria import in_words
from eval.verdict.judge import judge
from workspace.errors import Problem, Refusal
from workspace.paths import Workspace

EXIT = {"met": 0, "not met": 1, "cannot tell": 2}


def gate_site(workspace: Workspace, site: str) -> None:
    """Print each criterion and exit with 0 met, 1 not met, 2 cannot tell.

    Raises Refusal (2 as well) where there is nothing to judge.
    """
    params = load_params(workspace)
    role = params.sites.get(site)
    if role is None:
        targets = [name for name, kind in params.sites.items() if kind == "target"]
        raise Refusal(
            Problem(
                "params.yaml sites",
                f"no site '{site}'",
                f"one of {', '.join(targets) or '(there is no target)'}",
                "correct the name",
            )
        )
    if role == "source":
        raise Refusal(
            Problem(
                f"params.yaml sites.{site}",
                "a source",
                "a target: a source's patients trained the model",
                "name a target",
            )
        )
    if not is_current(workspace, site, role):
        raise Refusal(
            Problem(
                str(workspace.results(role, site)),
                "no result of today's split",
                "one",
                f"dvc repro adapt@{site}",
            )
        )
    verdict = judge(read_results(workspace, params, site, role))
    print(f"{site}: {verdict.word} ({verdict.method} with {verdict.k} labelled patients a class)")
    for criterion in verdict.criteria:
        print(f"- {in_words(criterion)}")
    sys.exit(EXIT[verdict.word])
