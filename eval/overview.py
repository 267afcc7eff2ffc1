"""Stage `overview`: all hospitals on one page, worst first, and numbers for DVC.

python -m eval.overview
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from eval.current import is_current
from eval.figures.forest import forest_figure
from eval.measures.needed import needed_of
from eval.page.render import render, table_bytes
from eval.results import SOURCE_ONLY, Results, read_results
from eval.scores.score import LABEL, Score, scores_of
from eval.settings import Params, load_params
from eval.verdict.criteria import asked
from eval.verdict.judge import FEW_PATIENTS, judge
from eval.verdict.sentences import cases_needed, drawn, intervals
from eval.words import count, decimals, interval, plain
from workspace.errors import Refusal, refuse_moved_inputs, run_module
from workspace.outputs import to_json, write_whole
from workspace.paths import Workspace
from workspace.progress import say

CURVE_COLUMNS = [
    "site",
    "role",
    "method",
    "k",
    "value",
    "patient_low",
    "patient_high",
    "draws_low",
    "draws_high",
    "draws",
    "patients",
    "records",
]
VERDICT_COLUMNS = [
    "site",
    "role",
    "word",
    "method",
    "k",
    "value",
    "patient_low",
    "patient_high",
    "draws_low",
    "draws_high",
    "draws",
    "patients",
    "records",
    "labelled_cases_needed",
    "criterion",
    "criterion_word",
    "bound",
    "found",
    "low",
    "high",
    "further",
]
CURVES = "auroc_by_shots.csv"  # dvc.yaml plots it
WORDS = ("met", "not met", "cannot tell")


def read_sites(
    workspace: Workspace, params: Params
) -> tuple[dict[str, tuple[Results, dict[str, Any]]], dict[str, str]]:
    """The results of the sites in params.yaml with their summary, and what to do about each site
    that has none.

    Only those names are read: DVC leaves the results of a site that was taken out on disk.
    """
    found, lacking = {}, {}
    for site, role in sorted(params.sites.items()):
        try:
            if is_current(workspace, site, role):
                results = read_results(workspace, params, site, role)
                found[site] = (results, summarise(results))
            else:
                lacking[site] = f"run dvc repro adapt@{site} and mend what it names"
        except Refusal as refusal:
            lacking[site] = "; ".join(
                f"{problem.where}: {problem.do}" for problem in refusal.problems
            )
    return found, lacking


def summarise(results: Results) -> dict[str, Any]:
    """One site's verdict, the labelled cases it needs, and its score by k.

    By k: of the verdict's method and of the source model.
    """
    verdict, cases = judge(results), needed_of(results).set_index("method").loc[results.method]
    curve = results.scored[results.scored["method"].isin([results.method, SOURCE_ONLY])]
    return {
        "site": results.site,
        "role": results.role,
        **vars(verdict),
        "needed": cases.to_dict(),
        "few": verdict.few,
        "curve": {row["k"]: row for row in curve.to_dict("records")},
    }


def headline(rows: list[dict[str, Any]]) -> dict[str, dict[str, float | int]]:
    """summary.json: few numbers, with the site in the path.

    A site whose target is not reached has no labelled_cases_needed.
    """
    summary = {}
    for row in rows:
        numbers = {
            row["score"].name: row["value"],
            "patient_low": row["patient_low"],
            "patient_high": row["patient_high"],
        }
        summary[row["site"]] = {name: round(number, 4) for name, number in numbers.items()} | {
            "shots": row["k"]
        }
        if row["needed"]["reached"]:
            summary[row["site"]]["labelled_cases_needed"] = int(row["needed"]["cases"])
    return summary


def curves(found: dict[str, Results]) -> pd.DataFrame:
    """CURVES: the score of every site, method and k."""
    rows = [
        results.scored.assign(site=site, role=results.role)
        for site, results in sorted(found.items())
    ]
    return pd.concat(rows)[CURVE_COLUMNS] if rows else pd.DataFrame(columns=CURVE_COLUMNS)


def verdicts(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """verdicts.csv: one row a site and criterion."""
    table = [
        {
            **{name: row.get(name) for name in VERDICT_COLUMNS},
            "labelled_cases_needed": row["needed"]["cases"] if row["needed"]["reached"] else None,
            "criterion": found.name,
            "criterion_word": found.word,
            "bound": found.bound,
            "found": found.value,
            "low": found.low,
            "high": found.high,
            "further": found.further,
        }
        for row in rows
        for found in row["criteria"]
    ]
    return pd.DataFrame(table, columns=VERDICT_COLUMNS)


def main() -> None:
    workspace = Workspace()
    params = load_params(workspace)
    found, lacking = read_sites(workspace, params)
    rows = [row for _, row in found.values()]
    rows.sort(key=worst_first)
    refuse_moved_inputs()
    write_whole(workspace.reports / "index.html", page(rows, lacking, params))
    write_whole(workspace.reports / "summary.json", to_json(headline(rows)))
    write_whole(
        workspace.reports / CURVES,
        curves({site: results for site, (results, _) in found.items()}).to_csv(
            index=False, lineterminator="\n", float_format="%.6f"
        ),
    )
    write_whole(workspace.reports / "verdicts.csv", table_bytes(verdicts(rows)))
    say(
        f"overview: {len(rows)} sites, {len(lacking)} without a result; see "
        f"{workspace.reports}/index.html"
    )


def page(rows: list[dict[str, Any]], lacking: dict[str, str], params: Params) -> str:
    """The page of all hospitals."""
    score = rows[0]["score"] if rows else scores_of(LABEL)[0]
    target = getattr(params.report.accept, score.name)
    figure = forest_figure(pd.DataFrame(rows), score, target, _alt(rows, score)) if rows else None
    criteria, counts = asked(params.report.accept, score), _counts(rows, lacking, params)
    return render(
        "overview.html.j2",
        rows=rows,
        lacking=lacking,
        roles=params.sites,
        report=params.report,
        figure=figure,
        counts=counts,
        confidence=params.adapt.confidence,
        criteria=criteria,
        score=score,
        target=target,
        says={
            "headline": headline_words(counts, criteria),
            "notes": notes,
            "drawn": drawn,
            "cases_needed": cases_needed,
            "intervals": intervals,
            "no_value": no_value,
        },
        shots=sorted({k for row in rows for k in row["curve"]}),
    )


def headline_words(counts: Mapping[str, int], criteria: Sequence[str]) -> str:
    """How many target hospitals meet what is asked."""
    met = counts["met"]
    hospitals = count(counts["all"], "target hospital")
    what = "the target" if len(criteria) == 1 else "all criteria"
    few = f", {counts['met on few']} of them on fewer than {FEW_PATIENTS} patients"
    sentence = f"{met} of {hospitals} {'meets' if met == 1 else 'meet'} {what}"
    return sentence + (few if counts["met on few"] else "")


def notes(row: Mapping[str, Any]) -> list[str]:
    """What stands below a hospital's word."""
    sentence = []
    several = len(row["criteria"]) > 1
    for found in row["criteria"]:
        further = found.further and f"about {count(found.further, 'further query patient')}"
        if several:
            sentence.append(f"{plain(found.name)}: {found.word}{f', {further}' if further else ''}")
        elif further:
            sentence.append(f"{further} would settle it")
    if row["role"] == "source":
        sentence.append("reference only")
    return [*sentence, "few patients"] if row["few"] else sentence


