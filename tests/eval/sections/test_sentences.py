"""Sentences of sections whose words depend on several things."""

from collections.abc import Mapping

import pandas as pd
import pytest

from eval.scores.label import AUROC
from eval.sections import calibration, checklist, curves, gallery, paired, patients, subgroups
from eval.verdict.sentences import intervals


def plain_spaces(words: str) -> str:
    return words.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("draws", "last"), [(1, "; no band, since one draw has no spread."), (10, "labelled cases.")]
)
def test_a_caption_says_why_there_is_no_band(draws: int, last: str) -> None:
    words = plain_spaces(curves.caption(AUROC, "95 %", 1, 2, draws))
    assert "1 query patient (2 images)" in words and words.endswith(last)


def test_a_k_that_is_not_possible_names_each_class() -> None:
    gaps = [{"class": "a", "patients": 1}, {"class": "b", "patients": 3}]
    assert plain_spaces(curves.not_possible(5, gaps[:1])) == (
        "k = 5 is not possible at this hospital: class a has 1 patient to draw from. "
        "Label more patients of this class to get it."
    )
    assert "class a has 1 patient to draw from, class b has 3 patients" in (
        plain_spaces(curves.not_possible(5, gaps))
    )
    assert curves.not_possible(5, gaps).endswith("of these classes to get it.")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (None, "not run"),
        ({"accuracy": 0.5, "draws": 1}, "50.0 % (1 draw, no interval)"),
        ({"accuracy": 0.5, "draws": 9, "half_width": 0.021}, "50.0 ± 2.1 %"),
    ],
)
def test_an_episodes_accuracy(row: Mapping[str, float] | None, words: str) -> None:
    assert curves.episode(row) == words


@pytest.mark.parametrize(("k", "draws", "lines"), [(0, 1, 1), (0, 3, 2), (5, 1, 2), (5, 10, 2)])
def test_a_score_has_a_spread_where_anything_is_drawn(k: int, draws: int, lines: int) -> None:
    row = {"patient_low": 0.5, "patient_high": 0.9, "draws_low": 0.6, "draws_high": 0.8}
    assert len(intervals(row | {"k": k, "draws": draws})) == lines


def test_a_difference_says_that_one_draw_has_no_spread() -> None:
    row = {"patient_low": 0.1, "patient_high": 0.2, "draws_low": 0.1, "draws_high": 0.3}
    row |= {"p_holm": 0.01}
    assert paired.lines(row, AUROC)[0] == "better"
    assert paired.lines(row, AUROC)[2].startswith("D +")
    assert paired.lines(row | {"draws_low": pd.NA}, AUROC)[2] == "D one draw only"


def test_a_class_is_named_against_the_rest_only_where_there_are_several() -> None:
    assert calibration.of_class(calibration.ALL, None) == ""
    assert calibration.of_class("a", None) == "a against the rest"
    assert calibration.of_class("a", "a") == "a"


@pytest.mark.parametrize(("human", "verb"), [(1, "1 needs a human"), (2, "2 need a human")])
def test_a_guideline_counts_what_needs_a_human(human: int, verb: str) -> None:
    row = {"answered": 3, "partly": 1, checklist.STATES[-1]: human, "items": 4 + human}
    assert verb in checklist.summary_words(row)


def test_a_gallery_says_how_many_of_the_cases_it_shows() -> None:
    assert gallery.first_of(3, 5) == "The first 3 of 5 of each class."
    assert gallery.first_of(5, 5) == "" == gallery.first_of(0, 0)


def test_a_table_of_patients_names_what_it_stands_beside() -> None:
    assert patients.caption("here", None) == "Patients of here and by side"
    assert (
        patients.caption("here", "sources")
        == "Patients of here, beside those of sources, and by side"
    )


def test_a_kind_without_two_large_groups_has_no_gap() -> None:
    assert subgroups.kind_words(None) == "no two groups with enough patients"
