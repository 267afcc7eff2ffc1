"""What the page says of a verdict: every branch of every sentence."""

from dataclasses import replace

import pytest

from eval.scores.label import AUROC
from eval.verdict import sentences as say
from eval.verdict.criteria import Criterion
from eval.verdict.judge import Verdict
from eval.words import listed


def criterion(word: str = "met", name: str = "auroc", **given: object) -> Criterion:
    found = Criterion(name, f"{name} asked", 0.85, 0.9, 0.86, 0.94, 80, word, "because", None)
    return replace(found, **given)


def verdict(*criteria: Criterion, **given: object) -> Verdict:
    found = list(criteria) or [criterion()]
    numbers = (0.85, 0.9, 0.86, 0.94, 0.88, 0.92, 10, 80, 100)
    return replace(Verdict("met", found, "linear_probe", 5, *numbers, AUROC), **given)


def rival(value: float) -> dict[str, object]:
    return {"method": "fine_tuning", "value": value, "patient_low": 0.8, "patient_high": 0.95}


@pytest.mark.parametrize(
    ("word", "one", "several"),
    [
        ("met", "Yes: the target is met", "Yes: all criteria are met"),
        ("not met", "No: the target is not met", "No: a criterion is not met"),
        ("cannot tell", "Cannot tell yet", "Cannot tell yet"),
    ],
)
def test_the_headline_says_whether_one_target_or_all_criteria_are_met(word, one, several):
    assert say.headline(verdict(word=word)) == one
    assert say.headline(verdict(criterion(), criterion(), word=word)) == several
    assert say.headline(verdict(word=word, patients=20)) == f"{one}, on only 20 patients"


def test_labelled_cases_are_counted_a_class_and_in_all():
    words = "Given 5\N{NO-BREAK SPACE}labelled patients of each class "
    assert say.given(5, 3) == f"{words}(15\N{NO-BREAK SPACE}labelled cases in all),"
    assert say.given(0, 3) == "Given no labelled case,"


def test_the_spread_is_given_or_said_to_be_unknown_or_not_there():
    assert say.spread(verdict()).endswith("labelled 0.880 to 0.920")
    assert say.spread(verdict(draws_low=None)).endswith("not known")
    assert say.spread(verdict(draws_low=None, k=0)).startswith("no labelled cases")


def test_the_target_is_beside_above_or_within_the_interval_by_the_scores_direction():
    lower = replace(AUROC, higher_is_better=False)
    for score, right, wrong in ((AUROC, "above", "below"), (lower, "below", "above")):
        assert f"at or {right} it" in say.beside_target(criterion("met"), score)
        assert f"lies {wrong} it" in say.beside_target(criterion("not met"), score)
    assert "holds it" in say.beside_target(criterion("cannot tell"), AUROC)


def test_criteria_are_listed_by_answer_the_worst_first():
    found = [criterion("met"), criterion("not met", "shots"), criterion("met", "subgroup_gap")]
    met = ("Met", ["auroc asked", "subgroup_gap asked"])
    assert say.by_word(found) == [("Not met", ["shots asked"]), met]


def test_a_value_has_its_interval_unless_it_is_a_k_or_was_not_measured():
    shots, nothing = criterion(name="shots", value=5, low=None, high=None), criterion(value=None)
    assert [say.value(shots, AUROC), say.ends(shots)] == ["k = 5", ""]
    assert say.value(replace(shots, value=None), AUROC) == "not reached"
    assert [say.value(nothing, AUROC), say.ends(nothing)] == ["not measured", ""]
    assert [say.value(criterion(), AUROC), say.ends(criterion())] == ["0.900", "0.860 to 0.940"]
    assert say.ends(criterion(low=None)) == "no interval"


def test_the_reason_is_followed_by_what_would_settle_it():
    assert say.why(criterion()) == "Because."
    assert say.why(criterion(further=1)) == (
        "Because. About 1\N{NO-BREAK SPACE}further query patient would settle it, "
        "if the value stays as it is."
    )


def test_another_k_than_asked_for_is_explained_by_the_classes_that_lack_patients():
    gaps = [{"class": "PA", "patients": 3}, {"class": "AP", "patients": 1}]
    assert say.other_k(verdict(), 10, gaps) == (
        "Class PA has only 3\N{NO-BREAK SPACE}patients to draw from. "
        "Class AP has only 1\N{NO-BREAK SPACE}patient to draw from. "
    )
    assert "no results at k = 10 for linear probe" in say.other_k(verdict(), 10, [])


def test_the_best_of_the_others_is_better_or_next_by_the_scores_direction():
    assert "Linear probe is not the best here: <b>fine tuning</b> has 0.950" in say.beside_best(
        verdict(), rival(0.95)
    )
    assert "No other method does better" in say.beside_best(verdict(), rival(0.8))
    lower = verdict(score=replace(AUROC, higher_is_better=False))
    assert "not the best here" in say.beside_best(lower, rival(0.8))


def test_names_are_escaped_in_a_sentence_with_bold_words():
    assert "<b>&lt;i&gt;</b>" in say.beside_best(verdict(), {**rival(0.8), "method": "<i>"})


@pytest.mark.parametrize(
    ("low", "high", "chance", "worse"),
    [(-0.1, 0.2, True, False), (0.1, 0.2, False, False), (-0.2, -0.1, False, True)],
)
def test_a_difference_may_be_chance_and_a_gain_nothing_or_a_loss(low, high, chance, worse):
    found = {"difference": (low + high) / 2, "patient_low": low, "patient_high": high}
    assert (", which may be chance" in say.difference(verdict(), "maml", found)) == chance
    assert ("may be nothing" in say.gain(verdict(), found)) == chance
    assert ("made it worse" in say.gain(verdict(), found)) == worse


def test_the_source_model_may_meet_the_target_by_itself():
    enough = {**rival(0.95), "patient_low": 0.86}
    assert "has an AUROC of 0.950" in say.source_model(verdict(), enough)
    assert say.source_model(verdict(), enough).endswith("which meets the target by itself.")
    assert "by itself" not in say.source_model(verdict(), rival(0.95))


def test_needed_cases_are_given_or_what_was_tried():
    assert say.cases_needed({"reached": True, "cases": 1200}, False) == "1,200"
    assert say.cases_needed({"reached": False, "up_to": 20}, True) == "not reached"
    assert say.cases_needed({"reached": False, "up_to": 20}, False) == "more than 20"


def test_draws_are_given_or_one_or_none():
    assert say.drawn({"draws_low": 0.1, "draws_high": 0.2, "k": 5}) == "0.100 to 0.200"
    assert say.drawn({"draws_low": None, "k": 5}) == "one draw only"
    assert say.drawn({"draws_low": None, "k": 0}) == "nothing drawn"


def test_names_are_listed_with_commas_and_an_and():
    assert [listed(names) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
