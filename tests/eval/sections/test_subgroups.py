"""Subgroups: the AUROC of each is that of its images alone, small ones are not judged, and a gap is
found and bounded.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from eval.evidence import Evidence, read_evidence
from eval.measures.subgroups import FEWEST, largest_gap, measure
from eval.sections.subgroups import section as subgroups_section


@pytest.fixture(scope="module")
def evidence(make_workspace, hospital) -> Evidence:
    return read_evidence(
        make_workspace(
            {"westside": hospital(patients=(260, 200), draws=3, methods=("prototypical",))}
        ),
        "westside",
        "target",
    )


def described(evidence: Evidence, **columns: object) -> Evidence:
    return replace(evidence, cohort=evidence.cohort.assign(**columns))


def row(evidence: Evidence, kind: str, group: str) -> pd.Series:
    return (
        subgroups_section(evidence)
        .tables["subgroups.csv"]
        .set_index(["kind", "group"])
        .loc[(kind, group)]
    )


def blurred(evidence: Evidence, records: pd.Series) -> Evidence:
    """The same answers, but for `records` without regard to the truth."""
    table = evidence.predictions.copy()
    at = table["record"].isin(records)
    table.loc[at, "p_PA"] = np.random.default_rng(0).random(at.sum()).astype(np.float32)
    return replace(evidence, predictions=table.assign(p_AP=1 - table["p_PA"]))


def test_a_groups_auroc_is_that_of_its_images_over_draws(evidence):
    women = evidence.cohort.loc[evidence.cohort["sex"] == "F", "record"]
    answers = evidence.predictions[
        (evidence.predictions["k"] == 5) & evidence.predictions["record"].isin(women)
    ]
    by_draw = [
        roc_auc_score(
            draw["label"] == "PA", draw["p_PA"].astype(float) - draw["p_AP"].astype(float)
        )
        for _, draw in answers.groupby("draw")
    ]
    found = row(evidence, "sex", "F")
    assert (
        found["auroc"] == pytest.approx(np.mean(by_draw))
        and found["draws_low"] >= min(by_draw)
        and found["draws_high"] <= max(by_draw)
    )
    assert found["patient_low"] < found["auroc"] < found["patient_high"]
    assert (
        found["classes"] == "PA"
        and found["patients"] == answers["patient"].nunique()
        and found["records"] == answers["record"].nunique()
    )


def test_the_first_row_is_the_verdicts(evidence):
    verdict = evidence.performance.set_index(["method", "k", "metric"]).loc[
        ("prototypical", 5, "auroc")
    ]
    found = row(evidence, "all", "All")
    assert (
        found["auroc"] == verdict["value"]
        and found["patient_low"] == verdict["patient_low"]
        and found["patients"] == 230
    )


def test_age_bands_hold_every_image_once(evidence):
    table = subgroups_section(evidence).tables["subgroups.csv"]
    assert table.loc[table["kind"] == "age", "group"].tolist() == [
        "under 40",
        "40 to 59",
        "60 to 79",
        "80 and over",
    ]
    assert table.loc[table["kind"] == "age", "records"].sum() == len(evidence.query.records)
    young = evidence.cohort[(evidence.cohort["age"] < 40) & (evidence.cohort["split"] == "query")]
    assert row(evidence, "age", "under 40")["patients"] == young["patient"].nunique()


@pytest.mark.parametrize(("positives", "enough"), [(FEWEST - 1, False), (FEWEST, True)])
def test_under_ten_patients_with_a_class_are_too_few(evidence, words_of, positives, enough):
    query = evidence.cohort[evidence.cohort["split"] == "query"]
    few = query.loc[query["label"] == "PA", "patient"].unique()[:positives]
    makers = np.where(
        (evidence.cohort["label"] == "AP") | evidence.cohort["patient"].isin(few),
        "Vendor A",
        "Vendor B",
    )
    changed = described(evidence, manufacturer=makers)
    found = row(changed, "manufacturer", "Vendor A")
    assert found["fewest_positive"] == positives and pd.notna(found["auroc"]) == enough
    assert row(changed, "manufacturer", "Vendor B")["measured"] == 0  # no patient without the class
    assert "too few" in words_of(subgroups_section(changed))
    assert "manufacturer" not in set(subgroups_section(changed).tables["subgroup_gaps.csv"]["of"])


def test_missing_values_are_a_group_but_no_part_of_a_gap(evidence, words_of):
    sexes = evidence.cohort["sex"].mask(evidence.cohort["sex"] == "F")
    changed = described(evidence, sex=sexes, age=pd.NA)
    assert row(changed, "sex", "unknown")["auroc"] == pytest.approx(
        row(evidence, "sex", "F")["auroc"]
    )
    assert largest_gap(changed) is None and "so no gap is known" in words_of(
        subgroups_section(changed)
    )
    assert "The files do not say age here. To give it, set labels.age" in words_of(
        subgroups_section(changed)
    )


def test_a_planted_gap_is_found_with_its_interval(evidence, words_of):
    changed = blurred(evidence, evidence.cohort.loc[evidence.cohort["sex"] == "F", "record"])
    gap = largest_gap(changed)
    assert (
        (gap.kind, gap.better, gap.worse) == ("sex", "M", "F")
        and gap.value > 0.25
        and 0.1 < gap.low < gap.value < gap.high
    )
    assert gap.value == pytest.approx(
        row(changed, "sex", "M")["auroc"] - row(changed, "sex", "F")["auroc"]
    )
    table = subgroups_section(changed).tables["subgroup_gaps.csv"].set_index("of")
    assert table.loc["all", ["value", "low", "high"]].tolist() == [gap.value, gap.low, gap.high]
    assert (
        f"is {gap.value:.3f} (sex: M above F; 95 % interval over patients {gap.low:.3f} to "
        f"{gap.high:.3f};" in words_of(subgroups_section(changed))
    )


def test_a_small_group_that_may_hide_a_larger_gap_widens_the_interval(evidence):
    table = subgroups_section(evidence).tables["subgroup_gaps.csv"].set_index("of")
    assert (
        table.loc["all", "high"] == table["high"].max()
        and table.loc["all", "low"] == table.loc[["sex", "age"], "low"].max()
    )
    assert table.loc["age", "pairs"] == 6 and table.loc["all", "pairs"] == 7


def test_groups_are_redrawn_independently(evidence):
    one, other = measure(evidence)[:2]
    assert abs(np.corrcoef(one.resampled[:, 0], other.resampled[:, 0])[0, 1]) < 0.4


def test_one_value_for_all_makes_no_group_and_is_said(evidence, words_of):
    section = subgroups_section(evidence)
    assert "The same for every query image: manufacturer: Vendor A; scanner model: M1" in words_of(
        section
    )
    assert set(section.tables["subgroups.csv"]["kind"]) == {"all", "sex", "age"}


def test_many_spacings_make_no_groups_and_rare_scanners_are_put_together(evidence, words_of):
    ends = evidence.cohort["patient"].str[-1]
    changed = described(evidence, spacing="0." + ends, model="M" + ends)
    assert "Too many values to make groups of: pixel spacing, mm." in words_of(
        subgroups_section(changed)
    )
    table = subgroups_section(changed).tables["subgroups.csv"]
    assert len(table[table["kind"] == "model"]) == 7 and "spacing" not in set(table["kind"])


def test_more_classes_are_averaged_where_a_group_has_enough_of_them(
    make_workspace, hospital, words_of
):
    site = hospital(
        classes=("a", "b", "c"), patients=(80, 80, 24), draws=2, methods=("prototypical",)
    )
    evidence = read_evidence(make_workspace({"westside": site}), "westside", "target")
    makers = np.where(
        (evidence.cohort["sex"] == "F") & (evidence.cohort["label"] != "c"), "Vendor A", "Vendor B"
    )
    section = subgroups_section(described(evidence, manufacturer=makers, age=pd.NA, sex=pd.NA))
    table = section.tables["subgroups.csv"].set_index(["kind", "group"])
    classes = (
        section.tables["subgroup_classes.csv"]
        .set_index(["kind", "group", "class"])["auroc"]
        .sort_index()
    )
    assert table["classes"].tolist() == ["a, b, c", "a, b, c", "a, b"] and table[
        "measured"
    ].tolist() == [3, 3, 2]
    assert np.isnan(classes["manufacturer", "Vendor A", "c"]) and "2 of 3" in words_of(section)
    assert table.loc[("manufacturer", "Vendor A"), "auroc"] == pytest.approx(
        classes["manufacturer", "Vendor A"][["a", "b"]].mean()
    )
    everybody = (
        evidence.performance.query("k == 5")
        .set_index("metric")["value"][["auroc:a", "auroc:b"]]
        .mean()
    )
    assert table.loc[("manufacturer", "Vendor A"), "all_auroc"] == pytest.approx(
        everybody
    ) and f"{everybody:.3f}" in words_of(section)
    difference = (classes["manufacturer", "Vendor A"] - classes["manufacturer", "Vendor B"])[
        ["a", "b"]
    ].mean()
    assert section.tables["subgroup_gaps.csv"].set_index("of").loc[
        "manufacturer", "value"
    ] == pytest.approx(abs(difference))


def test_no_field_at_all_is_said_with_what_to_do(evidence, words_of):
    nothing = described(
        evidence,
        **dict.fromkeys(("age", "sex", "manufacturer", "model", "spacing", "study_year"), pd.NA),
    )
    section = subgroups_section(nothing)
    assert (
        "Nothing that the files say tells groups of the query patients apart." in words_of(section)
        and largest_gap(nothing) is None
    )
    assert "labels.age and labels.sex" in words_of(section) and "nan" not in words_of(section)
