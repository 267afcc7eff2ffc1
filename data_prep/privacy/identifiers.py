"""The identifying values of a whole export, for the search through the outputs."""

from functools import partial
from pathlib import Path

from data_prep.exports.kinds import HEAD
from data_prep.exports.sources import Found, opened
from data_prep.exports.walk import walk
from data_prep.privacy.elements import asked_of
from data_prep.privacy.identifying_values import CELL, IdentifyingValues
from data_prep.readers.quiet import quiet
from data_prep.readers.registry import recognised
from data_prep.running.parallel import in_order
from data_prep.scan import table_content
from data_prep.site_file import Site
from data_prep.targets.labels import BY_ARRAY, identifying_cells
from workspace.progress import track


def collect(root: Path, name: str, site: Site, workers: int) -> IdentifyingValues:
    """All identifying values of one site's export. Raises Refusal."""
    gathered = IdentifyingValues()
    if site.labels.match == BY_ARRAY:  # an .npz names nobody
        return gathered
    for cell in identifying_cells(
        table_content(root, name, site), f"{name} {site.labels.file}", site
    ):
        gathered.add(CELL, cell)
        gathered.add_path(cell.replace("\\", "/"))
    files = walk(root)
    for found in track(
        in_order(partial(_of_files, asked=asked_of(site.labels)), files, workers),
        f"{name}: reading identifiers",
        total=len(files),
    ):
        gathered.update(found)
    return gathered


def _of_files(files: list[Found], asked: tuple[str, ...]) -> list[IdentifyingValues]:
    return [_of_file(found, asked) for found in files]


def _of_file(found: Found, asked: tuple[str, ...]) -> IdentifyingValues:
    """`asked`: keywords of elements that the labels are matched by, identifying whatever their
    kind.
    """
    values = IdentifyingValues(files=1)
    try:
        with quiet(), opened(found) as stream:
            _, reader = recognised(stream.read(HEAD))
            stream.seek(0)
            if reader is not None:
                reader.identifiers(stream, values, asked)
    except Exception:  # damaged files raise anything; what was read of them until then is kept
        values.unread = 1
    values.add_path(found.name)
    return values
