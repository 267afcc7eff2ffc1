"""index.parquet: one row for every file that was seen in an export, what became of it, and which
record holds it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data_prep.decode import Planned
from data_prep.privacy.deidentify import Keys
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Reject
from workspace.outputs import write_parquet

USED, REJECTED, NO_IMAGE = "used", "rejected", "no_image"

# Every column and its type. All identifiers are keyed hashes, the same as in records.parquet and
# rejects.csv.
COLUMNS = {
    "file": "string",  # keyed hash of its name; rows are sorted by it
    "kind": "string",  # by content: dicom, nifti, png, ...
    "outcome": "string",  # used, rejected or no_image
    "reason": "string",  # as in rejects.csv; missing where used
    "patient": "string",  # missing where not known, as for a file whose header could not be read
    "study": "string",
    "series": "string",
    # of the record that holds it, of several the first by key; missing where not used
    "record": "string",
    # of its slice in that record, from 0 in the order of the slices on their normal; of several
    # frames the first
    "place": "Int32",
    # how many records hold some of it: 0 where not used, several only of a multi-frame file's
    # slices, or a 4D file's volumes
    "records": "Int32",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A file and whose it is, as keyed hashes where known.

    `name` may hold a patient's id: kept in memory, never written.
    """

    name: str
    kind: str
    patient: str | None = None
    study: str | None = None
    series: str | None = None


def look_up(
    examined: Iterable[ImageFile | Reject], keys: Keys, patient: Callable[[ImageFile], str | None]
) -> Iterator[Seen]:
    """Each file, data files with their headers. `patient` gives the key of an image's patient."""
    for item in examined:
        if isinstance(item, Reject):
            yield Seen(
                item.name, item.kind, series=keys.series(item.series) if item.series else None
            )
            continue
        study, series = (
            item.identity.elements.get("StudyInstanceUID"),
            item.identity.elements.get("SeriesInstanceUID"),
        )
        whose = (
            patient(item),
            keys.study(study) if study else None,
            keys.series(series) if series else None,
        )
        for file in item.identity.files:
            yield Seen(file.name, item.header.kind, *whose)


def write_index(
    seen: Iterable[Seen],
    records: Iterable[Planned],
    rejects: Iterable[Reject],
    keys: Keys,
    path: Path,
) -> None:
    """Write index.parquet.

    `records`: those that were made; `rejects`: one for each file that is not used.
    """
    holders: dict[str, list[tuple[str, int, Planned]]] = {}
    for record in records:
        for place, image in enumerate(record.files):
            for file in image.identity.files:
                holders.setdefault(file.name, []).append((record.key, place, record))
    lost = {reject.name: reject for reject in rejects}
    rows = [_row(file, holders.get(file.name, []), lost, keys) for file in seen]
    rows.sort(key=lambda row: row["file"])
    write_parquet(pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS), path)


def _row(
    file: Seen, holders: list[tuple[str, int, Planned]], lost: dict[str, Reject], keys: Keys
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "file": keys.file(file.name),
        "kind": file.kind,
        "records": len({key for key, _, _ in holders}),
    }
    if not holders:
        reject = lost[file.name]
        outcome = REJECTED if reject.image else NO_IMAGE
        return row | {
            "outcome": outcome,
            "reason": reject.reason,
            "patient": file.patient,
            "study": file.study,
            "series": file.series,
        }
    key, place, record = min(holders, key=lambda holder: holder[:2])
    return (
        row
        | {"outcome": USED, "record": key, "place": place}
        | {name: record.row[name] for name in ("patient", "study", "series")}
    )
