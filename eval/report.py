"""Stage `report`: one hospital's page, and the tables behind its figures.

python -m eval.report SITE ROLE
"""

from eval.calibration import calibration_section
from eval.checklist import checklist_section
from eval.cohort import cohort_section
from eval.conformal import conformal_section
from eval.curves import curves_section
from eval.evidence import read_evidence
from eval.gallery import gallery_section
from eval.needed import needed_section
from eval.operating_point import operating_point_section
from eval.page import render, write_tables
from eval.paired import paired_section
from eval.patients import patients_section
from eval.provenance import provenance_section
from eval.report_file import REPORT, report_of, report_text
from eval.reviews import read_reviews, review_section
from eval.shift import shift_section
from eval.subgroups import subgroups_section
from eval.verdict import verdict_section
from workspace.errors import run_module
from workspace.outputs import digest, whole_folder
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Role

SECTIONS = (
    verdict_section,
    cohort_section,
    patients_section,
    curves_section,
    needed_section,
    paired_section,
    operating_point_section,
    calibration_section,
    conformal_section,
    shift_section,
    gallery_section,
    subgroups_section,
    provenance_section,
    checklist_section,
)  # in the order of the page; a section is one function in one file, and one template


def main(site: str, role: Role) -> None:
    workspace = Workspace()
    evidence = read_evidence(workspace, site, role)
    reviews = read_reviews(workspace, site)
    sections = [section(evidence) for section in SECTIONS]
    verdict = sections[0].shown["verdict"]
    report = report_text(report_of(evidence, verdict, sections[0].shown["cautions"], sections))
    review = review_section(reviews, digest(report.encode()), site)
    with whole_folder(workspace.report(site)) as folder:
        page = render(
            "report.html.j2", evidence=evidence, sections=[*sections[:1], review, *sections[1:]]
        )
        (folder / "index.html").write_text(page, encoding="utf-8")
        (folder / REPORT).write_text(report)
        for section in sections:
            write_tables(section.tables, folder)
    say(
        f"report {site}: {verdict.word}: AUROC {verdict.value:.3f} at k={verdict.k}; see {workspace.report(site)}/index.html"
    )


if __name__ == "__main__":
    run_module("eval.report", main, "SITE", "ROLE")
