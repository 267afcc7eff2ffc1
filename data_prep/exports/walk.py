"""Every file of an export, sorted by name: a folder, an archive or a list of paths, with what a
DICOMDIR says is missing.
"""

import codecs
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from data_prep.exports.archives import MAX_DEPTH, MAX_FILES, MAX_UNPACKED_BYTES, expand, is_archive
from data_prep.exports.dicomdir import Named, as_on_a_disc, instance_of, is_dicomdir, named_files
from data_prep.exports.kinds import HEAD, has_dicom_preamble, starts_like_dicom
from data_prep.exports.sources import Found, opened, read_all
from data_prep.rejects import Rejected
from workspace.errors import Problem, Refusal, refuse_if

# A version control's own, of which DVC sees nothing; in a DataLad data set links lead from outside
# to its pictures.
VERSIONS = (
    ".git",
    ".hg",
    ".dvc",
)
Place = tuple[Path, str]  # where a file or folder is, and its name under the root


def walk(root: Path) -> list[Found]:
    """Every file under `root`, sorted by name. Links are followed, and nothing is taken twice.

    Raises Refusal.

    `root`: a folder, an archive, or a text file with one path a line, from its own folder. A file
    that a DICOMDIR names and that is not there is one more, with that as its problem.
    """
    root = root.resolve()
    files: list[Found] = []
    unpacked = 0
    for found in _files(root):
        files.append(found)
        unpacked += 0 if found.member is None else found.size
        _check_bounds(len(files), unpacked)
    files = list(_with_missing(files))
    _check_bounds(len(files), unpacked)
    return sorted(files, key=lambda found: found.name)


def beyond(root: Path) -> list[Path]:
    """What `walk` reads and one link to `root` does not show to DVC, which enters no linked folder:
    those, and what a list names. Raises Refusal.
    """
    if root.is_dir():
        # Not resolved: DVC follows a link on the way, so that it sees when that is changed.
        listed, above = [], root
    else:
        listed, above = listed_places(root), root.resolve().parent
    entered: list[str] = []
    if listed or root.is_dir():
        deque(_places(listed or [(root, "")], entered), maxlen=0)
    return [*(path for path, _ in listed), *(above / name for name in entered)]


def listed_places(root: Path) -> list[Place]:
    """What a list names; nothing where the file is an archive. Raises Refusal."""
    root = root.resolve()
    found = Found(root.name, root, root.stat().st_size)
    return [] if is_archive(found) else _listed(found)


def _check_bounds(files: int, unpacked: int) -> None:
    split = "split it into several sites"
    if files > MAX_FILES:
        raise Refusal(Problem("the export", f"more than {MAX_FILES} files", "no more", split))
    if unpacked > MAX_UNPACKED_BYTES:
        raise Refusal(
            Problem(
                "the export",
                f"archives that unpack to more than {MAX_UNPACKED_BYTES} bytes",
                "no more",
                split,
            )
        )


def _files(root: Path) -> Iterator[Found]:
    if root.is_dir():
        places = _places([(root, "")])
    else:
        found = Found(root.name, root, root.stat().st_size)
        if is_archive(found):
            yield from expand(found, "")
            return
        places = _places(_listed(found))
    for path, name in places:
        yield from _at(path, name)


def _at(path: Path, name: str) -> Iterator[Found]:
    try:
        about = path.stat()
    except OSError:
        yield Found(name, str(path), 0, problem="unreadable")
        return
    if stat.S_ISREG(about.st_mode):
        yield from expand(Found(name, str(path), about.st_size), f"{name}/")
    else:
        yield Found(name, str(path), 0, problem="unreadable")


def _listed(found: Found) -> list[Place]:
    """What a list names. Raises Refusal, without quoting it: paths may hold patients' ids."""
    try:
        with opened(found) as stream:
            content = read_all(stream).removeprefix(codecs.BOM_UTF8)
    except Rejected as rejected:
        raise Refusal(
            Problem(
                "the export",
                rejected.reason.replace("_", " "),
                "a file that can be read",
                "correct root",
            )
        ) from None
    if b"\0" in content or not content.strip():
        raise Refusal(
            Problem(
                "the export",
                "a file that is no archive and no list",
                "a folder, a zip, a tar or a text file with one path a line",
                "correct root",
            )
        )
    lines = [str(PurePosixPath(os.fsdecode(line))) for line in content.splitlines() if line.strip()]
    places = [(Path(found.path).parent / line, line) for line in dict.fromkeys(lines)]
    missing = sum(not os.path.exists(path) for path, _ in places)
    if missing:
        raise Refusal(
            Problem(
                "the list",
                f"{missing} of {len(places)} paths with nothing there",
                "one path a line, from the list's own folder",
                "mount what is missing or correct the list",
            )
        )
    return places


