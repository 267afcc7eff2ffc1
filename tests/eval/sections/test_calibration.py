"""Calibration is measured as its definitions say, and mended on labelled cases that no number is
measured on.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from eval.answers import HeldOut
from eval.evidence import Evidence, read_evidence
from eval.measures.calibration import (
    AS_IS,
    RECALIBRATED,
    labelled_patients,
    recalibrated,
    temperatures,
)
from eval.page.render import render
from eval.sections.calibration import section as calibration_section


@pytest.fixture(scope="module")
def westside(make_workspace, hospital) -> Evidence:
    return read_evidence(
        make_workspace(
            {
                "westside": hospital(
                    shots=(0, 1, 5, 15),
                    draws=3,
                    methods=("majority", "prototypical", "source_only"),
                )
            }
        ),
        "westside",
        "target",
    )


def words(evidence: Evidence) -> str:
    return " ".join(
        render("calibration.html.j2", shown=calibration_section(evidence).shown)
        .replace("\N{NO-BREAK SPACE}", " ")
        .split()
    )


def asked_of(evidence: Evidence, **report: object) -> Evidence:
    """The same evidence, had the verdict been asked for another method or k."""
    return replace(
        evidence,
        params=evidence.params.model_copy(
            update={"report": evidence.params.report.model_copy(update=report)}
        ),
    )


def true_probabilities(
    generator: np.random.Generator, cases: int, prevalence: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The true class probabilities of cases under balanced classes, and labels drawn at
    `prevalence`: Gaussians around each class.
    """
    classes = len(prevalence)
    labels = generator.choice(classes, cases, p=prevalence)
    places = generator.normal(size=(cases, classes)) + np.eye(classes)[labels]
    return softmax(places, axis=1), labels


@pytest.mark.parametrize("sharper", [0.5, 1.0, 3.0])
def test_the_temperature_takes_back_what_made_the_answers_too_sure(sharper):
    p, labels = true_probabilities(np.random.default_rng(0), 20_000, (0.5, 0.5))
    held_out = HeldOut(softmax(sharper * np.log(p), axis=1)[None, None], labels[None])
    assert temperatures(held_out) == pytest.approx(np.array([[sharper]]), rel=0.05)


def test_the_temperature_stays_near_one_where_few_cases_say_little():
    # all right: likelihood alone would be surer without end
    right = HeldOut(np.array([[[[0.9, 0.1], [0.1, 0.9]]]]), np.array([[0, 1]]))
    wrong = HeldOut(right.probabilities, np.array([[1, 0]]))
    assert 0.3 < temperatures(right)[0, 0] < 1 < temperatures(wrong)[0, 0] < 10


def test_each_draw_and_seed_has_the_temperature_of_its_own_cases():
    generator = np.random.default_rng(1)
    p, labels = true_probabilities(generator, 4000, (0.5, 0.5))
    logs, labels = np.log(p).reshape(2, 2000, 2), labels.reshape(2, 2000)
    found = temperatures(HeldOut(softmax(np.stack([logs, 2 * logs]), axis=-1), labels))
    assert found.shape == (2, 2) and found[1] == pytest.approx(2 * found[0], rel=0.02)
    losses = [
        [
            -log_softmax(logs[draw] / t, axis=1)[np.arange(2000), labels[draw]].sum()
            + np.log(t) ** 2 / 2
            for t in (0.99 * best, best, 1.01 * best)
        ]
        for draw, best in enumerate(found[0])
    ]
    assert all(at_best < min(below, above) for below, at_best, above in losses)


def test_probabilities_of_balanced_classes_are_right_again_at_another_prevalence():
    prevalence = (0.7, 0.2, 0.1)
    p, labels = true_probabilities(np.random.default_rng(2), 100_000, prevalence)
    moved = recalibrated(p[None, None], np.ones((1, 1)), np.array(prevalence))[0, 0]
    assert moved.mean(axis=0) == pytest.approx(np.array(prevalence), abs=0.005) and p.mean(
        axis=0
    ) != pytest.approx(np.array(prevalence), abs=0.05)
    sure = moved[:, 2] > 0.5
    assert moved[sure, 2].mean() == pytest.approx((labels[sure] == 2).mean(), abs=0.03)


def test_temperature_one_and_balanced_classes_change_nothing():
    p = np.random.default_rng(3).dirichlet(np.ones(3), size=(2, 3, 10))
    assert recalibrated(p, np.ones((2, 3)), np.full(3, 1 / 3)) == pytest.approx(p)


def test_recalibration_sees_no_query_patient(westside):
    """Answers and labels of the query set may be anything."""
    other = westside.predictions.assign(
        label=np.where(westside.predictions["label"] == "AP", "PA", "AP"),
        p_AP=np.float32(0.3),
        p_PA=np.float32(0.7),
    )
    tables = [
        calibration_section(evidence).tables["recalibration.csv"]
        for evidence in (westside, replace(westside, predictions=other))
    ]
    pd.testing.assert_frame_equal(*tables)
    queried = set(westside.predictions["patient"])
    pool = westside.cohort[westside.cohort["split"] == "pool"]
    assert not queried & set(pool["patient"]) and labelled_patients(westside).to_dict() == {
        "AP": 65,
        "PA": 45,
    }


