"""Record one role's decision about a hospital's report."""

import io
from collections.abc import Iterable
from pathlib import Path

from ruamel.yaml import YAML

from eval.report_file import REPORT
from eval.results import read_json, whole
from eval.reviews import MOST_TEXT, Decision, Review, ReviewerRole, read_reviews
from eval.settings import load_params
from workspace.errors import Problem, refuse_if
from workspace.outputs import digest, write_whole
from workspace.paths import Workspace

HEAD = (
    "# Decisions about this hospital's report, written by `fewsite review`. One "
    "is void once the report's hash changes.\n"
)


def review_site(
    workspace: Workspace, site: str, role: ReviewerRole, decision: Decision, comment: str
) -> None:
    """Write the decision into reviews/SITE.yaml in place of an earlier one of this role.

    Raises Refusal where there is no report to decide on.
    """
    report, text = workspace.report(site) / REPORT, " ".join(comment.split())
    problems = _problems(load_params(workspace).sites, site, report, text)
    refuse_if(problems)
    whole(report, read_json, f"report@{site}")
    made = Review(role=role, decision=decision, comment=text, report=digest(report.read_bytes()))
    others = [review for review in read_reviews(workspace, site) if review.role != role]
    reviews = sorted([*others, made], key=lambda review: review.role)
    yaml, stream = YAML(), io.StringIO()
    yaml.width = 130
    yaml.dump({"reviews": [review.model_dump() for review in reviews]}, stream)
    write_whole(workspace.review(site), HEAD + stream.getvalue())
    print(
        f"{role}: {decision}, about report {made.report[:12]}; to show it "
        f"on the page: dvc repro report@{site}"
    )


def _problems(sites: Iterable[str], site: str, report: Path, text: str) -> list[Problem]:
    problems = []
    if site not in sites:
        problems.append(
            Problem(
                "params.yaml sites",
                f"no site '{site}'",
                f"one of {', '.join(sites) or '(there is none)'}",
                "correct the name",
            )
        )
    elif not report.is_file():
        do = f"dvc repro report@{site}"
        problems.append(Problem(str(report), "no such file", "a report to decide on", do))
    if not 1 <= len(text) <= MOST_TEXT or not text.isprintable():
        problems.append(
            Problem(
                "--comment",
                f"{len(text)} characters" if text.isprintable() else "characters that do not print",
                f"1 to {MOST_TEXT:,} printable characters, and nothing of a patient",
                "write why",
            )
        )
    return problems
