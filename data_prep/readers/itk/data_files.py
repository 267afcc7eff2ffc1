"""The files in which a NRRD or MetaImage header says that its voxels lie: one, a list, or a
numbered series.

https://teem.sourceforge.net/nrrd/format.html#detached and https://itk.org/Wiki/MetaIO/Documentation
(ElementDataFile).
"""

import re
from pathlib import PurePosixPath

from data_prep.exports.sources import Found
from data_prep.rejects import Rejected

MAX_FILES = 10_000  # of one header
# A pattern of printf, then first, last, step.
NUMBERED = re.compile(
    r"([^%]*)%(0?)(\d?)[diu]([^%]*?)\s+(-?\d+)\s+(-?\d+)(?:\s+(-?\d+))?(?:\s+\d+)?"
)


def data_files(written: str, listed: list[str], found: Found) -> tuple[str, ...]:
    """Their names under the export's root.

    `written`: the header's field; `listed`: the lines after it. Raises Rejected.
    """
    if written.split()[:1] == ["LIST"]:
        names = listed
    elif numbered := NUMBERED.fullmatch(written):
        names = _numbered(*numbered.groups())
    else:
        names = [written]
    if not 0 < len(names) <= MAX_FILES:
        raise Rejected("bad_data_file", "no data file, or too many")
    return tuple(_under(name, found) for name in names)


def _numbered(
    start: str, zeros: str, width: str, end: str, first: str, last: str, step: str | None
) -> list[str]:
    by = int(step or 1)
    numbers = range(int(first), int(last) + (1 if by > 0 else -1), by) if by else ()
    if len(numbers) > MAX_FILES:
        raise Rejected("bad_data_file", "no data file, or too many")
    return [f"{start}{number:{zeros}{width}d}{end}" for number in numbers]


def _under(name: str, found: Found) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise Rejected("bad_data_file", "a data file outside the header's folder")
    return str(PurePosixPath(found.folder) / path)
