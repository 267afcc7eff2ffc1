"""Stage `report`: one hospital's page, and the tables behind its figures.

python -m eval.report SITE ROLE
"""

from eval.evidence import read_evidence
from eval.page.render import render, write_tables
from eval.page.section import all_sections
from eval.report_file import REPORT, report_of, report_text
from eval.reviews import read_reviews, review_section
from workspace.errors import run_module
from workspace.outputs import digest, whole_folder
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import Role


def main(site: str, role: Role) -> None:
    workspace = Workspace()
    evidence = read_evidence(workspace, site, role)
    reviews = read_reviews(workspace, site)
    made = {name: section(evidence) for name, section in all_sections().items()}
    verdict, cautions = (made["verdict"].shown[part] for part in ("verdict", "cautions"))
    report = report_text(report_of(evidence, verdict, cautions, list(made.values())))
    review = review_section(reviews, digest(report.encode()), site)
    first, *others = made.values()
    with whole_folder(workspace.report(site)) as folder:
        page = render("report.html.j2", evidence=evidence, sections=[first, review, *others])
        (folder / "index.html").write_text(page, encoding="utf-8")
        (folder / REPORT).write_text(report)
        for section in made.values():
            write_tables(section.tables, folder)
    say(
        f"report {site}: {verdict.word}: {evidence.score.title} {verdict.value:.3f} at "
        f"k={verdict.k}; "
        f"see {workspace.report(site)}/index.html"
    )


if __name__ == "__main__":
    run_module("eval.report", main, "SITE", "ROLE")
