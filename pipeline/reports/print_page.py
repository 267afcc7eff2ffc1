"""Pages as PDF on A4, printed by a Chromium-like browser of this machine."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from eval.settings import Params, load_params
from workspace.errors import Problem, Refusal, refuse_if
from workspace.outputs import replace_whole
from workspace.paths import Workspace
from workspace.progress import say, track

CHOSEN = "FEWSITE_BROWSER"  # a command or a path, instead of BROWSERS
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
ALONE = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-quic",
    "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # a browser of its own, which asks no other machine
OVERVIEW = "overview"
LONGEST = 120  # seconds for a page; one takes about two


def find_browser() -> str | None:
    """The path of the browser that the environment chooses, else of the first that is there."""
    chosen = os.environ.get(CHOSEN)
    return next(filter(None, map(shutil.which, [chosen] if chosen else BROWSERS)), None)


def sandboxed() -> bool:
    """Chromium does not start its sandbox for root, as in most containers."""
    return os.geteuid() != 0


def print_pages(workspace: Workspace, site: str | None) -> None:
    """Print a site's page, or every page that is there and the overview.

    Raises Refusal for what is missing.
    """
    params = load_params(workspace)
    pages = _pages(workspace, params, site)
    missing = {name: page for name, page in pages.items() if not page.is_file()}
    browser = find_browser()
    wanting = missing if site or len(missing) == len(pages) else {}
    problems = [*_names(params, site), *(_no_page(name, page) for name, page in wanting.items())]
    if browser is None:
        raise Refusal(*problems, _no_browser())
    refuse_if(problems)
    for name, page in track(
        {name: page for name, page in pages.items() if name not in missing}.items(),
        "printing pages",
    ):
        _print(browser, page, workspace.pdf(name))
        say(f"printed {workspace.pdf(name)}")
    for name, page in missing.items():
        say(f"not printed: {_no_page(name, page)}")


def _pages(workspace: Workspace, params: Params, site: str | None) -> dict[str, Path]:
    """Each page by the name of its PDF."""
    if site is not None:
        return {site: workspace.report(site) / "index.html"} if site in params.sites else {}
    return {
        **{name: workspace.report(name) / "index.html" for name in params.sites},
        OVERVIEW: workspace.reports / "index.html",
    }


def _names(params: Params, site: str | None) -> list[Problem]:
    if site is None and OVERVIEW in params.sites:
        return [
            Problem(
                "params.yaml sites",
                f"a site named {OVERVIEW}",
                "that name for the PDF of all sites",
                "fewsite print SITE, one by one",
            )
        ]
    if site is not None and site not in params.sites:
        return [
            Problem(
                "params.yaml sites",
                f"no site '{site}'",
                f"one of {', '.join(params.sites) or '(there is none)'}",
                "correct the name",
            )
        ]
    return []


def _no_page(name: str, page: Path) -> Problem:
    return Problem(
        str(page),
        "no page",
        "the page that is to be printed",
        f"dvc repro {OVERVIEW if name == OVERVIEW else f'report@{name}'}",
    )


def _no_browser() -> Problem:
    chosen = os.environ.get(CHOSEN)
    return Problem(
        f"{CHOSEN}={chosen}" if chosen else "fewsite print",
        "no such command" if chosen else "no browser",
        f"Chromium, Chrome or Edge ({', '.join(BROWSERS)})",
        f"install one, or set {CHOSEN} to the path of one; or print the page from any browser",
    )


def _print(browser: str, page: Path, pdf: Path) -> None:
    """Print one page, whole or not at all."""
    aside = pdf.with_name(
        f".{pdf.name}.partial"
    )  # beside the PDF, since a browser may have a temporary folder of its own
    aside.unlink(missing_ok=True)  # of a run that was killed, which this browser may leave as it is
    root = () if sandboxed() else ("--no-sandbox",)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            subprocess.run(
                [
                    browser,
                    *ALONE,
                    *root,
                    f"--user-data-dir={profile}",
                    "--no-pdf-header-footer",
                    f"--print-to-pdf={aside.resolve()}",
                    page.resolve().as_uri(),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LONGEST,
                check=True,
            )
        content = aside.read_bytes()
        if not (content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")):
            raise EOFError
        replace_whole(aside, pdf)
    except (subprocess.SubprocessError, FileNotFoundError, EOFError) as error:
        raise Refusal(
            Problem(
                str(page),
                f"no whole PDF from {Path(browser).name}",
                "a browser that prints without a window",
                f"set {CHOSEN} to another one, or print the page from any browser",
            )
        ) from error
    finally:
        aside.unlink(missing_ok=True)