def _places(starts: list[Place], entered: list[str] | None = None) -> Iterator[Place]:
    """Each file once: real folders first, then what links lead to.

    Raises Refusal where what a folder holds cannot be known.

    `entered`: gets the names of the linked folders that were entered.
    """
    folders = deque(place for place in starts if place[0].is_dir())
    linked_folders: deque[Place] = deque()
    linked = [place for place in starts if not place[0].is_dir()]
    visited: set[tuple[int, int]] = set()
    closed = deep = 0
    while folders or linked_folders:
        is_linked = not folders
        folder, name = (folders or linked_folders).popleft()
        try:
            identity = _identity(folder)
            if identity in visited:
                continue
            visited.add(identity)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except PermissionError:
            closed += 1
            continue
        if is_linked and entered is not None:
            entered.append(name)
        for entry in (entry for entry in entries if entry.name not in VERSIONS):
            place = Path(entry.path), f"{name}/{entry.name}" if name else entry.name
            if _is_folder(entry):
                if place[1].count("/") >= MAX_DEPTH:
                    deep += 1
                else:
                    (linked_folders if entry.is_symlink() else folders).append(place)
            elif entry.is_symlink():
                linked.append(place)
            else:
                yield place
    refuse_if(_folder_problems(closed, deep))
    yield from _linked_files(linked, visited)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one."""
    linked = entry.is_symlink() and os.path.isdir(entry.path)
    return entry.is_dir(follow_symlinks=False) or linked


def _folder_problems(closed: int, deep: int) -> list[Problem]:
    """`closed`: folders that may not be read; `deep`: those too deep to be entered."""
    problems = []
    if closed:
        found, need = f"{closed} folders that may not be read", "read permission on every folder"
        problems.append(Problem("the export", found, need, "mend permissions"))
    if deep:
        found = f"{deep} folders more than {MAX_DEPTH} deep"
        need = f"at most {MAX_DEPTH} folders in a path"
        problems.append(Problem("the export", found, need, "move them up"))
    return problems


def _linked_files(places: list[Place], visited: set[tuple[int, int]]) -> Iterator[Place]:
    """Files that links or a list lead to, but for those in a folder that was `visited`."""
    seen: set[Path] = set()
    for path, name in places:
        try:
            target = path.resolve(strict=True)
            if target in seen or _identity(target.parent) in visited:
                continue
            seen.add(target)
        except (OSError, RuntimeError):  # it leads nowhere, or to itself; who opens it will say so
            pass
        yield path, name


def _identity(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def _with_missing(files: list[Found]) -> Iterator[Found]:
    """`files`, and what their DICOMDIRs name and they lack.

    Names are compared as a disc keeps them, then SOP Instance UIDs.
    """
    there = (
        {as_on_a_disc(found.name) for found in files}
        if any(is_dicomdir(found.name) for found in files)
        else set()
    )
    asked: set[str] = set()
    lacking: list[tuple[Found, Named]] = []
    for found in files:
        if found.problem or not is_dicomdir(found.name):
            yield found
            continue
        try:
            with opened(found) as stream:
                named = named_files(stream)
        except Rejected:
            yield replace(found, problem="damaged_directory")
            continue
        yield found
        for one in named:
            name = f"{found.folder}/{one.path}".lstrip("/")
            plain = as_on_a_disc(name)
            if plain not in there and plain not in asked:
                problem = "missing_file" if one.image else "missing_no_image"
                lacking.append((Found(name, found.path, 0, problem=problem, named=one), one))
            asked.add(plain)
    others = (found for found in files if as_on_a_disc(found.name) not in asked)
    renamed = _renamed({one.instance for _, one in lacking} - {""}, others)
    yield from (found for found, one in lacking if one.instance not in renamed)


def _renamed(wanted: set[str], files: Iterator[Found]) -> set[str]:
    """Which SOP Instance UIDs are those of `files`, which no directory names: they got other names
    on their way.
    """
    there: set[str] = set()
    for file in files:
        if wanted <= there:
            break
        try:
            with opened(file) as stream:
                head = stream.read(HEAD)
                stream.seek(0)
                if has_dicom_preamble(head) or starts_like_dicom(head):
                    there.add(instance_of(stream))
        except Rejected:  # who reads it will say why
            continue
    return there & wanted
