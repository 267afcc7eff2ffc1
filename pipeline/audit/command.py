"""Search every output for the identifiers of the hospitals' files and for what looks like one;
print what was searched, never a value.
"""

import mmap
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.exports.walk import walk
from data_prep.privacy.identifiers import collect
from data_prep.privacy.identifying_values import (
    NESTED,
    PICTURE,
    PRIVATE,
    TEXT,
    IdentifyingValues,
)
from data_prep.scan import export_root
from data_prep.site_file import Site, load_site
from eval.settings import Params, load_params
from pipeline.audit.found import PATTERNS, kinds_in
from pipeline.audit.git_objects import repository_of
from pipeline.audit.in_git import SearchedGit, search_git
from pipeline.audit.readable import View, views
from pipeline.audit.search import (
    DISTINCT,
    LONGEST,
    SHORTEST,
    SHORTEST_IN_BINARY,
    SHORTEST_NUMBER,
    Searcher,
    Value,
    spellings,
)
from pipeline.init import CODE
from workspace.errors import Problem, refuse_if, together
from workspace.paths import Workspace
from workspace.progress import track

SECRET = "workspace's secret"
OWN, MAKER = "fewsite's own text", "maker"  # why a value is not searched for
OWN_TEXT = (
    "workspace/**/*.py",
    "data_prep/**/*.py",
    "models/**/*.py",
    "eval/**/*",
    "pipeline/**/*.py",
)
ANYBODYS = b"README LICENSE CHANGELOG"  # files that any folder may hold, a repository too
# Where an equal maker's name is that maker, and no person.
FREE_TEXT = (
    TEXT,
    NESTED,
    PRIVATE,
    PICTURE,
)


@dataclass
class Searched:
    """`findings`: (file, kind) -> how often. `files`, `size`: what was searched, by its place."""

    findings: Counter = field(default_factory=Counter)
    files: Counter = field(default_factory=Counter)
    size: Counter = field(default_factory=Counter)


def audit_workspace(workspace: Workspace) -> None:
    """Print what was searched for, where, and what was found.

    Raises Refusal on findings, and where a site's export is missing.
    """
    params = load_params(workspace)
    identifiers = _collect(workspace, params)
    own = _own_text(workspace, params)
    searcher, left_out = _searcher(identifiers, own)
    print(_searched_for(params, identifiers, searcher, left_out))
    searched = _search(workspace, searcher, own)
    print(_searched_in(workspace, params, searched))
    repository = repository_of(workspace.root)
    in_git = (
        search_git(repository, workspace, searcher, own, _exports(workspace, params))
        if repository
        else SearchedGit()
    )
    print(in_git.summary if repository else "not in Git: the workspace lies in no repository")
    if not searched.findings and not in_git.findings:
        print("nothing found")
        return
    for (file, kind), count in sorted((searched.findings + in_git.findings).items()):
        print(f"  {file}: {kind}, {count}")
    refuse_if(
        [
            *_found(
                searched.findings,
                "identifiers",
                "outputs",
                "pass nothing on; remove what put them there, delete these files and run dvc repro",
            ),
            *_found(
                in_git.findings,
                "identifiers or files of patients",
                "objects of Git",
                "push nothing; git log --all --find-object=OBJECT shows where; take them out "
                "of the history (git filter-repo), or start another "
                "repository and leave this one's .git behind",
            ),
        ]
    )


def _found(findings: Counter, what: str, where: str, do: str) -> list[Problem]:
    files = {file for file, _ in findings}
    return (
        [
            Problem(
                "fewsite audit",
                f"{sum(findings.values())} {what} in {len(files)} {where}",
                "none",
                do,
            )
        ]
        if findings
        else []
    )


def _exports(workspace: Workspace, params: Params) -> Iterable[Path]:
    """The files of all registered sites' exports."""
    for name in params.sites:
        yield from {
            Path(found.path)
            for found in walk(export_root(workspace, name, load_site(workspace, name)))
        }


def _collect(workspace: Workspace, params: Params) -> IdentifyingValues:
    """The identifiers of all registered sites.

    Raises Refusal that names every site whose export is not there.
    """

    def read(name: str) -> tuple[str, Site, Path]:
        site = load_site(workspace, name)
        return name, site, export_root(workspace, name, site)

    refuse_if(
        []
        if params.sites
        else [
            Problem(
                "params.yaml sites",
                "no site",
                "the sites whose outputs are to be searched",
                "fewsite add sites/NAME.yaml",
            )
        ]
    )
    gathered = IdentifyingValues()
    for name, site, root in together(*(lambda name=name: read(name) for name in params.sites)):
        gathered.update(collect(root, name, site, params.convert.workers))
    if workspace.secret_file.exists() and not workspace.published_secret.exists():
        gathered.add(SECRET, workspace.secret_file.read_text())
    return gathered


