"""`fewsite print`: pages become PDFs on A4, whole or not at all, and what is missing is stated at once."""

import os
import re
import socket
from pathlib import Path

import pytest

from pipeline.reports.print_page import BROWSERS, CHOSEN, find_browser, print_pages
from tests.made_hospitals import params_text
from workspace.errors import Refusal
from workspace.paths import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two sites, one of them with a page, and an overview."""
    workspace = Workspace(tmp_path)
    workspace.params_file.write_text(params_text({"westside": "target", "eastside": "target"}))
    workspace.report("westside").mkdir(parents=True)
    page = "<!DOCTYPE html><title>t</title><style>@page { size: A4 }</style><p>words"
    (workspace.report("westside") / "index.html").write_text(page)
    (workspace.reports / "index.html").write_text(page)
    return workspace


def fake(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that runs `script`, where $pdf is what it is to write."""
    browser = folder / "browser"
    browser.write_text(
        f'#!/bin/sh\nfor given; do case $given in --print-to-pdf=*) pdf=${{given#*=}};; esac; done\necho "$@" >> {folder}/given\n{script}\n'
    )
    browser.chmod(0o755)
    monkeypatch.setenv(CHOSEN, str(browser))


WHOLE = "printf '%%PDF-1.4\\n%%%%EOF\\n' > $pdf"


def pdfs(workspace: Workspace) -> list[str]:
    return sorted(
        path.name
        for path in workspace.reports.iterdir()
        if path.is_file() and path.name != "index.html"
    )


def test_what_a_killed_run_left_is_never_taken_for_a_page(workspace, tmp_path, monkeypatch):
    fake(tmp_path, "exit 0", monkeypatch)
    (workspace.reports / ".westside.pdf.partial").write_bytes(b"%PDF-1.4\n%%EOF\n")
    with pytest.raises(Refusal, match="no whole PDF"):
        print_pages(workspace, "westside")
    assert pdfs(workspace) == []


@pytest.mark.skipif(
    find_browser() is None,
    reason=f"no browser: install one of {', '.join(BROWSERS)}, or set {CHOSEN}",
)
def test_a_page_is_printed_on_a4_and_no_other_computer_is_asked(workspace):
    with socket.create_server(("localhost", 0)) as server:
        server.settimeout(0.1)
        page = workspace.report("westside") / "index.html"
        page.write_text(
            f"{page.read_text()}<img src='http://localhost:{server.getsockname()[1]}/picture.png'>"
        )
        print_pages(workspace, "westside")
        with pytest.raises(TimeoutError):
            server.accept()
    content = workspace.pdf("westside").read_bytes()
    assert (
        pdfs(workspace) == ["westside.pdf"] and len(re.findall(rb"/Type\s*/Page\b", content)) == 1
    )
    width, height = map(
        float, re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", content).groups()
    )
    assert (width, height) == pytest.approx((595.3, 841.9), abs=1)  # A4 in points


def test_without_a_name_every_page_that_is_there_and_the_overview_are_printed(
    workspace, tmp_path, monkeypatch, capsys
):
    fake(tmp_path, WHOLE, monkeypatch)
    print_pages(workspace, None)
    assert pdfs(workspace) == ["overview.pdf", "westside.pdf"]
    assert (
        "eastside/index.html: found no page; need the page that is to be printed; do dvc repro report@eastside"
        in capsys.readouterr().err
    )


def test_the_browser_has_a_profile_of_its_own_and_no_sandbox_for_root_alone(
    workspace, tmp_path, monkeypatch
):
    fake(tmp_path, WHOLE, monkeypatch)
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        print_pages(workspace, "westside")
    root, other = (tmp_path / "given").read_text().splitlines()
    assert "--no-sandbox" in root and "--no-sandbox" not in other
    profiles = re.findall(r"--user-data-dir=(\S+)", root + other)
    assert len(set(profiles)) == 2 and not any(map(os.path.exists, profiles))


@pytest.mark.parametrize(
    "script",
    ["exit 1", "true", "printf '%%PDF-1.4 half' > $pdf", f"{WHOLE}; exit 3"],
    ids=["fails", "writes nothing", "writes half", "writes and fails"],
)
def test_a_browser_that_fails_leaves_the_pdf_of_before(workspace, tmp_path, monkeypatch, script):
    workspace.pdf("westside").write_text("before")
    fake(tmp_path, script, monkeypatch)
    with pytest.raises(
        Refusal,
        match="westside/index.html: found no whole PDF from browser; need a browser that prints without a window",
    ):
        print_pages(workspace, "westside")
    assert pdfs(workspace) == ["westside.pdf"] and workspace.pdf("westside").read_text() == "before"


def test_no_browser_and_no_page_are_refused_together(workspace, monkeypatch):
    monkeypatch.delenv(CHOSEN, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        Refusal,
        match="found no page; need the page that is to be printed; do dvc repro report@eastside",
    ) as refusal:
        print_pages(workspace, "eastside")
    assert "fewsite print: found no browser; need Chromium, Chrome or Edge" in str(refusal.value)


def test_no_page_at_all_is_refused(workspace, tmp_path, monkeypatch):
    fake(tmp_path, WHOLE, monkeypatch)
    (workspace.report("westside") / "index.html").unlink()
    (workspace.reports / "index.html").unlink()
    with pytest.raises(
        Refusal, match=r"reports/index.html: found no page; .*do dvc repro overview"
    ) as refusal:
        print_pages(workspace, None)
    assert "report@westside" in str(refusal.value) and "report@eastside" in str(refusal.value)


def test_an_unknown_site_and_a_chosen_browser_that_is_not_there_are_refused_together(
    workspace, monkeypatch
):
    monkeypatch.setenv(CHOSEN, "no_such_browser")
    with pytest.raises(
        Refusal,
        match="params.yaml sites: found no site 'nowhere'; need one of westside, eastside; do correct the name",
    ) as refusal:
        print_pages(workspace, "nowhere")
    assert "FEWSITE_BROWSER=no_such_browser: found no such command" in str(refusal.value)


def test_a_site_that_is_named_as_the_pdf_of_all_is_not_printed_over(
    workspace, tmp_path, monkeypatch
):
    fake(tmp_path, WHOLE, monkeypatch)
    workspace.params_file.write_text(params_text({"westside": "target", "overview": "target"}))
    with pytest.raises(
        Refusal,
        match="found a site named overview; need that name for the PDF of all sites; do fewsite print SITE, one by one",
    ):
        print_pages(workspace, None)