def no_value(k: int) -> str:
    """Why a hospital has no score at a k."""
    return "not possible or not run" if k else "no source model"


def _counts(rows: list[dict[str, Any]], lacking: dict[str, str], params: Params) -> dict[str, int]:
    """How many target hospitals there are of each verdict; source hospitals do not count."""
    words = [row["word"] for row in rows if row["role"] == "target"]
    on_few = [row["word"] for row in rows if row["role"] == "target" and row["few"]]
    missing = [site for site in lacking if params.sites[site] == "target"]
    return {
        **{word: words.count(word) for word in WORDS},
        "no result": len(missing),
        "met on few": on_few.count("met"),
        "all": len(words) + len(missing),
    }


def worst_first(row: dict[str, Any]) -> tuple[bool, float, str]:
    """Targets before sources."""
    return row["role"] != "target", row["score"].rank(row["value"]), row["site"]


def _alt(rows: list[dict[str, Any]], score: Score) -> str:
    return (
        f"{score.title} of each hospital with its interval over patients, worst first: "
        + "; ".join(
            f"{row['site']} {decimals(row['value'])} "
            f"({interval(row['patient_low'], row['patient_high'])}), {row['word']}"
            for row in rows
        )
    )


if __name__ == "__main__":
    run_module("eval.overview", main)
