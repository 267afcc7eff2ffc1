"""Stage `overview`: all hospitals on one page, worst first, and the headline numbers for `dvc metrics` and `dvc plots`.

    python -m eval.overview
"""

from dataclasses import asdict
from typing import Any

import pandas as pd

from eval.current import is_current
from eval.figures import forest_figure
from eval.needed import needed
from eval.page import decimals, interval, render
from eval.performance import AUROC, class_metric
from eval.results import SOURCE_ONLY, read_performance
from eval.verdict import FEW_PATIENTS, judge
from workspace.errors import run_module
from workspace.outputs import to_json, write_whole
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Params, Role, load_params

CURVE_COLUMNS = ["site", "role", "method", "k", "value", "patient_low", "patient_high", "draws_low", "draws_high", "draws",
                 "patients", "records"]
WORDS = ("met", "not met", "cannot tell")


def read_sites(workspace: Workspace, params: Params) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The performance tables of the sites in params.yaml, and what to do about each site that has none.

    Only those names are read: DVC leaves the results of a site that was taken out on disk.
    """
    tables, lacking = {}, {}
    for site in sorted(params.sites):
        path = workspace.results(params.sites[site], site) / "performance.csv"
        table = read_performance(path) if path.is_file() and is_current(workspace, site, params.sites[site]) else None
        if table is None:
            lacking[site] = f"run dvc repro adapt@{site} and mend what it names"
        elif params.report.method not in set(table["method"]):
            lacking[site] = f"there is no answer of {params.report.method}: run dvc repro adapt@{site}"
        else:
            tables[site] = table
    return tables, lacking


def summarise(site: str, role: Role, table: pd.DataFrame, params: Params) -> dict[str, Any]:
    """One site's verdict, the labelled cases it needs, and AUROC by k of the verdict's method and of the source model."""
    verdict = judge(table, params.report)
    cases = needed(table, params.report.accept.auroc, _classes(table)).set_index("method").loc[params.report.method]
    curve = table[(table["metric"] == AUROC) & table["method"].isin([params.report.method, SOURCE_ONLY])]
    return {"site": site, "role": role, **asdict(verdict), "needed": cases.to_dict(), "few": verdict.few,
            "curve": {row["k"]: row for row in curve.to_dict("records")}}


def headline(rows: list[dict[str, Any]]) -> dict[str, dict[str, float | int]]:
    """summary.json: few numbers, with the site in the path. A site whose target is not reached has no labelled_cases_needed."""
    summary = {}
    for row in rows:
        numbers = {"auroc": row["value"], "patient_low": row["patient_low"], "patient_high": row["patient_high"]}
        summary[row["site"]] = {name: round(number, 4) for name, number in numbers.items()} | {"shots": row["k"]}
        if row["needed"]["reached"]:
            summary[row["site"]]["labelled_cases_needed"] = int(row["needed"]["cases"])
    return summary


def curves(tables: dict[str, pd.DataFrame], params: Params) -> pd.DataFrame:
    """auroc_by_shots.csv: every site, method and k."""
    rows = [table[table["metric"] == AUROC].assign(site=site, role=params.sites[site]) for site, table in sorted(tables.items())]
    return pd.concat(rows)[CURVE_COLUMNS] if rows else pd.DataFrame(columns=CURVE_COLUMNS)


def main() -> None:
    workspace = Workspace()
    params = load_params(workspace)
    tables, lacking = read_sites(workspace, params)
    rows = [summarise(site, params.sites[site], table, params) for site, table in tables.items()]
    rows.sort(key=lambda row: (row["role"] != "target", row["value"], row["site"]))  # targets first, worst first
    write_whole(workspace.reports / "index.html", page(rows, lacking, params))
    write_whole(workspace.reports / "summary.json", to_json(headline(rows)))
    write_whole(workspace.reports / "auroc_by_shots.csv",
                curves(tables, params).to_csv(index=False, lineterminator="\n", float_format="%.6f"))
    say(f"overview: {len(rows)} sites, {len(lacking)} without a result; see {workspace.reports}/index.html")


def page(rows: list[dict[str, Any]], lacking: dict[str, str], params: Params) -> str:
    """The page of all hospitals."""
    figure = forest_figure(pd.DataFrame(rows), params.report.accept.auroc, _alt(rows)) if rows else None
    return render("overview.html.j2", rows=rows, lacking=lacking, roles=params.sites, report=params.report, figure=figure,
                  counts=_counts(rows, lacking, params), few_patients=FEW_PATIENTS, confidence=params.adapt.confidence,
                  shots=sorted({k for row in rows for k in row["curve"]}))


def _counts(rows: list[dict[str, Any]], lacking: dict[str, str], params: Params) -> dict[str, int]:
    """How many target hospitals there are of each verdict; source hospitals do not count."""
    targets = [row for row in rows if row["role"] == "target"]
    missing = sum(params.sites[site] == "target" for site in lacking)
    return {**{word: sum(row["word"] == word for row in targets) for word in WORDS}, "no result": missing,
            "met on few": sum(row["word"] == "met" and row["few"] for row in targets), "all": len(targets) + missing}


def _alt(rows: list[dict[str, Any]]) -> str:
    return "AUROC of each hospital with its interval over patients, worst first: " + "; ".join(
        f"{row['site']} {decimals(row['value'])} ({interval(row['patient_low'], row['patient_high'])}), {row['word']}"
        for row in rows)


def _classes(table: pd.DataFrame) -> int:
    """More than two classes have a metric each; two share one."""
    return int(table.loc[table["metric"].str.startswith(class_metric("")), "metric"].nunique()) or 2


if __name__ == "__main__":
    run_module("eval.overview", main)
