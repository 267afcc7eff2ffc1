"""How many labelled cases reach the target."""

import pandas as pd

from eval.evidence import Evidence
from eval.page import Section
from eval.performance import AUROC
from eval.results import SOURCE_ONLY

RULE = (
    "The smallest k whose patient interval lies wholly at or above the target, and so at every larger k that was tried: "
    "a k that a larger one contradicts does not count."
)


def needed(performance: pd.DataFrame, target: float, classes: int) -> pd.DataFrame:
    """One row a method: the first k that reaches the target for good (missing if none does), and its labelled cases.

    `cases` is k x classes; `up_to` is the same for the largest k that was tried. `best` is the highest AUROC at any k, for what
    is not reached. `value` and the patient interval are those at `k`, or at the best k where none is reached.
    """
    rows = []
    for method, tried in (
        performance[performance["metric"] == AUROC].sort_values("k").groupby("method")
    ):
        passes = tried["patient_low"] >= target
        for_good = tried[passes[::-1].cummin()[::-1]]
        reached = not for_good.empty
        shown = for_good.iloc[0] if reached else tried.loc[tried["value"].idxmax()]
        k = int(shown["k"])
        rows.append(
            {
                "method": method,
                "target": target,
                "reached": reached,
                "k": k if reached else pd.NA,
                "cases": k * classes if reached else pd.NA,
                "up_to": int(tried["k"].max()) * classes,
                "shown_k": k,
                "value": shown["value"],
                "patient_low": shown["patient_low"],
                "patient_high": shown["patient_high"],
                "patients": int(shown["patients"]),
            }
        )
    return pd.DataFrame(rows).astype({"k": "Int64", "cases": "Int64"})


def needed_section(evidence: Evidence) -> Section:
    table = needed(evidence.performance, evidence.params.report.accept.auroc, len(evidence.classes))
    rows = {row["method"]: row for row in table.to_dict("records")}
    return Section(
        "needed.html.j2",
        "Labelled cases needed",
        {
            "rows": [rows[method] for method in evidence.methods],
            "rule": RULE,
            "target": evidence.params.report.accept.auroc,
            "method": evidence.method,
            "classes": len(evidence.classes),
            "patients": len(set(evidence.query.patients)),
            "source_only": SOURCE_ONLY,
        },
        {"needed.csv": table},
    )
