"""How many labelled cases reach the target."""

import pandas as pd

from eval.results import Results
from eval.scores.score import Score


def needed_of(results: Results) -> pd.DataFrame:
    """`needed` for the target of params.yaml."""
    return needed(results.performance, results.score, results.target, len(results.classes))


def needed(performance: pd.DataFrame, score: Score, target: float, classes: int) -> pd.DataFrame:
    """One row a method: the first k that reaches the target for good, and its labelled cases.

    `k` and `cases` are missing where none does. `cases` is k x classes; `up_to` is the same for
    the largest k that was tried. `value` and the patient interval are those at `shown_k`: `k`, or
    the k with the best score where none is reached.
    """
    rows = []
    scored = performance[performance["metric"] == score.name]
    for method, tried in scored.sort_values("k").groupby("method"):
        ends = zip(tried["patient_low"], tried["patient_high"], strict=True)
        passes = pd.Series([score.reached(*end, target) for end in ends], index=tried.index)
        for_good = tried[passes[::-1].cummin()[::-1]]
        reached, best = not for_good.empty, tried["value"].map(score.rank).idxmax()
        shown = for_good.iloc[0] if reached else tried.loc[best]
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
