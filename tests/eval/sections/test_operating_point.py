"""The operating point: its threshold comes from source patients alone, and its shares are those
that pandas counts.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eval.evidence import Evidence, read_evidence
from eval.measures.operating_point import MEASURES, operating_points, threshold
from eval.page.render import render
from eval.sections.operating_point import section as operating_point_section


@pytest.fixture(scope="module")
def westside(make_workspace, hospital) -> Evidence:
    few = {"draws": 3, "methods": ("majority", "prototypical"), "shots": (1, 5)}
    return read_evidence(
        make_workspace(
            {
                "westside": hospital(**few, shift=-0.4, seeds=(0, 1)),
                "northgate": hospital(role="source", seed=5, **few),
                "southgate": hospital(role="source", seed=6, patients=(30, 40), **few),
            }
        ),
        "westside",
        "target",
    )


def answers_of(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions[(predictions["method"] == "prototypical") & (predictions["k"] == 5)]


def words(evidence: Evidence) -> str:
    return " ".join(
        render("operating_point.html.j2", shown=operating_point_section(evidence).shown)
        .replace("\N{NO-BREAK SPACE}", " ")
        .split()
    )


def test_the_threshold_finds_the_share_asked_for_and_no_more_where_more_costs_more_false_alarms():
    # a step down finds a tenth more, and calls a fifth more
    positives, negatives = (
        np.arange(1, 11) / 10,
        np.array([0.15, 0.25, 0.35, 0.45, 0.55]),
    )
    for share, expected in ((0.9, 0.2), (0.85, 0.2), (0.91, 0.1), (0.5, 0.6)):
        assert threshold([positives], [negatives], share) == expected


def test_no_sensitivity_is_given_away_where_the_sources_classes_lie_far_apart():
    assert threshold([np.array([0.6, 0.8, 0.99, 0.999])], [np.array([0.01, 0.1, 0.2])], 0.5) == 0.6
    # the one at 0.1 would cost four false alarms
    assert threshold([np.array([0.1, 0.6, 0.8, 0.9])], [np.array([0.2, 0.3, 0.4, 0.5])], 0.5) == 0.6


def test_each_source_site_weighs_the_same_in_the_threshold():
    positives, negatives = (
        [np.array([0.8, 0.9]), np.full(1000, 0.5)],
        [np.array([0.1, 0.6]), np.full(1000, 0.7)],
    )
    assert (
        threshold(positives, negatives, 0.5) == 0.8 and threshold(positives, negatives, 0.51) == 0.5
    )


def test_the_threshold_knows_nothing_of_this_site(westside):
    other = westside.predictions.copy()
    other[["p_AP", "p_PA"]] = other[["p_PA", "p_AP"]].to_numpy()
    assert (
        operating_points(replace(westside, predictions=other))[0].threshold
        == operating_points(westside)[0].threshold
    )


def test_the_source_sites_have_the_sensitivity_asked_for_at_the_threshold(westside):
    (point,) = operating_points(westside)
    positives = {
        site: answers_of(source.predictions).query("label == 'PA'")["p_PA"].astype(float)
        for site, source in westside.sources.items()
    }
    assert np.mean([(p >= point.threshold - 1e-7).mean() for p in positives.values()]) >= 0.9
    assert np.mean([source.sensitivity for source in point.sources]) >= 0.9
    assert {source.site: source.positives for source in point.sources} == {
        site: answers_of(source.predictions).query("label == 'PA'")["record"].nunique()
        for site, source in westside.sources.items()
    }


def test_every_share_and_count_is_the_one_that_pandas_finds(westside):
    (point,) = operating_points(westside)
    table = answers_of(westside.predictions)
    called, positive = table["p_PA"].astype(float) >= point.threshold, table["label"] == "PA"
    counted = {
        "true_positives": called & positive,
        "false_negatives": ~called & positive,
        "true_negatives": ~called & ~positive,
        "false_positives": called & ~positive,
    }
    for name, cases in counted.items():
        assert getattr(point, name) == pytest.approx(cases.sum() / 6)  # three draws, two seeds
    shares = {
        "sensitivity": (called, positive),
        "specificity": (~called, ~positive),
        "ppv": (positive, called),
        "npv": (~positive, ~called),
    }
    for name, (part, whole) in shares.items():
        found = getattr(point, name)
        by_draw = part[whole].groupby([table["draw"], table["seed"]]).mean().groupby("draw").mean()
        assert found.value == pytest.approx(by_draw.mean())
        assert found.patient_low < found.value < found.patient_high
        assert (found.draws_low, found.draws_high) == pytest.approx(
            tuple(np.quantile(by_draw, [0.025, 0.975]))
        )
    assert point.prevalence == pytest.approx(positive.mean())


def test_the_tables_hold_every_number_of_the_page(westside):
    tables, point = operating_point_section(westside).tables, operating_points(westside)[0]
    assert list(tables["operating_point.csv"]["measure"]) == list(MEASURES) and not tables[
        "operating_point.csv"
    ].isna().any(axis=None)
    text = words(westside)
    for row in tables["operating_point.csv"].itertuples():
        assert (
            f"<b>{100 * row.value:.0f} %</b></td><td>{100 * row.patient_low:.0f} % to "
            f"{100 * row.patient_high:.0f} %" in text
        )
    assert tables["operating_counts.csv"].loc[0, ["positives", "positive_patients"]].tolist() == [
        point.positives,
        45,
    ]
    assert (
        f"a probability of {point.threshold:.3f} on" in text
        and f"{point.positives} positive images of 45 patients" in text
    )


def test_more_than_two_classes_have_a_point_each_against_the_rest(make_workspace, hospital):
    few = {
        "classes": ("a", "b", "c"),
        "patients": (40, 30, 20),
        "draws": 2,
        "methods": ("prototypical",),
        "shots": (5,),
    }
    evidence = read_evidence(
        make_workspace(
            {"westside": hospital(**few), "northgate": hospital(role="source", seed=3, **few)}
        ),
        "westside",
        "target",
    )
    points = operating_points(evidence)
    assert [point.name for point in points] == ["a", "b", "c"]
    assert sum(point.prevalence for point in points) == pytest.approx(
        1
    ) and "<b>c</b> against the rest" in words(evidence)


def test_without_another_source_site_the_page_says_how_to_get_a_threshold_and_keeps_the_matrix(
    westside,
):
    alone = replace(westside, sources={})
    assert operating_points(alone) == []
    text = words(alone)
    assert (
        "no other source hospital has the task chest view" in text
        and "fewsite add sites/NAME.yaml --source" in text
    )
    assert "What is taken for what, at the most probable class" in text
    assert set(operating_point_section(alone).tables) == {"confusion.csv", "recall.csv"}


def test_source_sites_without_this_method_or_k_are_named(westside):
    few = {
        site: replace(source, predictions=source.predictions[source.predictions["k"] == 1])
        for site, source in westside.sources.items()
    }
    assert "northgate, southgate have no answers of prototypical at k = 5" in words(
        replace(westside, sources=few)
    )


def test_a_threshold_that_nobody_reaches_has_no_ppv_and_says_so(westside):
    low = westside.predictions.assign(p_AP=np.float32(0.999), p_PA=np.float32(0.001))
    (point,) = operating_points(replace(westside, predictions=low))
    assert (
        point.ppv is None
        and point.sensitivity.value == 0
        and point.npv.value == pytest.approx(1 - point.prevalence)
    )
    assert "no image is called positive, so it has no value" in words(
        replace(westside, predictions=low)
    )


def test_one_draw_has_no_spread_and_says_so(westside):
    once = westside.predictions[westside.predictions["draw"] == 0]
    assert np.isnan(operating_points(replace(westside, predictions=once))[0].sensitivity.draws_low)
    assert "one draw only" in words(replace(westside, predictions=once))
