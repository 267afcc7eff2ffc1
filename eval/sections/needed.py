"""How many labelled cases reach the target."""

from collections.abc import Mapping
from typing import Any

from eval.evidence import Evidence
from eval.measures.needed import needed_of
from eval.page.section import Section
from eval.results import SOURCE_ONLY
from eval.scores.score import Score

PLACE = 50


def cases(row: Mapping[str, Any]) -> str:
    """The labelled cases that a method needs, or what it does not reach the target with."""
    if row["reached"]:
        return f"{row['cases']:,}" if row["cases"] else "none"
    if row["method"] == SOURCE_ONLY:
        return "not reached; it cannot use labelled cases"
    return f"not reached with up to {row['up_to']:,}"


def _rule(score: Score) -> str:
    side = "above" if score.higher_is_better else "below"
    return (
        f"The smallest k whose patient interval lies wholly at or {side} the target, and so at "
        "every larger k that was tried: a k that a larger one contradicts does not count."
    )


def section(evidence: Evidence) -> Section:
    table = needed_of(evidence)
    rows = {row["method"]: row for row in table.to_dict("records")}
    return Section(
        "needed.html.j2",
        "Labelled cases needed",
        {
            "rows": [{**rows[method], "says": cases(rows[method])} for method in evidence.methods],
            "score": evidence.score,
            "rule": _rule(evidence.score),
            "target": evidence.target,
            "method": evidence.method,
            "classes": len(evidence.classes),
            "patients": len(set(evidence.query.patients)),
        },
        {"needed.csv": table},
    )
