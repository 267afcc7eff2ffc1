"""Prediction sets keep their promise within each class, say when they cannot, and abstaining is
counted as it is defined.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from eval.answers import HeldOut, read_held_out
from eval.evidence import Evidence, read_evidence
from eval.measures.conformal import LEVELS, abstaining, cases_needed, cuts, selective_risk
from eval.page.render import render
from eval.sections.conformal import section as conformal_section


@pytest.fixture(scope="module")
def westside(make_workspace, hospital) -> Evidence:
    return read_evidence(
        make_workspace(
            {
                "westside": hospital(
                    shots=(0, 1, 5, 15),
                    draws=3,
                    seeds=(0, 1),
                    methods=("prototypical", "source_only"),
                )
            }
        ),
        "westside",
        "target",
    )


def words(evidence: Evidence) -> str:
    return " ".join(
        render("conformal.html.j2", shown=conformal_section(evidence).shown)
        .replace("\N{NO-BREAK SPACE}", " ")
        .split()
    )


def some_cases(
    generator: np.random.Generator, draws: int, per_class: int, classes: int = 2
) -> HeldOut:
    labels = np.tile(np.repeat(np.arange(classes), per_class), (draws, 1))
    logits = (
        generator.normal(size=(1, draws, labels.shape[1], classes)) + 1.5 * np.eye(classes)[labels]
    )
    return HeldOut(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True), labels)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("classes", [2, 3])
def test_each_class_is_covered_as_often_as_was_asked_however_few_the_cases(level, classes):
    generator = np.random.default_rng(0)
    held_out, new = (
        some_cases(generator, 2000, 19, classes),
        some_cases(generator, 2000, 50, classes),
    )
    held = new.probabilities >= cuts(held_out, level)[:, :, None, :]
    for label in range(classes):
        own = new.labels[0] == label
        assert held[:, :, own, label].mean() == pytest.approx(
            np.ceil(20 * level - 1e-9) / 20, abs=0.01
        )


def test_a_cut_is_the_probability_of_the_case_with_that_rank_in_its_own_class():
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.4])
    held_out = HeldOut(
        np.stack([p, 1 - p], axis=-1)[None, None], np.array([[0, 0, 0, 0, 1, 1, 1, 1]])
    )
    assert cuts(held_out, 0.8) == pytest.approx(np.array([[[0.6, 0.6]]])) and cuts(
        held_out, 0.6
    ) == pytest.approx(np.array([[[0.7, 0.7]]]))
    assert (cuts(held_out, 0.9) == -np.inf).all()


def test_the_cases_that_a_level_takes():
    assert [cases_needed(level) for level in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]


def test_held_out_cases_are_the_labelled_ones_beyond_k(westside):
    found = read_held_out(westside.held_out, westside.classes, "prototypical", 5)
    assert (
        found.probabilities.shape == (2, 3, 20, 2)
        and found.per_class == 10
        and (found.labels.sum(axis=1) == 10).all()
    )
    row = westside.held_out.query(
        "method == 'prototypical' and k == 5 and seed == 1 and draw == 2"
    ).iloc[7]
    assert (
        found.probabilities[1, 2, 7] == pytest.approx(row[["p_AP", "p_PA"]].to_numpy(float))
        and westside.classes[found.labels[2, 7]] == row["label"]
    )


def test_coverage_sizes_and_errors_are_those_that_pandas_counts(westside):
    table = conformal_section(westside).tables["conformal.csv"]
    held = westside.held_out.query("method == 'prototypical' and k == 5")
    asked = westside.predictions.query("method == 'prototypical' and k == 5").set_index(
        ["seed", "draw"]
    )
    for name in ("AP", "PA"):  # ten cases a class: at 80 % the ninth highest probability
        cut = (
            held[held["label"] == name]
            .groupby(["seed", "draw"])[f"p_{name}"]
            .nlargest(9)
            .groupby(["seed", "draw"])
            .min()
        )
        asked[f"in_{name}"] = asked[f"p_{name}"] >= cut.reindex(asked.index)
    holds = np.where(asked["label"] == "AP", asked["in_AP"], asked["in_PA"]).astype(bool)
    size = asked["in_AP"].astype(int) + asked["in_PA"]
    wrong = pd.Series(~holds, asked.index)[size == 1].groupby(["seed", "draw"]).mean().mean()
    expected = {
        "coverage": holds.mean(),
        "size": size.mean(),
        "one_class": (size == 1).mean(),
        "wrong": wrong,
        "empty": (size == 0).mean(),
    }
    found = table[(table["level"] == 0.8) & (table["class"] == "all")].set_index("measure")
    assert found["value"].to_dict() == pytest.approx(expected) and found.loc[
        "wrong", "images"
    ] == pytest.approx((size == 1).sum() / 6)
    by_class = (
        table[(table["level"] == 0.8) & (table["class"] != "all")]
        .set_index("class")["value"]
        .to_dict()
    )
    assert by_class == pytest.approx(
        {name: holds[asked["label"] == name].mean() for name in ("AP", "PA")}
    )
    assert (found["patient_low"] <= found["value"]).all() and (
        found["value"] <= found["patient_high"]
    ).all()
    assert found.loc["coverage", "draws_low"] == pytest.approx(
        np.quantile(pd.Series(holds, asked.index).groupby("draw").mean(), 0.025)
    )


def test_a_level_with_too_few_cases_says_how_many_it_takes(westside):
    text = words(westside)
    assert (
        "At 95 % every set holds every class, since 10 further cases a class cannot promise so "
        "much: it takes 19 for 95 % (a k of 24 in tasks.shots)." in text
    )
    assert "Asked for 90 %" in text and "Asked for 95 %" not in text


def test_where_every_labelled_case_was_adapted_to_the_page_says_how_to_get_sets_and_still_abstains(
    westside,
):
    most = replace(
        westside,
        params=westside.params.model_copy(
            update={"report": westside.params.report.model_copy(update={"shots": 15})}
        ),
    )
    text = words(most)
    assert (
        "k = 15 is the largest k with results here" in text
        and "19 or more for sets at 80 %, 24 or more for sets at 90 %" in text
    )
    assert "What is gained by abstaining" in text and set(conformal_section(most).tables) == {
        "selective.csv",
        "conformal_cases.csv",
    }


def test_the_source_model_as_it_stands_is_calibrated_on_each_draw(westside):
    settings = westside.params.report.model_copy(update={"method": "source_only", "shots": 0})
    zero = replace(westside, params=westside.params.model_copy(update={"report": settings}))
    table = conformal_section(zero).tables["conformal.csv"]
    assert (table["cases_a_class"] == 15).all() and table["draws_low"].notna().all()
    assert np.isnan(abstaining(zero)[0].draws_low) and "nothing drawn" in words(zero)


def test_error_rates_and_the_area_equal_their_definition():
    generator = np.random.default_rng(1)
    confidence, wrong, weights = (
        generator.random(40),
        generator.random(40) < 0.3,
        generator.integers(0, 3, size=(5, 40)),
    )
    found = selective_risk(confidence, wrong, weights, (1.0, 0.5))
    for resample, drawn in enumerate(weights):
        order = np.argsort(-np.repeat(confidence, drawn), kind="stable")
        errors = np.repeat(wrong, drawn)[order]
        risk = errors.cumsum() / np.arange(1, len(errors) + 1)
        # copies of one image are answered together
        ends = np.cumsum(drawn[np.argsort(-confidence)])
        half = ends[np.argmax(ends >= len(errors) / 2)]
        area = np.mean([risk[ends[np.argmax(ends > at)] - 1] for at in range(len(errors))])
        assert found[:, resample] == pytest.approx([errors.mean(), risk[half - 1], area])


def test_a_method_that_knows_where_it_errs_gains_by_abstaining_and_a_constant_one_does_not():
    # all of them first, which says nothing where all are equally confident
    wrong = np.arange(100) < 20
    knows, constant = (
        selective_risk(confidence, wrong, np.ones((1, 100)))[:, 0]
        for confidence in (1.0 - wrong, np.ones(100))
    )
    assert knows[:-1] == pytest.approx([0.2, 10 / 90, 0, 0, 0]) and constant == pytest.approx(0.2)


def test_the_error_rate_of_all_images_is_one_minus_the_accuracy(westside):
    table = westside.predictions.query("method == 'prototypical' and k == 5")
    found = abstaining(westside)[0]
    assert found.value == pytest.approx(
        ((table["p_PA"] > table["p_AP"]) != (table["label"] == "PA")).mean()
    )
    assert found.patient_low < found.value < found.patient_high


def test_an_error_rate_rests_on_the_patients_whose_images_are_answered(westside):
    """Not on the classes by themselves: one class of few patients widens no interval of a share of
    all images.
    """
    truth = {
        f"p_{name}": (westside.predictions["label"] == name).astype(np.float32)
        for name in westside.classes
    }
    found, patients = (
        abstaining(replace(westside, predictions=westside.predictions.assign(**truth))),
        len(set(westside.query.patients)),
    )
    z2 = stats.norm.ppf(0.975) ** 2
    assert (found[0].value, found[0].patient_high) == pytest.approx((0, z2 / (patients + z2)))
    assert found[0].patient_high < found[-2].patient_high
