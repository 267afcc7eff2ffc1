"""The patient bootstrap keeps patients together and classes present; intervals are what their names
say, and never empty.
"""

import numpy as np
import pytest
from scipy import stats

from eval.intervals.draws import mean_half_width, percentile_interval
from eval.intervals.patients import PSEUDO, Bootstrap, bootstrap
from eval.measures.paired import holm
from eval.scores.label import balanced_accuracy, weighted_auroc

PATIENTS = np.array(["a", "a", "b", "c", "c", "c", "d", "e", "e"])
LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0, 1])  # e has images of both classes


def drawn(
    patients: np.ndarray = PATIENTS,
    labels: np.ndarray = LABELS,
    resamples: int = 200,
    seed: int = 0,
) -> Bootstrap:
    return bootstrap(patients, labels, resamples, 0.95, seed)


def cohort(positives: int, negatives: int, resamples: int = 500) -> Bootstrap:
    """One image a patient, positives first."""
    labels = np.repeat([1, 0], [positives, negatives])
    return drawn(np.arange(len(labels)).astype(str), labels, resamples)


def share(bootstrap: Bootstrap, right: np.ndarray, of: np.ndarray) -> np.ndarray:
    weights = bootstrap.weights[:, of].astype(float)
    return weights @ right[of] / weights.sum(axis=1)


def test_all_images_of_a_patient_are_drawn_together():
    for patient in "ace":
        assert (np.ptp(drawn().weights[:, patient == PATIENTS], axis=1) == 0).all()


def test_every_resample_holds_as_many_patients_of_each_set_of_classes_as_the_query_set():
    first = np.unique(PATIENTS, return_index=True)[1]
    for stratum in (["a", "b"], ["c", "d"], ["e"]):
        columns = [index for index in first if PATIENTS[index] in stratum]
        assert (drawn().weights[:, columns].sum(axis=1) == len(stratum)).all()


def test_one_patient_of_a_stratum_is_left_out_of_every_resample():
    assert (cohort(4, 9).weights[:, :4].min(axis=1) == 0).all()


def test_resamples_differ_and_are_the_same_for_the_same_seed():
    weights = drawn().weights
    assert len(np.unique(weights, axis=0)) > 1
    assert (drawn().weights == weights).all()
    assert (drawn(seed=1).weights != weights).any()


def test_the_variance_of_a_mean_over_few_patients_is_that_of_the_textbook():
    values, of = np.array([0.1, 0.5, 0.9, 0.2]), np.arange(13) < 4
    means = share(cohort(4, 9, resamples=20_000), np.append(values, np.zeros(9)), of)
    assert means.var() == pytest.approx(values.var(ddof=1) / 4, rel=0.03)


def test_the_interval_of_a_share_is_wilsons_of_scipy():
    right, of = np.arange(450) % 5 > 0, np.arange(450) < 400
    found = cohort(400, 50, resamples=20_000)
    expected = stats.binomtest(int(right[of].sum()), 400).proportion_ci(method="wilson")
    assert found.interval(0.8, share(found, right, of), of=of) == pytest.approx(
        (expected.low, expected.high), abs=0.002
    )


@pytest.mark.parametrize("patients", [1, 5, 40])
def test_a_share_without_an_error_has_the_width_of_wilsons_interval(patients):
    found, of = cohort(patients, 60), np.arange(patients + 60) < patients
    expected = stats.binomtest(patients, patients).proportion_ci(method="wilson")
    assert found.interval(1.0, np.ones(500), of=of) == pytest.approx((expected.low, 1))
    assert found.interval(0.0, np.zeros(500), of=of) == pytest.approx((0, 1 - expected.low))


def test_more_images_of_the_same_patients_do_not_narrow_the_interval():
    labels, correct, names = (
        np.zeros(100, int),
        (np.arange(100) % 4 > 0).astype(float),
        np.arange(100).astype(str),
    )
    once, thrice = drawn(names, labels), drawn(np.repeat(names, 3), np.repeat(labels, 3))
    again = balanced_accuracy(np.repeat(correct, 3), np.repeat(labels, 3), thrice.weights)
    assert thrice.interval(0.75, again) == pytest.approx(
        once.interval(0.75, balanced_accuracy(correct, labels, once.weights))
    )


def test_classes_that_are_parted_perfectly_leave_room_for_errors_and_less_so_with_more_patients():
    lows = []
    for patients in (5, 50, 500):
        found = cohort(patients, patients)
        scores, positive = np.arange(2.0 * patients)[None, ::-1], found.labels == 1
        low, high = found.interval(1.0, weighted_auroc(scores, positive, found.weights))
        assert high == 1
        lows.append(low)
    assert 0.5 < lows[0] < 0.8 < lows[1] < 0.97 < lows[2] < 1


