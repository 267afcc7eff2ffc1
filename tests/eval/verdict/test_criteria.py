"""Criteria: what is met, what is not, what these patients cannot tell, and how many more could."""

import math
from dataclasses import replace

import numpy as np
import pytest

from eval.measures.calibration import expected_error
from eval.measures.operating_point import operating_points
from eval.measures.subgroups import largest_gap
from eval.results import read_results
from eval.scores.label import AUROC
from eval.settings import Accept, Params, load_params
from eval.verdict.criteria import (
    Criterion,
    Measured,
    criteria,
    further_patients,
    judged,
    overall,
    sensitivity,
)
from workspace.paths import Workspace


def held(
    value: float, low: float, high: float, bound: float = 0.85, at_least: bool = True
) -> Criterion:
    return judged("auroc", AUROC.asks(bound), bound, Measured(value, low, high, 100), at_least)


def accepting(params: Params, **asked: float) -> Params:
    return params.model_copy(
        update={"report": params.report.model_copy(update={"accept": Accept(**asked)})}
    )


@pytest.mark.parametrize(
    ("low", "value", "high", "word"),
    [
        (0.85, 0.90, 0.95, "met"),
        (0.70, 0.80, 0.849, "not met"),
        (0.70, 0.80, 0.85, "cannot tell"),
        (0.84, 0.90, 0.95, "cannot tell"),
    ],
)
def test_a_whole_interval_decides_and_a_bound_inside_it_does_not(low, value, high, word):
    assert held(value, low, high).word == word
    mirrored = held(-value, -high, -low, bound=-0.85, at_least=False)
    assert mirrored.word == word and mirrored.further == held(value, low, high).further


def test_one_criterion_that_is_not_met_decides_over_one_that_cannot_be_told():
    met, not_met, unknown = held(0.9, 0.86, 0.95), held(0.7, 0.6, 0.8), held(0.9, 0.8, 0.95)
    assert (
        overall([met]) == "met"
        and overall([met, unknown]) == "cannot tell"
        and overall([unknown, not_met, met]) == "not met"
    )


def test_further_patients_are_those_after_which_a_simulated_interval_reaches_the_bound():
    """A share measured on n patients has an interval of 1.96 standard errors; with the patients
    named, its end lies at the bound.
    """
    share, bound, patients = 0.9, 0.85, 60
    end = share - 1.96 * math.sqrt(share * (1 - share) / patients)
    more = further_patients(share, end, bound, patients)
    reached = share - 1.96 * math.sqrt(share * (1 - share) / (patients + more))
    before = share - 1.96 * math.sqrt(share * (1 - share) / (patients + more - 1))
    assert before < bound <= reached


def test_a_value_at_its_bound_is_settled_by_no_study():
    assert (
        further_patients(0.85, 0.80, 0.85, 100) is None
        and further_patients(0.851, 0.80, 0.85, 100) is None
    )
    unsettled = held(0.8501, 0.80, 0.90)
    assert (
        unsettled.further is None and "no study of a reasonable size settles it" in unsettled.reason
    )


def test_a_share_of_the_patients_is_settled_by_as_many_times_more_of_all_of_them():
    """Twenty positives among 200 patients: whoever needs 30 positives more has to measure 300
    patients more.
    """
    of_all, of_some = (
        judged("sensitivity", "", 0.85, Measured(0.9, 0.8, 0.96, 20, share=share), True).further
        for share in (1.0, 0.1)
    )
    assert of_some == pytest.approx(10 * of_all, abs=10)


def test_the_sensitivity_is_measured_on_positives_and_settled_by_patients(with_a_source):
    results = read_results(with_a_source, load_params(with_a_source), "westside", "target")
    found = sensitivity(results)
    assert (
        found.patients == operating_points(results)[0].positive_patients == 30
        and found.share == 0.5
    )


def test_what_was_not_measured_cannot_be_told_and_says_why():
    missing = judged(
        "sensitivity",
        "",
        0.9,
        Measured(None, None, None, 40, "no source site has this task: add one"),
        True,
    )
    assert (
        missing.word == "cannot tell"
        and missing.reason == "no source site has this task: add one"
        and missing.further is None
    )