def test_brier_score_slope_and_intercept_are_scikit_learns(westside):
    table = (
        calibration_section(westside)
        .tables["calibration.csv"]
        .query("state == @AS_IS")
        .set_index("measure")
    )
    briers, slopes, gaps = [], [], []
    for _, rows in westside.predictions.query("method == 'prototypical' and k == 5").groupby(
        "draw"
    ):
        truth, p = rows["label"] == "PA", rows["p_PA"].astype(float).to_numpy()
        briers.append(brier_score_loss(truth, p))
        slopes.append(
            LogisticRegression(C=np.inf, tol=1e-10).fit(logit(p)[:, None], truth).coef_[0, 0]
        )
        gaps.append(abs(expit(logit(p) + table.loc["intercept", "value"]).mean() - truth.mean()))
    assert table.loc["brier", "value"] == pytest.approx(np.mean(briers), abs=1e-6)
    assert table.loc["slope", "value"] == pytest.approx(np.mean(slopes), abs=1e-3)
    # moved by the mean intercept, each draw's answers are as high as the truth on average
    assert max(gaps) < 0.02
    assert (
        (table["patient_low"] <= table["value"]).all()
        and (table["value"] <= table["patient_high"]).all()
        and table["draws_low"].notna().all()
    )


def test_the_bins_hold_every_image_and_the_figure_shows_how_many(westside):
    section = calibration_section(westside)
    bins = section.tables["reliability.csv"]
    assert bins.groupby("state")["images"].sum().to_dict() == pytest.approx(
        dict.fromkeys((AS_IS, RECALIBRATED), len(westside.query.records))
    )
    assert all(f">{images:.0f}<" in section.shown["figure"] for images in bins["images"])
    overall = (bins["observed"] * bins["images"]).groupby(bins["state"]).sum() / len(
        westside.query.records
    )
    assert overall.to_numpy() == pytest.approx((westside.query.labels == 1).mean(), abs=0.01)
    assert (
        'role="img"' in section.shown["figure"]
        and "Reliability diagram of prototypical at westside" in section.shown["figure"]
    )


def test_the_page_says_what_the_recalibration_took(westside):
    text, taken = words(westside), calibration_section(westside).tables["recalibration.csv"]
    assert (
        "Recalibrated on 10 further labelled cases of each class that the model has not adapted to "
        "(15 labelled of each class in all)" in text
    )
    assert (
        f"median {taken['value'][0]:.3f}, from {taken['value'][1]:.3f} to {taken['value'][2]:.3f}"
        in text
    )
    assert "AP 59 % (65 patients), PA 41 % (45 patients)." in text


def test_where_every_labelled_case_was_adapted_to_the_page_says_how_to_get_a_recalibration(
    westside,
):
    most = asked_of(westside, shots=15)
    text = words(most)
    assert (
        "There is no recalibration: k = 15 is the largest k with results here" in text
        and "Add a larger k to tasks.shots" in text
    )
    assert (
        set(calibration_section(most).tables["calibration.csv"]["state"]) == {AS_IS}
        and "recalibration.csv" not in calibration_section(most).tables
    )


def test_the_source_model_as_it_stands_is_recalibrated_in_each_draw(westside):
    table = calibration_section(asked_of(westside, method="source_only", shots=0)).tables[
        "calibration.csv"
    ]
    briers = table[table["measure"] == "brier"].set_index("state")
    assert (
        pd.isna(briers.loc[AS_IS, "draws_low"])
        and briers.loc[RECALIBRATED, "draws_low"] < briers.loc[RECALIBRATED, "draws_high"]
    )


def test_probabilities_that_are_all_the_same_have_no_slope_and_the_page_says_so(westside):
    same = replace(
        westside,
        predictions=westside.predictions.assign(p_AP=np.float32(0.6), p_PA=np.float32(0.4)),
    )
    table = calibration_section(same).tables["calibration.csv"]
    assert "slope" not in set(
        table["measure"]
    ) and "none: the probabilities part the classes, or are all the same" in words(same)
    assert "nan" not in words(same)


def test_more_than_two_classes_have_a_line_each_and_a_diagram_of_the_class_named(
    make_workspace, hospital
):
    three = hospital(
        classes=("a", "b", "c"),
        patients=(40, 30, 30),
        draws=2,
        shots=(5, 10),
        methods=("prototypical",),
    )
    evidence = read_evidence(make_workspace({"westside": three}), "westside", "target")
    table = calibration_section(evidence).tables["calibration.csv"]
    assert table.query("measure == 'slope' and state == @AS_IS")["class"].tolist() == [
        "a",
        "b",
        "c",
    ]
    answers = evidence.predictions.query("k == 5")
    truth = (answers["label"].to_numpy()[:, None] == np.array(["a", "b", "c"])).astype(float)
    expected = ((answers[["p_a", "p_b", "p_c"]].to_numpy(float) - truth) ** 2).sum(axis=1).mean()
    assert table.query("measure == 'brier' and state == @AS_IS")["value"].item() == pytest.approx(
        expected, abs=1e-6
    )
    assert "share of images for which it is right" in words(evidence)