def test_a_difference_is_its_normal_interval_with_a_little_added_for_what_was_not_seen():
    found, resampled = cohort(50, 50), np.random.default_rng(0).normal(0.1, 0.04, 500)
    low, high = found.interval(0.1, resampled, -1, 1)
    half = 1.96 * np.sqrt(resampled.var(ddof=1) + PSEUDO / 4 * (2 / 50**2) / 4)
    assert (low, high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.003)


def test_the_interval_of_a_loss_is_wilsons_with_students_t_of_the_smallest_class():
    found, resampled = cohort(6, 50), np.random.default_rng(0).normal(0.2, 0.02, 500)
    low, high = found.loss_interval(0.2, resampled)
    # Wilson's bounds are where the value is just as many standard errors of the bound away
    for end in (
        low,
        high,
    ):
        away = (
            stats.t.ppf(0.975, 5) * resampled.std(ddof=1) * np.sqrt(end * (1 - end) / (0.2 * 0.8))
        )
        assert abs(end - 0.2) == pytest.approx(away, rel=0.01)
    assert found.loss_interval(0.0, np.zeros(500))[1] > 0.1


def test_the_interval_of_a_slope_is_not_stretched_by_a_few_separated_resamples():
    found, resampled = cohort(20, 20), np.random.default_rng(0).normal(1, 0.2, 500)
    low, high = found.interval(1.0, resampled, -np.inf, np.inf)
    assert (low, high) == pytest.approx((1 - 1.96 * 0.2, 1 + 1.96 * 0.2), abs=0.04)
    resampled[:10] = 500
    assert found.interval(1.0, resampled, -np.inf, np.inf) == pytest.approx((low, high), abs=0.03)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 2), (-np.inf, np.inf)])
@pytest.mark.parametrize("value", [0.0, 1e-9, 0.3, 1 - 1e-9, 1.0])
@pytest.mark.parametrize("spread", [0.0, 1e-6, 0.3])
def test_an_interval_is_finite_and_holds_its_value_within_the_bounds(low, high, value, spread):
    resampled = np.clip(value + spread * np.random.default_rng(0).normal(size=500), low, high)
    for found in (
        cohort(2, 30).interval(value, resampled, low, high),
        cohort(2, 30).loss_interval(value, resampled.clip(0, 1)),
    ):
        assert np.isfinite(found).all() and low <= found[0] <= value <= found[1] <= high


def test_resamples_without_a_value_are_left_out_and_too_many_of_them_leave_no_interval():
    found, resampled = cohort(20, 20), np.random.default_rng(0).normal(0.5, 0.1, 500)
    resampled[:100] = np.nan
    assert np.isfinite(found.interval(0.5, resampled)).all()
    resampled[:251] = np.nan
    assert np.isnan(found.interval(0.5, resampled)).all()
    assert np.isnan(found.interval(np.nan, np.ones(500))).all() and np.isnan(
        found.p_value(0.5, resampled)
    )


def test_the_p_value_agrees_with_the_normal_one_and_is_never_nought():
    found, resampled = (
        cohort(2000, 2000, resamples=2),
        np.random.default_rng(0).normal(0.1, 0.05, 20_000),
    )
    assert found.p_value(0.1, resampled) == pytest.approx(2 * stats.norm.sf(2), rel=0.1)
    assert found.p_value(0.9, resampled + 0.8) == 1 / 20_001
    assert found.p_value(0.0, resampled - 0.1) == found.p_value(0.0, np.zeros(999)) == 1


@pytest.mark.parametrize("difference", [0.05, 0.08, 0.12, 0.2])
def test_the_p_value_is_small_just_where_the_interval_leaves_nought_out(difference):
    found, resampled = (
        cohort(5, 40),
        difference + 0.04 * stats.norm.ppf((np.arange(500) + 0.5) / 500),
    )
    low, high = found.interval(difference, resampled, -1, 1)
    assert (found.p_value(difference, resampled) <= 0.05) == (not low <= 0 <= high)


def test_holms_values_are_those_of_his_step_down_test():
    generator = np.random.default_rng(0)
    for _ in range(20):
        p_values = np.round(generator.random(6) ** 3, 2)
        for level in (0.01, 0.05, 0.2):
            rejected, order = np.zeros(6, bool), np.argsort(p_values)
            for rank, test in enumerate(order):
                if p_values[test] * (6 - rank) > level:
                    break
                rejected[test] = True
            assert ((holm(p_values) <= level) == rejected).all()
    assert list(holm(np.array([0.9, 0.01, 0.8]))) == pytest.approx([1, 0.03, 1])


def test_the_percentile_interval_holds_the_central_share():
    assert percentile_interval(np.arange(101.0), 0.9) == pytest.approx((5, 95))
    assert np.isnan(percentile_interval(np.array([0.7]), 0.9)).all()


def test_the_interval_of_a_mean_over_draws_is_students():
    values = np.array([0.6, 0.7, 0.65, 0.8])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=values.std(ddof=1) / 2)
    assert mean_half_width(values, 0.95) == pytest.approx((high - low) / 2)
