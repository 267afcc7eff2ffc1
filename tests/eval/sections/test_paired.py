"""Paired comparison: identical draws and patients, corrected over k."""

import contextlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from eval import report
from eval.evidence import Evidence, read_evidence
from eval.measures.paired import COLUMNS, differences
from eval.page.render import render
from eval.sections.paired import section as paired_section


@pytest.fixture(scope="module")
def evidence(make_workspace, hospital) -> Evidence:
    workspace = make_workspace(
        {
            "westside": hospital(
                patients=(60, 50),
                draws=3,
                methods=("prototypical", "maml", "majority", "source_only"),
                seeds=(0, 1),
            )
        }
    )
    return read_evidence(workspace, "westside", "target")


def shown(evidence: Evidence) -> str:
    section = paired_section(evidence)
    return render(section.template, shown=section.shown)


def test_a_difference_is_the_mean_over_draws_of_the_paired_differences(evidence):
    table = differences(evidence).set_index(["other", "k"])
    assert set(table.index) == {
        (other, k) for other in ("maml", "majority", "source_only") for k in (1, 2, 5, 10)
    }
    answers = evidence.predictions.assign(
        auroc_of=lambda rows: rows["method"] + rows["k"].astype(str)
    )
    by_draw = {
        key: [
            np.mean(
                [
                    roc_auc_score(run["label"] == "PA", run["p_PA"])
                    for _, run in rows.groupby("seed")
                ]
            )
            for _, rows in group.groupby("draw")
        ]
        for key, group in answers.groupby("auroc_of")
    }
    for other in ("maml5", "source_only0"):
        expected = np.array(by_draw["prototypical5"]) - np.array(by_draw[other])
        row = table.loc[(other[:-1], 5)]
        assert row["difference"] == pytest.approx(expected.mean(), abs=1e-6)
        assert (row["draws_low"], row["draws_high"]) == pytest.approx(
            tuple(np.quantile(expected, [0.025, 0.975])), abs=1e-6
        )
        assert row["other_k"] == int(other[-1]) and row["draws"] == 3


def test_p_values_are_corrected_over_k_for_each_other_method_by_itself(evidence):
    for _, family in differences(evidence).groupby("other"):
        p = np.sort(family["p"])
        expected = np.minimum(1, np.maximum.accumulate(p * (len(p) - np.arange(len(p)))))
        assert (
            np.sort(family["p_holm"]) == pytest.approx(expected)
            and (family["p_holm"] >= family["p"]).all()
        )


def test_a_method_that_answers_the_same_is_neither_better_nor_worse(evidence):
    same = pd.concat(
        [
            evidence.predictions.query("method == 'prototypical'").assign(method=name)
            for name in ("prototypical", "maml")
        ]
    )
    table = differences(replace(evidence, predictions=same))
    assert (table["difference"] == 0).all() and (table["p_holm"] == 1).all()
    assert (table["patient_low"] <= 0).all() and (table["patient_high"] >= 0).all()


def test_a_far_better_method_is_called_better_with_a_small_p(evidence):
    row = differences(evidence).query("other == 'majority' and k == 10").iloc[0]
    assert row["patient_low"] > 0.1 and row["p_holm"] < 0.05
    page = shown(evidence)
    assert "<small>better</small>" in page and "at k = 0" in page


def test_without_another_method_the_section_says_what_to_add(evidence):
    alone = replace(
        evidence,
        predictions=evidence.predictions.query("method == 'prototypical'"),
        performance=evidence.performance.query("method == 'prototypical'"),
    )
    assert list(differences(alone).columns) == COLUMNS
    assert "Add methods to adapt.methods in params.yaml." in shown(alone)


def test_one_draw_has_no_spread_and_says_so(make_workspace, hospital):
    workspace = make_workspace(
        {"westside": hospital(patients=(30, 30), draws=1, methods=("prototypical", "maml"))}
    )
    with contextlib.chdir(workspace.root):
        report.main("westside", "target")
    page = (workspace.report("westside") / "index.html").read_text()
    section = page[
        page.index('<section id="paired">') : page.index(
            '<section id="', page.index('<section id="paired">') + 10
        )
    ]
    assert "D one draw only" in section and "nan" not in section
