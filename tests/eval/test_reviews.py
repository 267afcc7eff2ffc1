"""Decisions about a report: recorded by role, shown on its page, void once its numbers change."""

import contextlib
import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from eval import report
from eval.report_file import REPORT, Report, schema_text
from eval.reviews import read_reviews
from pipeline.reports.review import review_site
from workspace.errors import Refusal
from workspace.outputs import digest
from workspace.paths import Workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(make_workspace, hospital) -> Workspace:
    return make_workspace(
        {"westside": hospital(patients=(40, 40), draws=2, methods=("prototypical", "source_only"))}
    )


def write_page(workspace: Workspace) -> str:
    with contextlib.chdir(workspace.root):
        report.main("westside", "target")
    return (workspace.report("westside") / "index.html").read_text()


def decide(
    workspace: Workspace,
    role: str = "physicist",
    decision: str = "accept",
    comment: str = "calibrated well",
) -> None:
    review_site(workspace, "westside", role, decision, comment)


def test_a_decision_is_shown_on_the_page_and_leaves_the_reports_hash_as_it_was(workspace):
    assert "No decision yet about this report." in write_page(workspace)
    before = (workspace.report("westside") / REPORT).read_bytes()
    decide(workspace)
    decide(workspace, "radiologist", "reject", "<script>alert(1)</script>")
    page = write_page(workspace)
    assert (workspace.report("westside") / REPORT).read_bytes() == before
    assert (
        re.search(r"physicist</th><td><b>accept</b></td><td>calibrated well", page)
        and "Void:" not in page
    )
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and digest(before) in page


def test_a_decision_is_void_once_a_number_of_the_report_changes(workspace):
    write_page(workspace)
    decide(workspace)
    params = json.loads(workspace.params_file.read_text())
    workspace.params_file.write_text(
        json.dumps({**params, "report": {**params["report"], "accept": {"auroc": 0.5}}})
    )
    page = write_page(workspace)
    assert (
        "Void: decided about an earlier report" in page
        and "physicist: accept. calibrated well" in page
    )
    assert "No decision yet about this report." in page


def test_a_report_that_is_cut_short_is_not_decided_on(workspace):
    write_page(workspace)
    report_file = workspace.report("westside") / REPORT
    report_file.write_text(report_file.read_text()[:-20])
    with pytest.raises(
        Refusal,
        match=r"report.json: found a file that is cut short or broken; need what stage "
        r"report@westside writes",
    ):
        decide(workspace)
    assert not workspace.review("westside").exists()


def test_a_role_decides_once_and_the_last_decision_counts(workspace):
    write_page(workspace)
    decide(workspace)
    decide(workspace, "engineer", "accept", "runs")
    decide(workspace, decision="revise", comment="more effusions")
    assert [(review.role, review.decision) for review in read_reviews(workspace, "westside")] == [
        ("engineer", "accept"),
        ("physicist", "revise"),
    ]


def test_there_must_be_a_report_and_a_comment_to_decide(workspace):
    with pytest.raises(
        Refusal,
        match="report.json: found no such file; need a report to decide on; do dvc "
        "repro report@westside",
    ) as refusal:
        decide(workspace, comment="   ")
    assert "--comment: found 0 characters; need 1 to 2,000 printable characters" in str(
        refusal.value
    )
    with pytest.raises(
        Refusal, match="params.yaml sites: found no site 'eastside'; need one of westside"
    ):
        review_site(workspace, "eastside", "physicist", "accept", "fine")
    assert not workspace.review("westside").exists()


def test_a_file_that_was_edited_wrongly_is_refused_with_every_problem(workspace):
    workspace.review("westside").parent.mkdir()
    workspace.review("westside").write_text(
        "reviews:\n- {role: janitor, decision: accept, comment: x, report: abc}\n"
    )
    with pytest.raises(Refusal, match="westside.yaml reviews.0.role: found 'janitor'") as refusal:
        write_page(workspace)
    assert "reviews.0.report: found 'abc'" in str(refusal.value)
    assert not workspace.report("westside").exists()


def test_the_report_is_what_its_published_schema_says(workspace):
    write_page(workspace)
    text = (workspace.report("westside") / REPORT).read_text()
    found = Report.model_validate_json(text)
    assert found.site == "westside" and [criterion.name for criterion in found.criteria] == [
        "auroc"
    ]
    for name, sha256 in found.tables.items():
        assert digest((workspace.report("westside") / name).read_bytes()) == sha256
    assert set(found.tables) == {path.name for path in workspace.report("westside").glob("*.csv")}
    with pytest.raises(ValidationError, match="extra"):
        Report.model_validate({**json.loads(text), "extra": 1})
    assert (ROOT / "docs" / "report.schema.json").read_text() == schema_text(), (
        "write it anew: eval.report_file.schema_text"
    )
