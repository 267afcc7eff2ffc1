"""Who the patients are: every patient counted, missing ones too, and what only this site has is
seen.
"""

from dataclasses import replace

import pandas as pd
import pytest

from eval.evidence import Evidence, read_evidence
from eval.sections.patients import SOURCES
from eval.sections.patients import section as patients_section


@pytest.fixture(scope="module")
def evidence(make_workspace, hospital) -> Evidence:
    few = {"draws": 2, "methods": ("prototypical",)}
    workspace = make_workspace(
        {
            "westside": hospital(patients=(60, 40), manufacturer="Vendor B", **few),
            "northgate": hospital(role="source", patients=(30, 50), seed=2, **few),
            "southgate": hospital(role="source", patients=(20, 20), seed=3, **few),
        }
    )
    return read_evidence(workspace, "westside", "target")


def changed(evidence: Evidence, **columns: object) -> Evidence:
    return replace(evidence, cohort=evidence.cohort.assign(**columns))


def counts(evidence: Evidence) -> pd.DataFrame:
    return patients_section(evidence).tables["patients.csv"].set_index(["group", "field", "value"])


def test_the_counts_are_those_of_the_cohort(evidence):
    table, cohort = counts(evidence), evidence.cohort
    assert table.loc[("westside", "label", "AP"), ["patients", "images"]].tolist() == [
        60,
        (cohort["label"] == "AP").sum(),
    ]
    assert table.loc[("westside: query", "label", "PA"), ["patients", "of_patients"]].tolist() == [
        20,
        50,
    ]
    assert table.loc[(SOURCES, "label", "PA"), "patients"] == 70 and table.loc[
        ("northgate", "label", "PA"), "share"
    ] == pytest.approx(50 / 80)
    women = cohort[cohort["sex"] == "F"]
    assert table.loc[("westside", "sex", "F"), ["patients", "images"]].tolist() == [
        women["patient"].nunique(),
        len(women),
    ]
    for field in ("label", "sex", "manufacturer"):
        assert table.loc["westside"].loc[field, "patients"].sum() == 100


def test_ages_are_of_patients_and_missing_ones_are_counted(evidence):
    ages = evidence.cohort["age"].mask(
        evidence.cohort["patient"].isin(evidence.cohort["patient"].unique()[:7])
    )
    table = (
        patients_section(changed(evidence, age=ages))
        .tables["patients_measured.csv"]
        .set_index(["group", "field"])
    )
    known = (
        evidence.cohort.assign(age=ages).drop_duplicates("patient")["age"].dropna().astype(float)
    )
    row = table.loc[("westside", "age")]
    assert (row["known"], row["unknown"]) == (93, 7)
    assert [row["lower_quartile"], row["median"], row["upper_quartile"]] == pytest.approx(
        known.quantile([0.25, 0.5, 0.75]).tolist()
    )
    assert (row["lowest"], row["highest"]) == (known.min(), known.max())


def test_a_patient_with_two_classes_counts_in_both(evidence):
    first = evidence.cohort["patient"].eq(
        evidence.cohort.loc[evidence.cohort["label"] == "AP", "patient"].iloc[0]
    )
    both = pd.concat(
        [evidence.cohort, evidence.cohort[first].head(1).assign(label="PA", record="another")]
    )
    table = counts(replace(evidence, cohort=both)).loc["westside"].loc["label", "patients"]
    assert table.tolist() == [60, 41]


def test_what_only_this_site_has_is_said(evidence, words_of):
    text = words_of(patients_section(evidence))
    assert "Vendor B 100 (100 %)" in text and "only here" in text and "not here" in text
    assert counts(evidence).loc[("westside", "manufacturer", "Vendor B"), "above_sources"] == 1
    share = counts(evidence)["share"]
    points = 100 * (share["westside", "label", "AP"] - share[SOURCES, "label", "AP"])
    assert f"{points:+.0f} points" in text


def test_missing_values_have_a_row_of_their_own(evidence, words_of):
    cohort = evidence.cohort
    some = changed(evidence, model=cohort["model"].mask(cohort["split"] == "pool"))
    assert counts(some).loc[("westside", "model", "unknown"), "patients"] == 50
    assert "unknown 50 (50 %)" in words_of(patients_section(some))


def test_what_is_unknown_is_not_called_another_value(evidence):
    shown = patients_section(changed(evidence, manufacturer=pd.NA)).shown["differences"]
    assert (
        shown["manufacturer", "Vendor A"] == "not known"
        and shown["manufacturer", "unknown"] == "+100 points"
    )
    assert patients_section(changed(evidence, age=pd.NA)).shown["differences"]["age"] == "not known"


def test_rare_values_are_put_together_and_counted(evidence):
    cohort = evidence.cohort
    spacings = "0." + cohort["patient"].str[-2:]
    table = counts(changed(evidence, spacing=spacings)).loc["westside"].loc["spacing"]
    # six of all, one of them the sources'
    assert table.index[-1] == f"{spacings.nunique() + 1 - 6} other values" and len(table) == 7


def test_no_ages_and_no_sexes_are_said_with_what_to_do(make_workspace, hospital, words_of):
    workspace = make_workspace(
        {
            "westside": hospital(
                patients=(20, 20),
                draws=2,
                methods=("prototypical",),
                unknown=("age", "sex", "model"),
            )
        }
    )
    text = words_of(patients_section(read_evidence(workspace, "westside", "target")))
    assert (
        "The files do not say age and sex here. To give them, set labels.age and labels.sex" in text
    )
    assert "The files do not say model here" in text and "0 known 40 unknown" in text
    assert (
        "No other source site has the task chest view with all of these classes" in text
        and "nan" not in text
        and "<NA>" not in text
    )


def test_the_cap_on_ages_is_said(evidence, words_of):
    assert "Ages over 90 are kept as 90" in words_of(patients_section(evidence))
