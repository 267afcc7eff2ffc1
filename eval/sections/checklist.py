"""Reporting checklists: what this page answers of each item, and what only a person can write.

templates/checklist_items.csv holds the items in our own words. `where`: anchors of the sections
that hold some of it; `found`: what they hold; `write`: what a person must write. Answered where
nothing is left to write, open where no section holds any of it.
"""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from eval.evidence import Evidence
from eval.page.section import Section
from eval.words import count

PLACE = 140

GUIDELINES = {
    "CLAIM 2024": "Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300",
    "TRIPOD+AI": "Collins et al., BMJ 2024;385:e078378",
}
STATES = ("answered", "partly", "needs a human")
WITHOUT = {  # an item's `needs`, and what to add where this page lacks it
    "source": "Take it from the source hospitals' pages: "
    "no patient of this hospital trained a model.",
    "target": "Take it from the target hospitals' pages: "
    "other patients of this hospital trained the models.",
    "sources": "Another source hospital of this task (fewsite add --source): "
    "there is none to compare with or to fix a threshold on.",
}


def section(evidence: Evidence) -> Section:
    """One row an item, and the number of items in each state."""
    items = read_items()
    for need in set(WITHOUT) - needs_met(evidence):
        items.loc[items["needs"] == need, ["where", "found", "write"]] = "", "", WITHOUT[need]
    items["state"] = [
        state(where, write) for where, write in zip(items["where"], items["write"], strict=True)
    ]
    counts = pd.crosstab(items["guideline"], items["state"]).reindex(
        index=list(GUIDELINES), columns=list(STATES), fill_value=0
    )
    summary = counts.assign(
        items=counts.sum(axis=1), citation=list(GUIDELINES.values())
    ).reset_index()
    shown = {
        "guidelines": [{**row, "says": summary_words(row)} for row in summary.to_dict("records")],
        "items": {
            name: items[items["guideline"] == name].to_dict("records") for name in GUIDELINES
        },
    }
    return Section(
        "checklist.html.j2",
        "Reporting checklists",
        shown,
        {
            "checklist.csv": items[
                ["guideline", "item", "topic", "state", "where", "found", "write"]
            ],
            "checklist_summary.csv": summary,
        },
    )


def summary_words(guideline: Mapping[Hashable, Any]) -> str:
    """How many items of a guideline are in each state."""
    *_, human = STATES
    items, still_open = count(guideline["items"], "item"), guideline[human]
    return (
        f"{guideline['answered']} of {items} answered by this page, {guideline['partly']} partly, "
        f"{still_open} {'needs' if still_open == 1 else 'need'} a human."
    )


def read_items() -> pd.DataFrame:
    return pd.read_csv(
        Path(__file__).parent / "templates" / "checklist_items.csv",
        dtype=str,
        keep_default_na=False,
    )


def state(where: str, write: str) -> str:
    return "needs a human" if not where else "partly" if write else "answered"


def needs_met(evidence: Evidence) -> set[str]:
    """What items ask of a page and this one has: its role, and other source hospitals to compare
    with.
    """
    return {evidence.role, "sources"} if evidence.sources else {evidence.role}
