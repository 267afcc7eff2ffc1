"""The sentences of sections other than the verdict, branch by branch."""

from types import SimpleNamespace

import pytest

from eval.overview import headline_words, notes
from eval.scores.label import AUROC
from eval.sections.conformal import too_few
from eval.sections.curves import empty
from eval.sections.needed import cases
from eval.sections.operating_point import called_from, missing
from eval.sections.paired import standing


def counts(met: int, on_few: int = 0) -> dict[str, int]:
    return {"met": met, "met on few": on_few, "all": 3}


def test_the_overview_says_how_many_hospitals_meet_what_is_asked():
    space = "\N{NO-BREAK SPACE}"
    assert headline_words(counts(1), ["one"]) == f"1 of 3{space}target hospitals meets the target"
    assert headline_words(counts(2, 1), ["one", "two"]) == (
        f"2 of 3{space}target hospitals meet all criteria, 1 of them on fewer than 50 patients"
    )


def site(words: list[str], **given: object) -> dict[str, object]:
    found = [
        SimpleNamespace(name=f"c_{at}", word=word, further=at) for at, word in enumerate(words)
    ]
    return {"criteria": found, "role": "target", "few": False, **given}


def test_a_hospitals_notes_name_the_criteria_and_what_would_settle_them():
    assert notes(site(["met"])) == []
    assert notes(site(["met", "cannot tell"])) == [
        "c 0: met",
        "c 1: cannot tell, about 1\N{NO-BREAK SPACE}further query patient",
    ]
    one = site(["cannot tell"], role="source", few=True)
    one["criteria"][0].further = 2
    first, *others = notes(one)
    assert first.startswith("about 2") and first.endswith("would settle it")
    assert others == ["reference only", "few patients"]


def test_prediction_sets_say_which_levels_take_more_cases():
    none = too_few({0.8: 4, 0.9: 9}, per_class=0, k=10)
    assert "k = 10 is the largest k" in none and "14 or more for sets at 80" in none
    some = too_few({0.9: 9, 0.95: 19}, per_class=5, k=5)
    assert some.startswith("At 90") and "it takes 9 for" in some and "(a k of 24 in" in some
    assert too_few({}, per_class=30, k=5) == ""


@pytest.mark.parametrize(
    ("threshold", "words"), [(0.9999, "above 0.999"), (0.0001, "below 0.001"), (0.25, "of 0.250")]
)
def test_a_threshold_that_rounds_to_0_or_1_is_not_said_to_be_it(threshold, words):
    assert called_from(threshold) == f"a probability {words}"


def test_a_missing_operating_point_says_what_to_do():
    evidence = SimpleNamespace(sources={}, task={"task": "chest_view"}, method="maml", shots=5)
    assert "the task chest view" in missing(evidence) and "--source" in missing(evidence)
    evidence.sources = {"north": 1}
    assert "north has no answers of maml at k = 5" in missing(evidence)
    evidence.sources = {"north": 1, "east": 1}
    assert "east, north have no answers" in missing(evidence)


def test_an_empty_cell_says_why():
    assert empty("maml", 0) == "needs labels" and empty("maml", 5) == "not run"
    assert empty("source_only", 5) == "no labels used"


def test_needed_cases_of_each_method():
    row = {"method": "maml", "reached": True, "cases": 0, "up_to": 20}
    assert cases(row) == "none" and cases({**row, "cases": 1000}) == "1,000"
    assert cases({**row, "reached": False}) == "not reached with up to 20"
    assert cases({**row, "reached": False, "method": "source_only"}).endswith("labelled cases")


def test_a_difference_is_better_worse_or_not_to_be_told():
    assert [standing(*ends, AUROC) for ends in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))] == [
        "better",
        "worse",
        "cannot tell",
    ]