@pytest.mark.parametrize(
    ("most", "patient_low", "patient_high", "word", "says"),
    [
        (5, [0.5, 0.6, 0.9, 0.9], [0.7, 0.8, 0.99, 0.99], "met", "reached from k = 5 on"),
        (
            2,
            [0.5, 0.6, 0.9, 0.9],
            [0.7, 0.8, 0.99, 0.99],
            "not met",
            "at every k up to 2 the whole interval is below",
        ),
        (
            2,
            [0.5, 0.6, 0.9, 0.9],
            [0.7, 0.88, 0.99, 0.99],
            "cannot tell",
            "no k up to 2 reaches the AUROC for good, nor do all intervals there lie below it",
        ),
        (
            5,
            [0.5, 0.6, 0.9, 0.7],
            [0.7, 0.88, 0.99, 0.99],
            "cannot tell",
            "no k up to 5 reaches the AUROC for good",
        ),
    ],
)
def test_labelled_patients_are_counted_up_to_the_smallest_k_that_reaches_the_auroc_for_good(
    make_workspace, hospital, most, patient_low, patient_high, word, says
):
    workspace = make_workspace(
        {"westside": hospital(patients=(20, 20), draws=2, methods=("prototypical",))}
    )
    results = read_results(
        workspace, accepting(load_params(workspace), auroc=0.85, shots=most), "westside", "target"
    )
    table = results.performance.copy()
    at = (table["metric"] == "auroc") & (table["method"] == "prototypical")
    table.loc[at, ["patient_low", "patient_high"]] = np.array([patient_low, patient_high]).T
    found = criteria(replace(results, performance=table))
    assert [criterion.name for criterion in found] == ["auroc", "shots"]
    assert found[1].word == word and says in found[1].reason


def test_a_number_of_shots_below_all_that_were_tried_cannot_be_told(make_workspace, hospital):
    workspace = make_workspace(
        {"westside": hospital(patients=(40, 40), draws=2, shots=(2, 5), methods=("prototypical",))}
    )
    found = criteria(
        read_results(
            workspace, accepting(load_params(workspace), auroc=0.999, shots=1), "westside", "target"
        )
    )[1]
    assert (
        found.word == "cannot tell"
        and "no k of at most 1 was tried: add one to tasks.shots" in found.reason
    )


@pytest.fixture(scope="module")
def with_a_source(make_workspace, hospital) -> Workspace:
    few = {"patients": (60, 60), "draws": 2, "methods": ("prototypical",)}
    return make_workspace(
        {"westside": hospital(**few), "northgate": hospital(role="source", seed=2, **few)}
    )


def answered(workspace: Workspace, **accept: float) -> dict[str, Criterion]:
    results = read_results(
        workspace, accepting(load_params(workspace), **accept), "westside", "target"
    )
    return {criterion.name: criterion for criterion in criteria(results)}


def test_every_criterion_that_is_given_is_held_against_what_its_section_shows(with_a_source):
    results = read_results(with_a_source, load_params(with_a_source), "westside", "target")
    found = answered(
        with_a_source,
        auroc=0.5,
        shots=10,
        sensitivity=0.01,
        calibration_error=0.99,
        subgroup_gap=0.99,
    )
    assert list(found) == ["auroc", "shots", "sensitivity", "calibration_error", "subgroup_gap"]
    assert {criterion.word for criterion in found.values()} == {"met"}
    assert found["sensitivity"].value == operating_points(results)[0].sensitivity.value
    assert (
        found["calibration_error"].value
        == expected_error(results, results.verdict_answers.probabilities).value
    )
    assert found["subgroup_gap"].value == largest_gap(results).value
    strict = answered(with_a_source, sensitivity=0.999, calibration_error=0.001, subgroup_gap=0.001)
    assert (
        strict["sensitivity"].word == "not met"
        and strict["calibration_error"].word != "met"
        and strict["subgroup_gap"].word != "met"
    )


def test_the_worst_class_answers_for_the_sensitivity(make_workspace, hospital):
    few = {
        "classes": ("a", "b", "c"),
        "patients": (40, 40, 40),
        "draws": 2,
        "methods": ("prototypical",),
    }
    workspace = make_workspace(
        {"westside": hospital(**few), "northgate": hospital(role="source", seed=2, **few)}
    )
    points = operating_points(read_results(workspace, load_params(workspace), "westside", "target"))
    found = answered(workspace, sensitivity=0.5)["sensitivity"]
    assert found.value == min(point.sensitivity.value for point in points) and found.low == min(
        point.sensitivity.patient_low for point in points
    )
    assert found.low <= found.value <= found.high


def test_without_a_source_or_subgroups_a_criterion_cannot_be_told_and_says_what_to_add(
    make_workspace, hospital
):
    workspace = make_workspace(
        {"westside": hospital(patients=(12, 12), shots=(1, 2), draws=2, methods=("prototypical",))}
    )
    found = answered(workspace, sensitivity=0.5, subgroup_gap=0.1)
    assert (
        found["sensitivity"].word == "cannot tell"
        and "add a source site with this task" in found["sensitivity"].reason
    )
    assert (
        found["subgroup_gap"].word == "cannot tell"
        and "labels.age, labels.sex" in found["subgroup_gap"].reason
    )
