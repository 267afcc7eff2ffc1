"""All hospitals on one page: worst first, nothing hidden, nothing left over from a hospital that
was taken out.
"""

import contextlib
import json
import re
from io import StringIO

import pandas as pd
import pytest

from eval import overview
from tests.eval.test_report import assert_one_script_is_allowed
from workspace.paths import Workspace

TARGETS, SOURCE = ("eastside", "westside"), "northgate"


def write_overview(workspace: Workspace) -> str:
    with contextlib.chdir(workspace.root):
        overview.main()
    return (workspace.reports / "index.html").read_text(encoding="utf-8")


def set_sites(workspace: Workspace, sites: dict[str, str]) -> None:
    params = json.loads(workspace.params_file.read_text())
    workspace.params_file.write_text(json.dumps({**params, "sites": sites}))


@pytest.fixture
def workspace(make_workspace, hospital) -> Workspace:
    few = {"draws": 2, "methods": ("majority", "prototypical", "source_only")}
    return make_workspace(
        {
            "westside": hospital(patients=(70, 70), shift=-0.9, seed=1, **few),
            "eastside": hospital(patients=(70, 70), shift=1.5, seed=2, **few),
            "northgate": hospital(
                role="source", patients=(60, 20), shift=-1.5, shots=(1, 2), seed=3, **few
            ),
        }
    )


def order(page: str) -> list[str]:
    return re.findall(r'<a href="(\w+)/index.html">', page)


def test_targets_come_worst_first_and_sources_after_them_as_a_reference(workspace):
    page = write_overview(workspace)
    assert order(page) == ["westside", "eastside", "northgate"]
    assert "1 of 2\N{NO-BREAK SPACE}target hospitals meets the target" in page
    assert page.count("reference only") == 1


def test_a_hospital_without_results_is_listed_with_what_to_do(workspace):
    set_sites(workspace, {"westside": "target", "southside": "target", "eastside": "target"})
    page = write_overview(workspace)
    assert "<b>southside</b> (target): run dvc repro adapt@southside" in page
    assert "no result at 1" in page and order(page) == ["westside", "eastside"]


def test_a_hospital_with_broken_results_stops_no_other(workspace):
    params = json.loads(workspace.params_file.read_text())
    # read from the answers
    workspace.params_file.write_text(
        json.dumps({**params, "report": {**params["report"], "accept": {"calibration_error": 0.1}}})
    )
    file = workspace.results("target", "westside") / "predictions.parquet"
    table = pd.read_parquet(file)
    table[table["label"] == "AP"].to_parquet(file)
    page = write_overview(workspace)
    assert (
        order(page) == ["eastside", "northgate"]
        and "query set of westside, class PA: add patients of class PA" in page
    )
    file.write_bytes(file.read_bytes()[:100])
    page = write_overview(workspace)
    assert (
        order(page) == ["eastside", "northgate"]
        and "predictions.parquet: dvc repro -f adapt@westside" in page
    )
    (workspace.results("target", "eastside") / "provenance.json").write_text('{"role"')
    assert order(write_overview(workspace)) == ["northgate"]


def test_results_left_on_disk_by_a_hospital_that_was_taken_out_are_not_read(workspace):
    set_sites(workspace, {"westside": "target"})
    assert "eastside" not in write_overview(workspace)
    assert list(json.loads((workspace.reports / "summary.json").read_text())) == ["westside"]
    assert "eastside" not in (workspace.reports / "auroc_by_shots.csv").read_text()


def test_no_result_at_all_still_gives_a_page_and_both_files(workspace):
    set_sites(workspace, {"southside": "target"})
    assert "0 of 1\N{NO-BREAK SPACE}target hospital meet" in write_overview(workspace)
    assert json.loads((workspace.reports / "summary.json").read_text()) == {}
    assert (
        (workspace.reports / "auroc_by_shots.csv")
        .read_text()
        .startswith("site,role,method,k,value,patient_low,patient_high")
    )


def test_a_hospital_too_small_for_k_is_judged_at_its_largest_k_and_says_so(workspace):
    page = write_overview(workspace)
    assert json.loads((workspace.reports / "summary.json").read_text())["northgate"]["shots"] == 2
    assert "5 not possible" in page


def test_the_headline_numbers_are_those_of_the_verdicts_method(workspace):
    write_overview(workspace)
    table = pd.read_csv(workspace.results("target", "eastside") / "performance.csv")
    row = table.query("method == 'prototypical' and k == 5 and metric == 'auroc'").iloc[0]
    found = json.loads((workspace.reports / "summary.json").read_text())["eastside"]
    assert (found["auroc"], found["patient_low"]) == pytest.approx(
        (row["value"], row["patient_low"]), abs=1e-4
    )
    assert (
        "labelled_cases_needed" in found
        and "labelled_cases_needed"
        not in json.loads((workspace.reports / "summary.json").read_text())["westside"]
    )


def test_the_curves_hold_every_site_method_and_k(workspace):
    write_overview(workspace)
    table = pd.read_csv(StringIO((workspace.reports / "auroc_by_shots.csv").read_text()))
    assert set(table["site"]) == {*TARGETS, SOURCE} and set(table["method"]) == {
        "majority",
        "prototypical",
        "source_only",
    }
    assert list(table.query("site == 'westside' and method == 'prototypical'")["k"]) == [
        1,
        2,
        5,
        10,
    ]


def test_the_same_results_give_the_same_bytes_and_one_script_runs(workspace):
    page = write_overview(workspace)
    assert write_overview(workspace) == page
    assert_one_script_is_allowed(page)
    assert "http" not in page.replace("http-equiv", "") and 'role="img"' in page
    assert not re.search(r"\bnan\b", re.sub(r"<[^>]+>", " ", page))
