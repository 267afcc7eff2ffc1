"""Search what Git keeps for identifiers, and for patients' pixels: a commit that took them in holds
them though the files are gone.
"""

import gzip
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.exports.kinds import HEAD
from data_prep.readers import dicom_file, nifti
from data_prep.readers.dicom_file import BareDicom
from data_prep.readers.itk.header import META, NRRD
from data_prep.readers.registry import recognised
from pipeline.audit.found import kinds_in
from pipeline.audit.git_objects import BLOB, TREE, GitObject, Repository
from pipeline.audit.readable import View, views
from pipeline.audit.search import Searcher
from pipeline.init import CODE
from pipeline.out_of_git import KEPT_OUT
from workspace.paths import Workspace
from workspace.progress import track

# A PNG or a JPEG may be a page's drawing.
IMAGES = (dicom_file.KIND, nifti.KIND, nifti.PAIR, NRRD, META)
ARRAYS = {b"\x93NUMPY": "npy", b"PAR1": "parquet"}  # what convert writes
SIGNED = re.compile(
    rb"^[\w-]+-by: .*$", re.MULTILINE
)  # who wrote or reviewed a commit, as its header says it too
SHORT = 12  # digits of an object's name that are shown, which git takes too
# In fewsite's own repository: where the code stands, with names that its tests make up. What a
# workspace commits lies elsewhere.
OF_WORKSPACE = (
    "params.yaml",
    "dvc.lock",
    ".dvc/",
    "sites/",
    "reviews/",
    "examples/",
    *(f"{place.strip('/')}/" for place in KEPT_OUT),
)


@dataclass
class SearchedGit:
    """`findings`: (object, kind) -> how often.

    `objects`: how many of each kind were searched; `size`: bytes of them; `own`: left out.
    """

    findings: Counter = field(default_factory=Counter)
    objects: Counter = field(default_factory=Counter)
    size: int = 0
    own: int = 0

    @property
    def summary(self) -> str:
        counts = ", ".join(f"{count} {kind}s" for kind, count in sorted(self.objects.items()))
        lines = [
            "searched in Git's objects, those that no commit leads to with them: "
            f"{counts or 'none'}, {self.size / 1e6:.1f} MB,",
            "  and in the names it has staged",
            "  for all of the above, for the files of data/, results/, .dvc/cache and so "
            "on, for those of the exports, and for whatever is",
            "  an array, a table or a medical image; not in who wrote a commit",
        ]
        if self.own:
            lines.append(f"  {self.own} objects are fewsite's own code and were not searched")
        return "\n".join(lines)


def search_git(
    repository: Repository,
    workspace: Workspace,
    searcher: Searcher,
    own: bytes,
    exports: Iterable[Path],
) -> SearchedGit:
    """Look into every object of the repository that a workspace lies in.

    `exports`: the files of its sites.
    """
    places, protected = repository.places(), _protected(repository, workspace, exports)
    prefix = workspace.root.resolve().relative_to(repository.top.resolve()).as_posix()
    of_code = repository.top.resolve() == CODE
    searched = SearchedGit()
    for item in track(repository.objects(), "searching Git's objects"):
        place = places.get(item.name)
        if (
            of_code
            and item.kind == BLOB
            and place
            and not place.startswith(OF_WORKSPACE)
            and item.name not in protected
        ):
            searched.own += 1
            continue
        searched.objects[item.kind] += 1
        searched.size += len(item.content)
        found: set[bytes] = set()
        shown = f"Git's {item.kind} {item.name[:SHORT]}"
        alike = (
            not of_code or place is not None
        )  # what nothing leads to may be the code of another day
        for view in _views(item, repository):
            searched.findings.update(
                (shown, kind) for kind in kinds_in(view, searcher, own, found, alike)
            )
        if item.kind == BLOB and (
            file := protected.get(item.name) or _kept_out(place, prefix) or _medical(item.content)
        ):
            searched.findings[shown, file] += 1
    if not of_code:
        names = View(repository.staged(), text=True)
        searched.findings.update(
            ("Git's index", kind) for kind in kinds_in(names, searcher, own, set())
        )
    return searched


def _views(item: GitObject, repository: Repository) -> Iterator[View]:
    """What can be read in an object; of a commit or tag its message alone."""
    if item.kind == TREE:
        yield View(b"\n".join(repository.names_in(item)), text=True)
    elif item.kind != BLOB:
        yield View(SIGNED.sub(b"", item.content.partition(b"\n\n")[2]), text=True)
    elif item.content:
        yield from views(item.content)


def _protected(
    repository: Repository, workspace: Workspace, exports: Iterable[Path]
) -> dict[str, str]:
    """Object -> what it is, of the workspace's files that Git must not hold and does.

    Only files of some object's size are read.
    """
    sizes = repository.sizes()
    found: dict[str, str] = {}
    for place, path in (*_files(workspace), *(("the export", path) for path in exports)):
        size = path.stat().st_size if path.is_file() else 0
        if (
            size
            and size in sizes
            and (name := _name(path, size, repository.hash_name)) in sizes[size]
        ):
            found.setdefault(name, f"a file of {place}")
    return found


def _files(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    for line in KEPT_OUT:
        place = line.strip("/")
        for folder, _, names in os.walk(workspace.root / place):
            yield from (
                (place, path)
                for path in map(Path(folder).joinpath, names)
                if path != workspace.secret_file
            )  # whose text is searched for


def _name(path: Path, size: int, hash_name: str) -> str:
    """What Git names a file's content by."""
    digest = hashlib.new(hash_name, b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _kept_out(place: str | None, prefix: str) -> str | None:
    """The folder that a path lies in, if nothing of it belongs in Git."""
    inside = (place or "").removeprefix("" if prefix == "." else f"{prefix}/")
    return next(
        (
            f"a file of {line.strip('/')}"
            for line in KEPT_OUT
            if f"{inside}/".startswith(f"{line.strip('/')}/")
        ),
        None,
    )


def _medical(content: bytes) -> str | None:
    """What an object is, if it holds an array, a table of records or a medical image, compressed or
    not.
    """
    head = content[:HEAD]
    if head.startswith(b"\x1f\x8b"):
        try:
            head = gzip.GzipFile(fileobj=io.BytesIO(content)).read(HEAD)
        except (OSError, EOFError):
            return None
    kind = next((name for magic, name in ARRAYS.items() if head.startswith(magic)), None)
    if kind is None:
        kind, reader = recognised(head)
        if isinstance(reader, BareDicom):  # as any file may begin
            return None
    return f"a file of the kind {kind}" if kind in (*ARRAYS.values(), *IMAGES) else None
