"""A score is one object: another one, with other bounds, unit and direction, is one file more."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval import scores
from eval.evidence import Evidence, read_evidence
from eval.figures.forest import forest_figure
from eval.measures.needed import needed, needed_of
from eval.measures.subgroups import largest_gap, measure
from eval.overview import headline, page, summarise, worst_first
from eval.page.render import render
from eval.page.section import all_sections
from eval.scores.label import AUROC, BALANCED_ACCURACY
from eval.scores.performance import performance
from eval.scores.score import LABEL, scores_of
from eval.settings import Accept
from eval.verdict.criteria import asked
from eval.verdict.judge import judge

ONE_FILE = '''
"""How far the answers lie from the truth, in millimetres: a score made up for this test."""

import numpy as np

from eval.scores.score import Score


def part(answers, query, part, weights):
    own = answers.probabilities[..., np.arange(len(query.labels)), query.labels]
    far = 40.0 * (1 - own.astype(float))
    resampled = far.mean(axis=(0, 1)) @ weights.T / weights.sum(axis=1)
    return far.mean(axis=-1).mean(axis=0), resampled


DISTANCE = Score(
    name="distance",
    title="distance",
    part=part,
    high=40.0,
    unit="mm",
    higher_is_better=False,
    meaning="The distance is 0 where an answer is the truth",
)
SCORES = (DISTANCE,)
'''


class Asked(Accept):
    """The bound of the new score, as its settings would have it."""

    distance: float = 18.0


@pytest.fixture
def far(
    make_workspace: Any, hospital: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Evidence]:
    """A hospital whose results speak of the distance."""
    (tmp_path / "distance.py").write_text(ONE_FILE)
    monkeypatch.setattr(scores, "__path__", [*scores.__path__, str(tmp_path)])
    sites = {"westside": hospital(patients=(60, 60), draws=3)}
    read = read_evidence(make_workspace(sites), "westside", "target")
    report = read.params.report.model_copy(update={"accept": Asked(subgroup_gap=0.2)})
    table = performance(read.predictions, read.classes, 100, 0.95, seed=0, kind="distance")
    yield replace(
        read,
        params=read.params.model_copy(update={"report": report}),
        provenance={**read.provenance, "target": "distance"},
        performance=table,
    )


def test_the_first_score_of_labels_is_the_auroc():
    assert scores_of(LABEL) == (AUROC, BALANCED_ACCURACY)
    assert AUROC.asks(0.85) == "AUROC of at least 0.85" and AUROC.text(0.5) == "0.500"
    assert AUROC.differences == (-1, 1) and AUROC.rank(0.7) > AUROC.rank(0.6)
    assert [AUROC.chance(3), BALANCED_ACCURACY.chance(4)] == [0.5, 0.25]


def test_another_score_says_its_bounds_unit_and_direction(far):
    score = far.score
    assert score.asks(18) == "distance of at most 18 mm" and score.text(3) == "3.000 mm"
    assert score.reached(1, 2, bound=2) and not score.reached(1, 2.1, bound=2)
    assert score.missed(3, 4, bound=2) and not score.missed(1, 4, bound=2)
    assert score.differences == (-40, 40) and score.rank(3) > score.rank(4)


def test_its_axis_holds_the_best_value_and_all_others(far):
    ends = AUROC.axis([0.7, np.nan, 0.9], below=0.03, above=0.01)
    assert ends == pytest.approx((0.67, 1.01))
    assert AUROC.axis([0.01], below=0.03, above=0.01)[0] == 0
    assert far.score.axis([10, 20], below=0.1, above=0.01) == (-0.4, 24)
    endless = replace(AUROC, low=-np.inf, high=np.inf)
    assert endless.axis([10, 20], below=0.1, above=0.1) == (9, 21)


def test_its_verdict_holds_an_interval_in_its_bounds_against_its_own_bound(far):
    verdict = judge(far)
    assert 0 < verdict.patient_low < verdict.value < verdict.patient_high < 40
    criterion = verdict.criteria[0]
    assert (criterion.name, criterion.bound) == ("distance", 18)
    assert criterion.word == "met" and verdict.patient_high < 18
    subgroups = "distance of subgroups at most 0.2 apart"
    assert set(asked(far.params.report.accept, far.score)) == {score_asks(far), subgroups}


def score_asks(far: Evidence) -> str:
    return far.score.asks(far.target)


def test_a_bound_that_it_does_not_reach_is_not_met(far):
    accept = Asked(distance=2.0, shots=5)
    report = far.params.report.model_copy(update={"accept": accept})
    strict = replace(far, params=far.params.model_copy(update={"report": report}))
    assert [found.word for found in judge(strict).criteria] == ["not met", "not met"]
    assert "above the distance" in judge(strict).criteria[1].reason


def test_needed_cases_take_the_lowest_k_whose_whole_interval_is_below_the_bound(far):
    rows = [(1, 30, 25, 35), (2, 18, 15, 21), (5, 15, 12, 18), (10, 14, 12, 17)]
    table = pd.DataFrame(rows, columns=["k", "value", "patient_low", "patient_high"])
    table = table.assign(method="one", metric="distance", patients=9)
    row = needed(table, far.score, 18, classes=2).iloc[0]
    assert (row["k"], row["cases"]) == (5, 10)
    assert needed(table, far.score, 5, classes=2).iloc[0]["shown_k"] == 10
    assert set(needed_of(far)["method"]) == set(far.performance["method"])


def test_its_subgroups_call_the_lower_one_better(far):
    gap = largest_gap(far)
    of = {group.name: group.value.mean() for group in measure(far) if group.kind == gap.kind}
    assert of[gap.better] < of[gap.worse] and gap.low <= gap.value <= gap.high


def test_its_page_speaks_of_it_alone(far, words_of):
    for name in ("verdict", "curves", "needed", "paired", "subgroups"):
        text = words_of(all_sections()[name](far))
        assert "distance" in text.lower() and "AUROC" not in text, name
    text = words_of(all_sections()["verdict"](far))
    assert "has a distance of" in text and "lies at or below it" in text and " mm" in text


def test_its_figures_show_it_with_its_unit(far):
    (score, curve), *others = all_sections()["curves"](far).shown["figures"]
    assert score == far.score and not others and "distance, mm" in curve and "target 18 mm" in curve
    row = {"site": "westside", "role": "target", **vars(judge(far))}
    forest = forest_figure(pd.DataFrame([row]), score, 18.0, "one line")
    assert "distance, mm" in forest and score.text(row["value"]) in forest


def test_its_section_renders_beside_a_paired_difference(far):
    section = all_sections()["paired"](far)
    page = render(section.template, shown=section.shown)
    worst = section.tables["paired.csv"].set_index("other").loc["majority"]
    assert (worst["difference"] < 0).all() and "better" in page  # fewer millimetres are better


def test_its_overview_puts_the_farthest_hospital_first(far, words_of):
    row = summarise(far)
    worse = row | {"site": "eastside", "value": row["value"] + 1}
    text = page([row, worse], {}, far.params)
    assert "distance of at most 18 mm" in text and far.score.text(row["value"]) in text
    assert "AUROC" not in text
    assert headline([row])["westside"]["distance"] == round(row["value"], 4)
    assert sorted([row, worse], key=worst_first)[0]["site"] == "eastside"
