"""The verdict's sentences: a function decides what is said, and the page's template shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from eval.scores.score import Score
from eval.verdict.criteria import Criterion
from eval.verdict.judge import Verdict
from eval.words import capital, count, decimals, interval, percent, plain, signed

BOLD = Markup("<b>{}</b>")


def headline(verdict: Verdict) -> str:
    """The answer in a few words."""
    one = len(verdict.criteria) == 1
    words = {
        "met": f"Yes: {'the target is met' if one else 'all criteria are met'}",
        "not met": f"No: {'the target is not met' if one else 'a criterion is not met'}",
        "cannot tell": "Cannot tell yet",
    }
    few = f", on only {verdict.patients} patients" if verdict.few else ""
    return words[verdict.word] + few


def given(k: int, classes: int) -> str:
    """What the model was adapted with."""
    if not k:
        return "Given no labelled case,"
    in_all = count(k * classes, "labelled case")
    return f"Given {count(k, 'labelled patient')} of each class ({in_all} in all),"


def spread(verdict: Verdict) -> str:
    """How much hangs on which cases were labelled."""
    if verdict.draws_low is not None:
        ends = interval(verdict.draws_low, verdict.draws_high)
        return f"spread over which cases were labelled {ends}"
    if verdict.k:
        return "spread over which cases were labelled not known"
    return "no labelled cases, so no spread over them"


def beside_target(criterion: Criterion, score: Score) -> str:
    """Where the score's interval lies."""
    right, wrong = ("above", "below") if score.higher_is_better else ("below", "above")
    words = {
        "met": f"the whole interval over patients lies at or {right} it.",
        "not met": f"the whole interval over patients lies {wrong} it.",
        "cannot tell": "the interval over patients holds it, so these patients cannot decide "
        "either way.",
    }
    return words[criterion.word]


def by_word(criteria: Sequence[Criterion]) -> list[tuple[str, list[str]]]:
    """What is asked, by its answer: the worst first, and no answer that nothing has."""
    words = ("not met", "cannot tell", "met")
    asked = {word: [found.asks for found in criteria if found.word == word] for word in words}
    return [(capital(word), asks) for word, asks in asked.items() if asks]


def value(criterion: Criterion, score: Score) -> str:
    """What was found."""
    if criterion.name == "shots":
        return "not reached" if criterion.value is None else f"k = {criterion.value:.0f}"
    if criterion.value is None:
        return "not measured"
    return (
        score.text(criterion.value) if criterion.name == score.name else decimals(criterion.value)
    )


def ends(criterion: Criterion) -> str:
    """Its interval; nothing where none belongs to it."""
    if criterion.name == "shots" or criterion.value is None:
        return ""
    no_interval = criterion.low is None or criterion.high is None
    return "no interval" if no_interval else interval(criterion.low, criterion.high)


def why(criterion: Criterion) -> str:
    """The reason, and what would settle it."""
    reason = f"{capital(criterion.reason)}."
    if not criterion.further:
        return reason
    more = count(criterion.further, "further query patient")
    return f"{reason} About {more} would settle it, if the value stays as it is."


def other_k(verdict: Verdict, asked: int, gaps: Sequence[Mapping[str, Any]]) -> str:
    """Why another k is reported than was asked for; nothing where none is."""
    if verdict.k in (0, asked):
        return ""
    if not gaps:
        return (
            f"There are no results at k = {asked} for {plain(verdict.method)}; "
            "add it to tasks.shots in params.yaml to get them."
        )
    lacking = [(gap["class"], count(gap["patients"], "patient")) for gap in gaps]
    return "".join(f"Class {name} has only {few} to draw from. " for name, few in lacking)


def numbers(verdict: Verdict, needed: Mapping[str, Any], confidence: float) -> list[dict[str, str]]:
    """The verdict's four numbers, each with a title and a note."""
    score, level = verdict.score, percent(confidence)
    patients = f"had other patients been tested; n = {count(verdict.patients, 'patient')}"
    over_patients = f"{decimals(verdict.patient_low)} to {decimals(verdict.patient_high)}"
    rows = [
        (score.heading, score.text(verdict.value), f"target {score.text(verdict.target)}"),
        (f"{level} interval over patients", over_patients, patients),
        (f"{level} spread over draws", *_spread_number(verdict)),
        ("Labelled cases needed", *_needed_number(verdict, needed)),
    ]
    return [{"title": title, "value": value, "note": note} for title, value, note in rows]