def _own_text(workspace: Workspace, params: Params) -> bytes:
    """fewsite's own words and what a person wrote into the settings: a value that stands there
    cannot be told from them.
    """
    found = [
        path
        for pattern in OWN_TEXT
        for path in sorted(CODE.glob(pattern))
        if path.is_file() and path.suffix != ".pyc"
    ]
    # Not the phantoms' made-up names.
    files = [path for path in found if "phantom" not in path.parts]
    settings = [workspace.params_file, *map(workspace.site_file, params.sites)]
    return b"\n".join([ANYBODYS, *(path.read_bytes() for path in [*files, *settings])])


def _searcher(identifiers: IdentifyingValues, own: bytes) -> tuple[Searcher, Counter]:
    """What can be searched for, and how many values cannot, by reason."""
    makers = frozenset(maker.casefold() for maker in identifiers.makers)
    spelt = {
        value: spellings(value, kind, makers if kind in FREE_TEXT else ())
        for value, kind in identifiers.values.items()
    }
    left_out = Counter(
        MAKER if value.casefold() in makers else identifiers.values[value]
        for value, found in spelt.items()
        if not found
    )
    values: dict[bytes, Value] = {}
    for found in reversed(spelt.values()):
        values.update(found)  # of values that are spelt alike, the first gives its kind
    ours = {values[content].written for content in Searcher(values).find(own, text=True)}
    values = {content: how for content, how in values.items() if how.written not in ours}
    left_out[OWN] = sum(
        bool(found) and not found.keys() & values.keys() for found in spelt.values()
    )
    return Searcher(values), left_out


def _search(workspace: Workspace, searcher: Searcher, own: bytes) -> Searched:
    searched = Searched()
    files = list(_files(workspace))
    for path in track(files, "searching outputs", total=len(files)):
        name = path.relative_to(workspace.root).as_posix()
        place = name.split("/")[0]
        searched.files[place] += 1
        searched.size[place] += path.stat().st_size
        for kind in kinds_in(
            View(name.encode("utf-8", "surrogateescape"), text=True), searcher, own, set()
        ):
            searched.findings[f"{place}/... (in a file's or folder's name)", kind] += 1
            name = f"{place}/..."  # it is not repeated with what the file holds
        if path.stat().st_size == 0:
            continue
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            found: set[bytes] = set()
            for view in views(content):
                searched.findings.update(
                    (name, kind) for kind in kinds_in(view, searcher, own, found)
                )
    return searched


def _files(workspace: Workspace) -> Iterator[Path]:
    """Every file of the outputs once: DVC links some of them into its cache."""
    seen = set()
    for place in workspace.outputs:
        found = (
            [place]
            if place.is_file()
            else (Path(folder) / name for folder, _, names in os.walk(place) for name in names)
        )
        for path in sorted(found):
            if path.is_file():
                about = path.stat()
                if (about.st_dev, about.st_ino) not in seen:
                    seen.add((about.st_dev, about.st_ino))
                    yield path


def _too_plain(number: int) -> str:
    return f", {number} of them too short or too plain" if number else ""


def _searched_for(
    params: Params, identifiers: IdentifyingValues, searcher: Searcher, left_out: Counter
) -> str:
    kinds = Counter(identifiers.values.values())
    lines = [
        f"searched for the identifiers of {len(params.sites)} sites, in {identifiers.files} files"
        f"{f' ({identifiers.unread} could not be read whole)' if identifiers.unread else ''}",
        f"  {len(identifiers.values)} values in {len(searcher.values)} spellings (UTF-8, "
        "UTF-16, Latin-1; names and dates in several orders):",
        *(
            f"  {count:8} {kind}{'s' if count > 1 else ''}{_too_plain(left_out[kind])}"
            for kind, count in sorted(kinds.items())
        ),
        f"  not searched for: the {sum(left_out[kind] for kind in kinds)} too short or too "
        f"plain to tell from other text (under {SHORTEST} characters, "
        f"under {SHORTEST_NUMBER} digits,",
        f"  fewer than {DISTINCT} different characters, measurements), {left_out[OWN]} "
        "that stand in fewsite's own text or in the settings,",
        f"  {left_out[MAKER]} free texts that are a maker's or a model's name",
        f"  among raw bytes, only values of {SHORTEST_IN_BINARY} bytes with a letter, and "
        f"UIDs; of long texts the first {LONGEST} characters",
        f"  and in text for what looks like {', '.join(PATTERNS)}",
    ]
    return "\n".join(lines)


def _searched_in(workspace: Workspace, params: Params, searched: Searched) -> str:
    lines = [
        f"searched in {sum(searched.files.values())} files, "
        f"{sum(searched.size.values()) / 1e6:.1f} MB:",
        *(
            f"  {count:8} files, {searched.size[place] / 1e6:8.1f} MB: {place}"
            for place, count in sorted(searched.files.items())
        ),
        "  not in incoming/, the secret and .fewsite/dvc (DVC's notes of "
        "file names), which stay on this machine",
    ]
    others = sorted({path.name for path in workspace.studies("").glob("*")} - set(params.sites))
    if others:
        lines.append(
            f"  outputs of {len(others)} sites that params.yaml does not name were searched, "
            "but not for their own identifiers: "
            f"{', '.join(others)}"
        )
    return "\n".join(lines)
