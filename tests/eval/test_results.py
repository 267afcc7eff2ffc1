"""A site is compared with the source sites that know all of its classes; what these have beyond is
left out and said.
"""

import contextlib

import numpy as np
import pandas as pd
import pytest

from eval import report
from eval.measures.operating_point import operating_points
from eval.results import Results, read_results
from eval.settings import load_params
from workspace.paths import Workspace


@pytest.fixture(scope="module")
def workspace(make_workspace, hospital) -> Workspace:
    few = {"draws": 2, "methods": ("prototypical", "source_only")}
    return make_workspace(
        {
            "westside": hospital(patients=(40, 40), **few),
            "northgate": hospital(
                role="source", classes=("AP", "PA", "LL"), patients=(40, 40, 40), seed=2, **few
            ),
            "southgate": hospital(
                role="source", classes=("AP", "LL"), patients=(40, 40), seed=3, **few
            ),
        }
    )


@pytest.fixture(scope="module")
def results(workspace) -> Results:
    return read_results(workspace, load_params(workspace), "westside", "target")


def test_a_source_with_more_classes_is_compared_on_those_of_the_site(results, workspace):
    assert list(results.sources) == ["northgate"] and results.other_classes == {"northgate": "LL"}
    source = results.sources["northgate"]
    assert set(source.cohort["label"]) == set(source.predictions["label"]) == {"AP", "PA"}
    whole = pd.read_parquet(workspace.results("source", "northgate") / "predictions.parquet")
    asked = whole[whole["label"] != "LL"]
    np.testing.assert_allclose(
        source.predictions["p_PA"], asked["p_PA"] / (asked["p_AP"] + asked["p_PA"]), rtol=1e-5
    )
    assert "p_LL" not in source.predictions and operating_points(results)


def test_an_answer_that_gave_all_to_another_class_is_even_among_the_sites_own(workspace):
    file = workspace.results("source", "northgate") / "predictions.parquet"
    kept = file.read_bytes()
    try:
        table = pd.read_parquet(file)
        table.loc[table.index[:5], ["p_AP", "p_PA", "p_LL"]] = [0.0, 0.0, 1.0]
        table.to_parquet(file)
        source = read_results(workspace, load_params(workspace), "westside", "target").sources[
            "northgate"
        ]
        assert (
            np.isfinite(source.predictions["p_PA"]).all()
            and (source.predictions["p_PA"].head(2) == 0.5).any()
        )
    finally:
        file.write_bytes(kept)


def test_the_page_says_which_classes_were_left_out(workspace):
    with contextlib.chdir(workspace.root):
        report.main("westside", "target")
    page = (workspace.report("westside") / "index.html").read_text()
    assert (
        page.count(
            "northgate has LL as well, which this hospital has not: its patients of these are left "
            "out"
        )
        == 3
    )
    assert (
        "its answers are taken as if they were not among the choices" in page
        and "southgate has" not in page
    )
