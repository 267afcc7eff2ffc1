"""The `fewsite` command.

Each command imports its work only when called, so that help answers at once.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from workspace.errors import run_stage
from workspace.paths import Workspace

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Will this model work at my hospital, and how many labelled cases will that take?\n\n"
    "The stages run with `dvc repro`; these commands prepare a workspace for it.",
)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="the hospital's YAML, such as sites/westside.yaml")],
    source: Annotated[
        bool,
        typer.Option("--source", help="train on it; by default it is a target, only reported on"),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="a rehearsal: say what add would, write nothing")
    ] = False,
) -> None:
    """Read a hospital's headers and a sample of its pixels, and register it.

    Example: fewsite add sites/westside.yaml --check
    """
    from pipeline.sites.add import add_site

    run_stage(
        "fewsite add", lambda: add_site(Workspace(), file, "source" if source else "target", check)
    )


@app.command()
def check(
    site: Annotated[str, typer.Argument(help="a site's name, as in sites/NAME.yaml; added or not")],
) -> None:
    """Decode a hospital's whole export and account for every file, before anything is converted.

    Prints used, rejected and no images; each reason with its cure and first examples; labels,
    classes and the largest k. Minutes where add takes seconds.

    Example: fewsite check westside
    """
    from pipeline.check import check_site

    run_stage("fewsite check", lambda: check_site(Workspace(), site))


@app.command()
def inspect(
    path: Annotated[
        Path,
        typer.Argument(help="a folder, an archive, a DICOMDIR, a list of paths or one image file"),
    ],
    out: Annotated[Path, typer.Option("--out", help="a new or empty folder")],
    tilt: Annotated[
        Literal["reject", "resample"],
        typer.Option("--tilt", help="of slices stacked aslant, as convert.tilt"),
    ] = "reject",
) -> None:
    """Write every image and volume under a path as NIfTI, as fewsite reads it, to look at in a
    viewer.

    Native grid, rescaled values, and flags on what a header does not say. Needs no workspace; the
    path may be outside of one.

    Example: fewsite inspect /mnt/westside/export --out view
    """
    from pipeline.inspect import inspect_path

    run_stage(
        "fewsite inspect",
        lambda: inspect_path(Workspace(), path, out, straightened=tilt == "resample"),
    )


@app.command()
def fit() -> None:
    """Suggest spacing, size and CT window for volumes, from the source sites alone.

    Reads all headers of the sources and some of their CT volumes; opens no target and writes
    nothing.

    Example: fewsite fit
    """
    from pipeline.fit import fit as fit_volumes

    run_stage("fewsite fit", lambda: fit_volumes(Workspace()))


@app.command()
def print(
    site: Annotated[
        str | None,
        typer.Argument(
            help="a site's name in params.yaml; by default all of them, and the overview"
        ),
    ] = None,
) -> None:
    """Print pages to PDF on A4, with a Chromium, Chrome or Edge of this machine (FEWSITE_BROWSER
    chooses another).

    Writes reports/SITE.pdf and reports/overview.pdf.

    Example: fewsite print westside
    """
    from pipeline.reports.print_page import print_pages

    run_stage("fewsite print", lambda: print_pages(Workspace(), site))


@app.command()
def audit() -> None:
    """Search every output for the identifiers of the hospitals' files, and print what was searched.

    Exits with 0 where nothing was found, with 2 otherwise. Never prints a value.

    Example: fewsite audit
    """
    from pipeline.audit.command import audit_workspace

    run_stage("fewsite audit", lambda: audit_workspace(Workspace()))


@app.command()
def gate(site: Annotated[str, typer.Argument(help="a target's name in params.yaml")]) -> None:
    """Say whether a hospital meets the acceptance criteria of params.yaml, criterion by criterion.

    Exits with 0 where all are met, with 1 where one is not, with 2 where these patients cannot
    tell.

    Example: fewsite gate phantom_west
    """
    from pipeline.reports.gate import EXIT, gate_site

    run_stage("fewsite gate", lambda: gate_site(Workspace(), site), broken=EXIT["cannot tell"])


@app.command()
def review(
    site: Annotated[str, typer.Argument(help="a site's name in params.yaml")],
    role: Annotated[
        Literal["radiologist", "clinician", "physicist", "engineer"],
        typer.Option(help="who decides; a role and never a name"),
    ],
    decision: Annotated[
        Literal["accept", "reject", "revise"], typer.Option(help="about the report as it is now")
    ],
    comment: Annotated[
        str, typer.Option(help="why; nothing of a patient, since the page shows it")
    ],
) -> None:
    """Record a decision about a hospital's report, in reviews/SITE.yaml; it is void once the report
    changes.

    Example: fewsite review phantom_west --role physicist --decision revise --comment "too few
    effusions"
    """
    from pipeline.reports.review import review_site

    run_stage("fewsite review", lambda: review_site(Workspace(), site, role, decision, comment))


@app.command()
def compare(
    revision: Annotated[
        str, typer.Argument(help="a commit, branch or tag of this workspace, such as HEAD~1")
    ],
) -> None:
    """Show what changed between the results of a revision and those of now: verdicts, and paired
    differences of AUROC.

    Reads the earlier results from DVC's cache; changes nothing.

    Example: fewsite compare HEAD~1
    """
    from pipeline.reports.compare import compare as compare_results

    run_stage("fewsite compare", lambda: compare_results(Workspace(), revision))


@app.command()
def remove(site: Annotated[str, typer.Argument(help="a site's name in params.yaml")]) -> None:
    """Take a hospital out of this workspace, with its page and results; says what stays.

    Its export and its YAML do.

    Example: fewsite remove phantom_north
    """
    from pipeline.sites.remove import remove_site

    run_stage("fewsite remove", lambda: remove_site(Workspace(), site))


@app.command()
def init(
    folder: Annotated[
        Path,
        typer.Argument(help="a new or empty folder; one where only `git init` was run will do"),
    ],
) -> None:
    """Make a workspace: a folder that keeps a study apart from fewsite's code.

    Example: fewsite init ~/studies/chest
    """
    from pipeline.init import init_workspace

    run_stage("fewsite init", lambda: init_workspace(Workspace(folder)))


@app.command()
def link() -> None:
    """Point incoming/ at every site's root, after a clone or when a disk has moved.

    Example: FEWSITE_DATA=/mnt/exports fewsite link
    """
    from pipeline.sites.link import link_sites

    run_stage("fewsite link", lambda: link_sites(Workspace()))


@app.command()
def locate(
    site: Annotated[
        str, typer.Argument(help="a site's name, or the path that was given to `fewsite inspect`")
    ],
    file: Annotated[
        str,
        typer.Argument(
            help=(
                "a hash from `fewsite check`, from rejects.csv, or a "
                "file's name from `fewsite inspect`"
            )
        ),
    ],
) -> None:
    """Show on this screen, and nowhere else, which file a hash from check, inspect or rejects.csv
    stands for.

    Example: fewsite locate westside 3f0c9a...
    """
    from pipeline.locate import show_file

    run_stage("fewsite locate", lambda: show_file(Workspace(), site, file))


def main() -> None:
    app(prog_name="fewsite")


if __name__ == "__main__":
    main()
