"""Cohort flow: from the files that were found to the patients in each split, by reason."""

from typing import Any

import pandas as pd

from data_prep.rejects import REASONS, Reason
from eval.evidence import Evidence
from eval.page.section import Section
from eval.words import plain

PLACE = 20

SIDES = {
    "pool": "Pool: labelled cases are drawn from it",
    "query": "Query: the numbers are measured on it",
    "train": "Train: the model learnt from it",
    "validation": "Validation: labelled cases are drawn from it",
}


def section(evidence: Evidence) -> Section:
    """The flow with its losses, and the sides of the split."""
    splits, reasons = evidence.task["splits"], _reasons(evidence)
    losses = [reason for reason in reasons if reason["image"]]
    shown = {
        "summary": evidence.summary,
        "losses": losses,
        "others": [reason for reason in reasons if reason not in losses],
        "classes": evidence.classes,
        "splits": {says: splits[name] for name, says in SIDES.items() if name in splits},
    }
    tables = {"cohort_flow.csv": _flow(evidence, reasons)}
    return Section("cohort.html.j2", "Cohort flow", shown, tables)


def _reasons(evidence: Evidence) -> list[dict[str, Any]]:
    """Each reason for leaving a file out with its count, meaning and cure, most frequent first."""
    cures = evidence.rejects.groupby("reason")["do"].first().to_dict()
    counts = sorted(evidence.summary["rejects"].items(), key=lambda item: (-item[1], item[0]))
    found = []
    for reason, files in counts:
        known = REASONS.get(reason, Reason(plain(reason), "see rejects.csv"))
        found.append(
            {
                "reason": reason,
                "files": files,
                "means": known.means,
                "do": cures.get(reason) or known.do,
                "image": known.image,
            }
        )
    return found


def _flow(evidence: Evidence, reasons: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of step, reason, class, unit and count."""
    summary = evidence.summary
    rejected = sum(reason["files"] for reason in reasons if reason["image"])
    rows = [
        ("files found", "", "", "files", summary["files"]),
        ("not images", "", "", "files", summary["not_images"]),
    ]
    for reason in reasons:
        step = "rejected" if reason["image"] else "not images"
        rows.append((step, reason["reason"], "", "files", reason["files"]))
    rows.append(("used", "", "", "files", summary["used"]))
    rows.append(("all rejected", "", "", "files", rejected))
    for name, count in summary.get("labels", {}).items():
        unit = "images" if name in ("matched", "unlabelled_images") else "rows"
        rows.append(("label table", name, "", unit, count))
    for name, count in summary["duplicates"].items():
        unit = "patients" if name == "patients" else "pairs"
        rows.append(("pictures of two patients", name, "", unit, count))
    rows += [("all converted", "", "", unit, summary[unit]) for unit in ("patients", "records")]
    for step, by_class in [("converted", summary["classes"]), *_by_split(evidence)]:
        for name, counts in by_class.items():
            rows += [(step, "", name, unit, counts[unit]) for unit in ("patients", "records")]
    return pd.DataFrame(rows, columns=["step", "reason", "class", "unit", "count"])


def _by_split(evidence: Evidence) -> list[tuple[str, dict[str, dict[str, int]]]]:
    return sorted(evidence.task["splits"].items())
