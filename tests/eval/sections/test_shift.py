"""Shift: the distance is the energy distance, prevalence and numbers of images do not move it, and
chance has its scale beside it.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from eval.evidence import Evidence, read_evidence
from eval.measures import shift
from eval.measures.energy import coefficient, patient_features, random_splits
from eval.measures.shift import field_differences, measure
from eval.sections.shift import section as shift_section

FEW = {"draws": 2, "methods": ("prototypical",)}


@pytest.fixture(scope="module")
def evidence(make_workspace, hospital) -> Evidence:
    workspace = make_workspace(
        {
            "westside": hospital(patients=(60, 60), moved=0.8, manufacturer="Vendor B", **FEW),
            "northgate": hospital(role="source", patients=(60, 60), seed=2, **FEW),
            "southgate": hospital(role="source", patients=(60, 60), seed=3, moved=0.2, **FEW),
        }
    )
    return read_evidence(workspace, "westside", "target")


def features(patients: dict[str, int], seed: int, moved: float = 0.0) -> pd.DataFrame:
    """Normal features of which the class moves the first, by three."""
    generator = np.random.default_rng(seed)
    index = [
        (name, f"{seed}{name}{number}") for name, many in patients.items() for number in range(many)
    ]
    values = generator.normal(moved, 1, size=(len(index), 4))
    values[:, 0] += [3 * (name == "PA") for name, _ in index]
    return pd.DataFrame(values, index=pd.MultiIndex.from_tuples(index, names=["label", "patient"]))


def between(here: pd.DataFrame, *sources: pd.DataFrame):
    return measure(
        "here",
        here,
        {f"source{number}": found for number, found in enumerate(sources)},
        ["AP", "PA"],
        seed=0,
    )


def test_the_distance_in_one_dimension_is_that_of_scipy_without_its_bias():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=30), generator.normal(0.7, 2, size=50)
    distances = np.abs(np.subtract.outer(np.r_[x, y], np.r_[x, y]))
    across, own = (
        distances[:30, 30:].mean(),
        [distances[:30, :30].sum() / (30 * 29), distances[30:, 30:].sum() / (50 * 49)],
    )
    unbiased = 2 * across * coefficient(distances, (np.arange(80) < 30)[None])[0]
    assert unbiased + own[0] / 30 + own[1] / 50 == pytest.approx(stats.energy_distance(x, y) ** 2)


def test_the_distance_of_groups_that_lie_wholly_apart_is_one():
    distances = np.array([[0, 0, 5, 5], [0, 0, 5, 5], [5, 5, 0, 0], [5, 5, 0, 0]], float)
    assert coefficient(distances, np.array([[True, True, False, False]])) == pytest.approx([1])


@pytest.mark.parametrize("first", [5, 20, 50])
def test_random_groups_are_nought_apart_on_average_whatever_their_size(first):
    points = np.random.default_rng(0).normal(size=(100, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    splits = random_splits(100, first, 4000, np.random.default_rng(1))
    assert (splits.sum(axis=1) == first).all()
    null = coefficient(distances, splits)
    assert abs(null.mean()) < 4 * null.std() / np.sqrt(4000)


def test_a_site_like_the_sources_is_seldom_called_far_and_a_moved_one_always():
    def p(seed: int, moved: float) -> float:
        return (
            between(
                features({"AP": 30, "PA": 30}, seed, moved),
                features({"AP": 60, "PA": 60}, 1000 + seed),
            )
            .sites["p"]
            .iloc[0]
        )

    alike = [p(seed, 0) for seed in range(60)]
    assert np.mean(np.array(alike) < 0.05) <= 0.12 and np.mean(alike) > 0.3
    assert max(p(seed, 1) for seed in range(10)) < 0.01


def test_another_prevalence_alone_is_no_distance():
    source = features({"AP": 100, "PA": 100}, 1)
    found = between(features({"AP": 100, "PA": 12}, 2), source)
    assert found.sites["p"].iloc[0] > 0.05 and abs(found.sites["distance"].iloc[0]) < 0.02
    mixed = between(
        features({"AP": 100, "PA": 12}, 2).rename({"PA": "AP"}), source.rename({"PA": "AP"})
    )
    assert mixed.sites["p"].iloc[0] < 0.01  # what one distance over all classes would say


def test_patients_are_the_unit_and_not_their_images():
    cohort = pd.DataFrame(
        {
            "patient": ["a", "a", "b", "c"],
            "label": ["AP", "AP", "AP", "PA"],
            "split": ["query"] * 3 + ["pool"],
            "embedding": pd.array([1, 0, 2, 3], "Int32"),
        }
    )
    found = patient_features(cohort, np.array([[0, 2], [4, 0], [1, 1], [9, 9]], np.float16))
    assert found.to_dict("index") == {("AP", "a"): {0: 2.0, 1: 1.0}, ("AP", "b"): {0: 1.0, 1: 1.0}}


def test_each_source_site_is_held_against_the_others():
    near, far = features({"AP": 40, "PA": 40}, 1), features({"AP": 40, "PA": 40}, 3, moved=1)
    found = between(
        features({"AP": 40, "PA": 40}, 4), near, features({"AP": 40, "PA": 40}, 2), far
    ).sites.set_index("site")
    assert found["left_out"].tolist() == [False, True, True, True]
    assert found["distance"].idxmax() == "source2" and found.loc[
        "source2", ["patients", "other_patients"]
    ].tolist() == [80, 160]


def test_a_patient_with_images_of_two_classes_is_one_patient():
    here = features({"AP": 30, "PA": 30}, 1)
    here.index = pd.MultiIndex.from_tuples(
        [(label, name[3:]) for label, name in here.index], names=["label", "patient"]
    )
    assert between(here, features({"AP": 30, "PA": 30}, 2)).sites[
        ["patients", "other_patients"]
    ].values.tolist() == [[30, 60]]


def test_more_than_a_thousand_patients_of_a_class_are_cut(monkeypatch):
    monkeypatch.setattr(shift, "MOST", 40)
    found = between(features({"AP": 60}, 1), features({"AP": 60}, 2), features({"AP": 15}, 3))
    assert found.by_class[["patients", "other_patients"]].values.tolist() == [[40, 35]]


def test_a_class_with_too_few_patients_is_left_out_and_named(evidence, words_of):
    found = between(features({"AP": 30, "PA": 3}, 1), features({"AP": 30, "PA": 30}, 2))
    assert (
        found.by_class["label"].tolist() == ["AP"]
        and between(features({"PA": 3}, 1), features({"PA": 30}, 2)) is None
    )
    cohort = evidence.cohort
    few = cohort[
        (cohort["label"] == "AP")
        | cohort["patient"].isin(cohort.loc[cohort["label"] == "PA", "patient"].unique()[:4])
    ]
    assert "Not measured for PA: fewer than 5 query patients here" in words_of(
        shift_section(replace(evidence, cohort=few))
    )


def test_a_moved_site_is_said_to_lie_farther_than_any_source(evidence, words_of):
    section = shift_section(evidence)
    assert (
        "westside lie farther from those of the source sites than any source site's are from the "
        "others' . The distance is 0." in words_of(section)
    )
    row = section.tables["shift.csv"].set_index("site").loc["westside"]
    assert (
        f"The distance is {row['distance']:.3f} (60 patients here and 120 source patients)"
        in words_of(section)
    )
    assert (
        f"lie below {row['null_high']:.3f} (p = {row['p']:.3f})" in words_of(section)
        and len(section.tables["shift_null.csv"]) == 500
    )
    # in words, for who cannot see it
    assert f"westside {row['distance']:.3f}" in str(section.shown["figure"])


def test_features_that_tell_no_image_from_another_give_no_distance(evidence, words_of):
    same = {
        name: replace(source, embeddings=np.ones_like(source.embeddings))
        for name, source in evidence.sources.items()
    }
    assert (
        "gives all images of the source sites the same features: look at its training"
        in words_of(shift_section(replace(evidence, sources=same)))
    )


def test_a_class_whose_features_are_all_alike_lies_nowhere():
    found = between(features({"AP": 30}, 1) * 0, features({"AP": 30}, 2) * 0)
    assert found.sites["distance"].tolist() == [0] and not found.null.any()


def test_features_of_two_models_are_not_compared(evidence, words_of):
    other = {
        name: replace(source, embeddings=source.embeddings[:, :4])
        for name, source in evidence.sources.items()
    }
    assert "come from different source models: run dvc repro" in words_of(
        shift_section(replace(evidence, sources=other))
    )


def test_an_unmoved_site_is_not_called_far(evidence, words_of):
    near = {**evidence.sources}
    alike = replace(
        evidence,
        cohort=near["northgate"].cohort,
        embeddings=near.pop("northgate").embeddings,
        sources=near,
    )
    text = words_of(shift_section(alike))
    assert (
        "with one source site there is no scale" in text
        or "no farther from those of the source sites than random groups" in text
    )


def test_fields_that_only_this_site_has_are_counted_in_patients(evidence, words_of):
    table = field_differences(
        evidence.cohort, pd.concat([source.cohort for source in evidence.sources.values()])
    ).set_index("field")
    assert (
        table.loc["manufacturer", ["new_patients", "new_share"]].tolist() == [120, 1]
        and table.loc["sex", "new_patients"] == 0
    )
    assert "120 patients of 120 (100 %) with a value that no source patient has" in words_of(
        shift_section(evidence)
    )


def test_ages_are_compared_by_medians_and_the_gap_of_kolmogorov_and_smirnov(evidence):
    there = pd.concat([source.cohort for source in evidence.sources.values()])
    older = evidence.cohort.assign(age=(evidence.cohort["age"] + 15).clip(upper=90))
    row = field_differences(older, there).set_index("field").loc["age"]
    ours, theirs = (
        cohort.drop_duplicates("patient")["age"].to_numpy(float) for cohort in (older, there)
    )
    assert (
        row["ks"] == pytest.approx(stats.ks_2samp(ours, theirs).statistic)
        and row["here"] == f"median {np.median(ours):.5g}"
    )
    assert (
        row["difference"]
        == pytest.approx((ours.mean() - theirs.mean()) / np.sqrt((ours.var() + theirs.var()) / 2))
        and row["difference"] > 0.3
    )


def test_an_unknown_field_is_not_compared(evidence, words_of):
    text = words_of(
        shift_section(replace(evidence, cohort=evidence.cohort.assign(age=pd.NA, model=pd.NA)))
    )
    assert text.count("not comparable: unknown here") == 2 and "nan" not in text


def test_without_features_or_sources_it_says_what_is_missing(evidence, words_of):
    text = words_of(shift_section(replace(evidence, embeddings=np.empty((0, 0), np.float16))))
    assert (
        "add supervised to train.learners" in text
        and "with a value that no source patient has" in text
    )
    alone = shift_section(replace(evidence, sources={}))
    assert (
        "No other source site has the task chest view" in words_of(alone)
        and "--source" in words_of(alone)
        and not alone.tables
    )


def test_the_same_evidence_gives_the_same_figure(evidence):
    assert shift_section(evidence).shown["figure"] == shift_section(evidence).shown["figure"]
