"""The checklists: every item of both guidelines stands there once, and no state says more than the
page holds.
"""

from dataclasses import replace

import pandas as pd
import pytest

from eval.evidence import Evidence, read_evidence
from eval.page.render import render
from eval.page.section import all_sections
from eval.sections.checklist import read_items
from eval.sections.checklist import section as checklist_section

LETTERS = {
    3: "abc",
    5: "ab",
    6: "abc",
    8: "abc",
    9: "abc",
    12: "abcdefg",
    18: "abcdef",
    20: "abc",
    23: "ab",
    27: "abc",
}
NUMBERS = {
    "CLAIM 2024": [str(number) for number in range(1, 45)],
    "TRIPOD+AI": [
        f"{number}{letter}" for number in range(1, 28) for letter in LETTERS.get(number, [""])
    ],
}


@pytest.fixture(scope="module")
def evidence(make_workspace, hospital) -> Evidence:
    return read_evidence(
        make_workspace({"westside": hospital(draws=2, shots=(1, 5), methods=("prototypical",))}),
        "westside",
        "target",
    )


def seen_from(evidence: Evidence, role: str, guideline: str, **sources: object) -> pd.DataFrame:
    """The same hospital's items had it this role, beside these source hospitals."""
    table = checklist_section(replace(evidence, role=role, sources=sources)).tables["checklist.csv"]
    return table[table["guideline"] == guideline].set_index("item")


@pytest.mark.parametrize("guideline", NUMBERS)
def test_every_item_of_the_guideline_stands_there_once_and_in_order(guideline):
    items = read_items()
    assert items.loc[items["guideline"] == guideline, "item"].tolist() == NUMBERS[guideline]


def test_every_item_says_what_is_found_where_or_what_to_write():
    items = read_items()
    assert ((items["where"] != "") == (items["found"] != "")).all()
    assert ((items["where"] != "") | (items["write"] != "")).all() and (items["topic"] != "").all()


def test_links_lead_to_sections_of_the_page():
    sections = {*all_sections(), "review"}
    assert set(" ".join(read_items()["where"]).split()) < sections


def test_what_no_file_can_know_needs_a_human(evidence):
    table = checklist_section(evidence).tables["checklist.csv"].set_index(["guideline", "item"])
    asked = [("CLAIM 2024", item) for item in ("5", "14", "16", "17", "18", "34", "44")]
    asked += [
        ("TRIPOD+AI", item) for item in ("8a", "8b", "8c", "17", "18a", "18b", "18c", "18d", "19")
    ]
    assert set(table.loc[asked, "state"]) == {"needs a human"}


def test_a_target_answers_external_testing_and_a_source_internal(evidence):
    for role, answered, open_item in (("target", "33", "32"), ("source", "32", "33")):
        table = seen_from(evidence, role, "CLAIM 2024")
        assert table.loc[answered, "state"] == "answered"
        assert (
            table.loc[open_item, "state"] == "needs a human"
            and "hospitals' pages" in table.loc[open_item, "write"]
        )


def test_a_comparison_with_source_hospitals_is_open_where_there_are_no_others(evidence):
    alone = seen_from(evidence, "target", "TRIPOD+AI").loc[["15", "16", "20c"]]
    assert (
        set(alone["state"]) == {"needs a human"}
        and set(alone["where"]) == {""}
        and alone["write"].str.contains("fewsite add").all()
    )
    among = seen_from(evidence, "target", "TRIPOD+AI", northgate=None).loc[["15", "16", "20c"]]
    assert among["state"].tolist() == ["answered", "partly", "answered"]


def test_the_page_counts_what_its_table_holds(evidence):
    section = checklist_section(evidence)
    table, page = (
        section.tables["checklist.csv"],
        render("checklist.html.j2", shown=section.shown).replace("\N{NO-BREAK SPACE}", " "),
    )
    for guideline, rows in table.groupby("guideline"):
        answered, partly, human = (
            (rows["state"] == state).sum() for state in ("answered", "partly", "needs a human")
        )
        assert answered + partly + human == len(NUMBERS[guideline])
        assert (
            f"{answered} of {len(rows)} items answered by this page, {partly} partly, {human} need "
            "a human." in page
        )
    assert page.count('<th scope="row">') == len(table)
    assert page.count('href="#') == table["where"].str.split().str.len().sum()