def _spread_number(verdict: Verdict) -> tuple[str, str]:
    if verdict.draws_low is not None:
        ends = f"{decimals(verdict.draws_low)} to {decimals(verdict.draws_high)}"
        return ends, f"had other cases been labelled; n = {count(verdict.draws, 'draw')}"
    if verdict.k == 0:
        return "none", "nothing is drawn at k = 0"
    return "not known", "1 draw only; set tasks.draws to 10 or more"


def _needed_number(verdict: Verdict, needed: Mapping[str, Any]) -> tuple[str, str]:
    if needed["reached"]:
        side = "above" if verdict.score.higher_is_better else "below"
        note = f"{needed['k']} of each class, to be at or {side} the target"
        return f"{needed['cases']:,}", note
    if verdict.k == 0:
        return "not reached", "it cannot use labelled cases"
    up_to = needed["up_to"]
    return f"more than {up_to:,}", f"target not reached with up to {count(up_to, 'case')}"


def alone(verdict: Verdict, rivals: Sequence[Mapping[str, Any]]) -> str:
    """What there is to do where no other method was run; nothing where k = 0, which none shares."""
    if rivals or verdict.k == 0:
        return ""
    return (
        "No other method was run, so there is nothing to compare with; add baselines to "
        "adapt.methods in params.yaml."
    )


def beside_best(verdict: Verdict, best: Mapping[str, Any]) -> Markup:
    """How the best of the other methods compares."""
    name, value = BOLD.format(plain(best["method"])), verdict.score.text(best["value"])
    over_patients = interval(best["patient_low"], best["patient_high"])
    if verdict.score.rank(best["value"]) > verdict.score.rank(verdict.value):
        words = Markup("{} is not the best here: {} has {} ({} over patients).")
        return words.format(plain(verdict.method).capitalize(), name, value, over_patients)
    words = Markup(
        "No other method does better at the same k; the next is {} with {} ({} over patients)."
    )
    return words.format(name, value, over_patients)


def difference(verdict: Verdict, other: str, found: Mapping[str, float]) -> str:
    """The paired difference from another method."""
    low, high = found["patient_low"], found["patient_high"]
    chance = ", which may be chance" if low <= 0 <= high else ""
    return (
        f"On the same patients and draws the difference ({plain(verdict.method)} less "
        f"{plain(other)}) is {signed(found['difference'])} ({signed(low)} to "
        f"{signed(high)}){chance}."
    )


def source_model(verdict: Verdict, source: Mapping[str, Any]) -> str:
    """What there is without any labelled case."""
    score, low, high = verdict.score, source["patient_low"], source["patient_high"]
    enough = (
        ", which meets the target by itself" if score.reached(low, high, verdict.target) else ""
    )
    return (
        f"Without any labelled case the source model as it stands has {score.article} "
        f"{score.title} "
        f"of {score.text(source['value'])} ({interval(low, high)} over patients){enough}."
    )


def gain(verdict: Verdict, found: Mapping[str, float]) -> str:
    """What labelling gains over the source model."""
    low, high = found["patient_low"], found["patient_high"]
    worse = high < 0 if verdict.score.higher_is_better else low > 0
    nothing = ": what labelling gains may be nothing" if low <= 0 <= high else ""
    return (
        f"Against it {plain(verdict.method)} with {count(verdict.k, 'labelled patient')} of each "
        f"class has a difference of {signed(found['difference'])} ({signed(low)} to {signed(high)})"
        f"{nothing}{': labelling made it worse' if worse else ''}."
    )


def cases_needed(row: Mapping[str, Any], source_only: bool) -> str:
    """The labelled cases that a method needs for the target."""
    if row["reached"]:
        return f"{row['cases']:,}"
    return "not reached" if source_only else f"more than {row['up_to']:,}"


def drawn(row: Mapping[str, Any]) -> str:
    """The spread over draws, or why there is none."""
    if pd.notna(row["draws_low"]):
        return interval(row["draws_low"], row["draws_high"])
    return "one draw only" if row["k"] else "nothing drawn"


def intervals(row: Mapping[str, Any]) -> list[str]:
    """Below a score: its interval over patients, and its spread over draws where k has draws."""
    over_patients = f"P {interval(row['patient_low'], row['patient_high'])}"
    return [over_patients, f"D {drawn(row)}"] if row["k"] or row["draws"] > 1 else [over_patients]
