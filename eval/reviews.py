"""What people decided about a report: reviews/SITE.yaml, void once the report changes."""

from typing import Annotated, Literal

from pydantic import Field

from eval.page.section import Section
from workspace.paths import Workspace
from workspace.settings import Strict, load_yaml

Decision = Literal["accept", "reject", "revise"]
# a role and never a name
ReviewerRole = Literal["radiologist", "clinician", "physicist", "engineer"]
MOST_TEXT = 2000


class Review(Strict):
    """One role's decision about one report."""

    role: ReviewerRole
    decision: Decision
    comment: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
    report: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # SHA-256 of report.json


class Reviews(Strict):
    """All decisions about one hospital's report, one a role."""

    reviews: list[Review] = []


def read_reviews(workspace: Workspace, site: str) -> list[Review]:
    """The decisions about `site`, in the order of their roles; none where nobody decided yet.

    Raises Refusal with every problem in the file.
    """
    if not workspace.review(site).is_file():
        return []
    return sorted(
        load_yaml(workspace.review(site), Reviews).reviews, key=lambda review: review.role
    )


def review_section(reviews: list[Review], report: str, site: str) -> Section:
    """Who decided what about the report with this hash; decisions about an earlier one are shown as
    void.
    """
    return Section(
        "review.html.j2",
        "Review",
        {
            "valid": [review for review in reviews if review.report == report],
            "void": [review for review in reviews if review.report != report],
            "report": report,
            "site": site,
        },
    )
