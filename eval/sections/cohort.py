"""Cohort flow: from the files that were found to the patients in each split, with every loss by reason."""

from typing import Any

import pandas as pd

from data_prep.rejects import REASONS, Reason
from eval.evidence import Evidence
from eval.page.section import Section
from eval.words import plain

PLACE = 20

SPLITS = {
    "pool": "Pool: labelled cases are drawn from it",
    "query": "Query: the numbers are measured on it",
    "train": "Train: the model learnt from it",
    "validation": "Validation: labelled cases are drawn from it",
}


def section(evidence: Evidence) -> Section:
    summary, splits = evidence.summary, evidence.task["splits"]
    reasons = _reasons(evidence)
    shown = {
        "summary": summary,
        "losses": [reason for reason in reasons if reason["image"]],
        "others": [reason for reason in reasons if not reason["image"]],
        "classes": evidence.classes,
        "splits": [
            {"name": name, "says": SPLITS.get(name, name), "by_class": splits[name]}
            for name in SPLITS
            if name in splits
        ],
    }
    return Section(
        "cohort.html.j2", "Cohort flow", shown, {"cohort_flow.csv": _flow(evidence, reasons)}
    )


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
    summary = evidence.summary
    rows = [
        ("files found", "", "", "files", summary["files"]),
        ("not images", "", "", "files", summary["not_images"]),
        *(
            (
                "rejected" if reason["image"] else "not images",
                reason["reason"],
                "",
                "files",
                reason["files"],
            )
            for reason in reasons
        ),
        ("used", "", "", "files", summary["used"]),
        (
            "all rejected",
            "",
            "",
            "files",
            sum(reason["files"] for reason in reasons if reason["image"]),
        ),
        *(
            (
                "label table",
                name,
                "",
                "images" if name in ("matched", "unlabelled_images") else "rows",
                count,
            )
            for name, count in summary.get("labels", {}).items()
        ),
        *(
            (
                "pictures of two patients",
                name,
                "",
                "patients" if name == "patients" else "pairs",
                count,
            )
            for name, count in summary["duplicates"].items()
        ),
        *(("all converted", "", "", unit, summary[unit]) for unit in ("patients", "records")),
    ]
    for step, by_class in [
        ("converted", summary["classes"]),
        *sorted(evidence.task["splits"].items()),
    ]:
        for name, counts in by_class.items():
            rows += [(step, "", name, unit, counts[unit]) for unit in ("patients", "records")]
    return pd.DataFrame(rows, columns=["step", "reason", "class", "unit", "count"])
