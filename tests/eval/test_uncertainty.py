"""The patient bootstrap keeps patients together and classes present; intervals are what their names say."""

import numpy as np
import pytest
from scipy import stats

from eval.metrics import balanced_accuracy
from eval.uncertainty import mean_half_width, patient_weights, percentile_interval

PATIENTS = np.array(["a", "a", "b", "c", "c", "c", "d", "e", "e"])
LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0, 1])  # e has images of both classes


def test_all_images_of_a_patient_are_drawn_together():
    weights = patient_weights(PATIENTS, LABELS, 50, seed=0)
    for patient in "ace":
        assert (np.ptp(weights[:, patient == PATIENTS], axis=1) == 0).all()


def test_every_resample_holds_as_many_patients_of_each_set_of_classes_as_the_query_set():
    weights = patient_weights(PATIENTS, LABELS, 200, seed=0)
    first = np.unique(PATIENTS, return_index=True)[1]
    for stratum in (["a", "b"], ["c", "d"], ["e"]):
        assert (weights[:, [index for index in first if PATIENTS[index] in stratum]].sum(axis=1) == len(stratum)).all()


def test_resamples_differ_and_are_the_same_for_the_same_seed():
    weights = patient_weights(PATIENTS, LABELS, 50, seed=0)
    assert len(np.unique(weights, axis=0)) > 1
    assert (patient_weights(PATIENTS, LABELS, 50, seed=0) == weights).all()
    assert (patient_weights(PATIENTS, LABELS, 50, seed=1) != weights).any()


def test_the_spread_over_resamples_is_the_standard_error_of_a_share():
    labels, correct = np.zeros(400, int), (np.arange(400) % 4 > 0).astype(float)
    weights = patient_weights(np.arange(400).astype(str), labels, 4000, seed=0)
    assert balanced_accuracy(correct, labels, weights).std() == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.05)


def test_more_images_of_the_same_patients_do_not_narrow_the_interval():
    labels, correct, names = np.zeros(100, int), (np.arange(100) % 4 > 0).astype(float), np.arange(100).astype(str)
    once = balanced_accuracy(correct, labels, patient_weights(names, labels, 500, seed=0))
    thrice = [np.repeat(part, 3) for part in (correct, labels, names)]
    again = balanced_accuracy(thrice[0], thrice[1], patient_weights(thrice[2], thrice[1], 500, seed=0))
    assert percentile_interval(again, 0.95) == pytest.approx(percentile_interval(once, 0.95))


def test_the_percentile_interval_holds_the_central_share():
    assert percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))


def test_the_interval_of_a_mean_over_draws_is_students():
    values = np.array([0.6, 0.7, 0.65, 0.8])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=values.std(ddof=1) / 2)
    assert mean_half_width(values, 0.95) == pytest.approx((high - low) / 2)
