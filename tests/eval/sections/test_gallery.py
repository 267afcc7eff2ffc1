"""The gallery shows one episode: what was labelled, what was answered, and no picture that somebody
chose.
"""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eval.evidence import Evidence, read_evidence
from eval.sections import gallery
from eval.sections.gallery import (
    RIGHT_OF_CLASS,
    confident_errors,
    data_uri,
    first_answers,
    nearest_support,
    right_answers,
    shown_support,
)
from eval.sections.gallery import (
    section as gallery_section,
)


@pytest.fixture(scope="module")
def evidence(make_workspace, hospital) -> Evidence:
    return read_evidence(make_workspace({"westside": hospital()}), "westside", "target")


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_it_shows_the_first_draw_and_the_most_confident_errors_of_different_patients(evidence):
    support, errors = shown_support(evidence), confident_errors(first_answers(evidence))
    drawn = evidence.draws[(evidence.draws["draw"] == 0) & (evidence.draws["position"] < 5)]
    assert (
        sorted(support["record"]) == sorted(drawn["record"])
        and list(support["true"]) == ["AP"] * 5 + ["PA"] * 5
    )
    assert (errors["true"] != errors["predicted"]).all() and errors[
        "probability"
    ].is_monotonic_decreasing
    answers = evidence.predictions.query(
        "method == 'prototypical' and k == 5 and draw == 0"
    ).set_index("record")
    assert answers.loc[errors["record"], "patient"].is_unique
    wrong = answers[answers[["p_AP", "p_PA"]].idxmax(axis=1) != "p_" + answers["label"]]
    assert errors["probability"].max() == wrong[["p_AP", "p_PA"]].max(axis=None)


def test_right_answers_are_the_first_by_record_whatever_their_probability(evidence):
    answers = first_answers(evidence)
    shown = right_answers(answers, evidence.classes)
    for name in evidence.classes:
        expected, patients = [], set()
        for row in answers.sort_values("record").itertuples():
            if row.true == row.predicted and row.patient not in patients:
                patients.add(row.patient)
                expected += [row.record] if row.true == name else []
        assert shown.loc[shown["true"] == name, "record"].tolist() == expected[:RIGHT_OF_CLASS]


def test_the_nearest_support_images_are_those_of_the_smallest_angle(evidence):
    errors = confident_errors(first_answers(evidence))["record"].tolist()
    rows = evidence.cohort.set_index("record")["embedding"]
    support = shown_support(evidence).set_index("record")["true"]
    features = {
        name: evidence.embeddings[rows[name]].astype(float) for name in [*errors, *support.index]
    }
    cosine = {
        (one, other): features[one]
        @ features[other]
        / np.linalg.norm(features[one])
        / np.linalg.norm(features[other])
        for one in errors
        for other in support.index
    }
    nearest = nearest_support(evidence, errors)
    for name in errors:
        expected = sorted(support.index, key=lambda other: -cosine[name, other])[:2]  # noqa: B023
        found = nearest[nearest["beside"] == name]
        assert (
            found["record"].tolist() == expected
            and found["true"].tolist() == support[expected].tolist()
        )
        assert found["similarity"].tolist() == pytest.approx(
            [cosine[name, other] for other in expected], abs=1e-4
        )


def test_counts_on_the_page_are_those_of_the_answers(evidence, words_of):
    section = gallery_section(evidence)
    counts = section.tables["gallery_counts.csv"].set_index("true")
    truth = evidence.predictions.query("method == 'prototypical' and k == 5 and draw == 0")
    right = truth[["p_AP", "p_PA"]].idxmax(axis=1) == "p_" + truth["label"]
    assert counts.loc["AP", "right"] == (right & (truth["label"] == "AP")).sum() and counts.loc[
        "all classes", "images"
    ] == len(truth)
    assert f"{counts.loc['AP', 'right']} of {counts.loc['AP', 'images']} images right" in words_of(
        section
    )
    wrong, patients = (~right).sum(), truth.loc[~right, "patient"].nunique()
    assert f"12 of {wrong} wrong answers ({patients} patients)" in words_of(section)


def test_pictures_shrink_until_all_fit(evidence, monkeypatch):
    records = shown_support(evidence)["record"].tolist()
    full = gallery.encoded(evidence, records * 2)
    assert picture(full[records[0]]).size == (48, 48)
    monkeypatch.setattr(gallery, "SIDES", (48, 20))
    # enough for each once
    monkeypatch.setattr(gallery, "BUDGET", sum(len(uri) for uri in full.values()))
    assert picture(gallery.encoded(evidence, records)[records[0]]).size == (48, 48)
    assert picture(gallery.encoded(evidence, records * 2)[records[0]]).size == (20, 20)


def test_without_features_the_errors_stand_alone_and_it_says_why(evidence, words_of):
    section = gallery_section(replace(evidence, embeddings=np.empty((0, 0), np.float16)))
    assert "The labelled cases most like them cannot be shown" in words_of(
        section
    ) and "Add supervised to train.learners" in words_of(section)
    assert section.shown["errors"] and not any(
        error["nearest"] for error in section.shown["errors"]
    )
    assert set(section.tables["gallery.csv"]["shown_as"]) == {"support", "right", "error"}


def test_a_volume_is_shown_by_its_middle_slice():
    volume = np.zeros((1, 5, 8, 8), np.uint8)
    volume[0, 2] = 200
    shown = picture(data_uri(volume, 96))
    assert shown.size == (8, 8) and np.asarray(shown).min() == 200
