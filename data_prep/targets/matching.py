"""Which row of the labels table each image has, and which rows have none.

Messages name lines, never a value.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_prep.privacy.elements import keyword_of
from data_prep.privacy.same_value import one_text
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Reason, Reject
from data_prep.site_file import Labels
from data_prep.targets.labels import (
    BY_ARRAY,
    BY_FILE,
    BY_FOLDER,
    LabelTable,
    Row,
    shown_lines,
    shown_pairs,
)
from workspace.errors import Problem, Refusal, refuse_if

UNMATCHED = {
    "no_value": Reason(
        "an empty cell where the row should name its images", "fill it in, or remove the row"
    ),
    "file_rejected": Reason(
        "no image but a file that is not used", "look for its reason in rejects.csv"
    ),
    "no_image": Reason(
        "no image that could be used",
        "send the image, correct the cell, leave the row, or look in rejects.csv: it may be there",
    ),
}


@dataclass(frozen=True)
class Matched:
    """How labels and images met.

    `rows`: an image file's name -> its row; `unmatched`: line -> a reason of UNMATCHED.
    """

    rows: dict[str, Row]
    lines: int  # of the table
    unmatched: dict[int, str]


def match_images(
    images: list[ImageFile],
    rejects: Collection[Reject],
    table: LabelTable,
    labels: Labels,
    where: str,
) -> Matched:
    """Raises Refusal where no row finds an image, and where rows contradict each other."""
    if table.match in (BY_FILE, BY_FOLDER):
        values = match_places(table, [image.identity.found.name for image in images], where)
    else:
        asked = {
            image.identity.found.name: image.identity.found.name
            if table.match == BY_ARRAY
            else image.identity.elements.get(table.match, "")
            for image in images
        }
        values = {name: [value] for name, value in asked.items() if value in table.rows}
    if not values:
        raise Refusal(
            Problem(
                where,
                f"{len(table.lines)} rows and {len(images)} images that never match",
                f"rows that match images by {table.match}",
                "correct labels.match and labels.column",
            )
        )
    # The deepest folder's, which may say more.
    rows = {name: table.rows[fitting[-1]] for name, fitting in values.items()}
    _refuse_mixed(images, rows, table, labels, where)
    found = {value for fitting in values.values() for value in fitting}
    lost = _lost(table, rejects)
    unmatched = {
        line: "no_value" if not value else "file_rejected" if value in lost else "no_image"
        for line, value in table.lines.items()
        if value not in found
    }
    return Matched(rows, len(table.lines), unmatched)


def match_places(table: LabelTable, names: Iterable[str], where: str) -> dict[str, list[str]]:
    """An image's name under the root -> the table's values for it: its path or, for BY_FOLDER,
    paths of folders that it lies in, the deepest last.

    The end of a path will do. Raises Refusal where a value fits several places, and where rows
    contradict each other on an image.
    """
    inside: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for place in _places(table, name):
            inside[place].append(name)
    values: dict[str, list[str]] = defaultdict(list)
    ambiguous = []
    for value, fitting in sorted(
        _fitting(table, inside).items(), key=lambda item: item[1][0].count("/")
    ):
        # Two Unicode forms of one name.
        if len(fitting) > 1 or (table.match == BY_FILE and len(inside[fitting[0]]) > 1):
            ambiguous.append(table.rows[value].line)
            continue
        for name in inside[fitting[0]]:
            values[name].append(value)
    pairs = {
        _lines(table.rows[fitting[0]], table.rows[value])
        for fitting in values.values()
        for value in fitting[1:]
        if not _agree(table.rows[fitting[0]], table.rows[value])
    }
    refuse_if(_place_problems(table, ambiguous, pairs, where))
    return dict(values)


def _place_problems(
    table: LabelTable, ambiguous: list[int], pairs: set[tuple[int, int]], where: str
) -> list[Problem]:
    """`ambiguous`: lines whose value fits several places; `pairs`: of lines that contradict."""
    what = "file" if table.match == BY_FILE else "folder"
    problems = []
    if ambiguous:
        problems.append(
            Problem(
                where,
                f"{what} names that fit several {what}s ({shown_lines(sorted(ambiguous))})",
                f"one {what} a row",
                "write paths relative to the site's root",
            )
        )
    if pairs:
        problems.append(
            Problem(
                where,
                f"{len(pairs)} rows that contradict another row of the same image "
                f"({shown_pairs(sorted(pairs))})",
                "one class and one patient for each image",
                "correct the table",
            )
        )
    return problems


def patient_of(image: ImageFile, row: Row | None, table: LabelTable, labels: Labels) -> str | None:
    """The value that tells patients apart: the table's column, a DICOM element, or the file itself
    where it is no DICOM.
    """
    if table.patient_column:
        return None if row is None else row.patient
    if labels.patient or image.header.kind == "dicom":
        return image.identity.elements.get(keyword_of(labels.patient or "PatientID"))
    return image.identity.found.name


def write_unmatched(unmatched: dict[int, str], path: Path) -> None:
    """Write unmatched.csv: one row for each line of the labels table that found no image.

    It holds no cell of the table.
    """
    rows = [
        (line, reason, UNMATCHED[reason].means, UNMATCHED[reason].do)
        for line, reason in sorted(unmatched.items())
    ]
    pd.DataFrame(rows, columns=["line", "reason", "found", "do"]).to_csv(
        path, index=False, lineterminator="\n"
    )


def _places(table: LabelTable, name: str) -> list[str]:
    """What a row may name to mean a file: itself, or a folder or archive that it lies in."""
    path = one_text(name)
    parts = path.split("/")
    if table.match == BY_FILE:
        return [path]
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _fitting(table: LabelTable, places: Iterable[str]) -> dict[str, list[str]]:
    """Value -> the places that it is the path of or, if there is none, the end of the path of;
    values that fit none are left out.
    """
    by_base = defaultdict(list)
    for place in places:
        by_base[place.rpartition("/")[2]].append(place)
    found = {}
    for value in table.rows:
        path = value.replace("\\", "/").removeprefix("./").rstrip("/")
        fits = [
            place
            for place in by_base.get(path.rpartition("/")[2], [])
            if place == path or place.endswith("/" + path)
        ]
        if fits:
            found[value] = [path] if path in fits else fits
    return found


def _refuse_mixed(
    images: list[ImageFile], rows: dict[str, Row], table: LabelTable, labels: Labels, where: str
) -> None:
    """Raise Refusal where labels.one_class_a is a study or patient, and one has images of several
    classes.
    """
    if labels.one_class_a == "image":
        return
    first: dict[str, Row] = {}
    pairs = set()
    for image in images:
        row = rows.get(image.identity.found.name)
        if row is None or row.label is None:  # what the site ignores is of no class
            continue
        one = (
            image.identity.elements.get("StudyInstanceUID")
            if labels.one_class_a == "study"
            else patient_of(image, row, table, labels)
        )
        if one and first.setdefault(one, row).label != row.label:
            pairs.add(_lines(first[one], row))
    refuse_if(
        [
            Problem(
                where,
                f"{len(pairs)} pairs of rows that give one {labels.one_class_a} two classes "
                f"({shown_pairs(sorted(pairs))})",
                f"one class a {labels.one_class_a}",
                "correct the table, or set labels.one_class_a to image",
            )
        ]
        if pairs
        else []
    )


def _lost(table: LabelTable, rejects: Iterable[Reject]) -> set[str]:
    """The values that fit a file that is not used, as far as its name or header tells."""
    if table.match in (BY_FILE, BY_FOLDER):
        return set(
            _fitting(table, {place for reject in rejects for place in _places(table, reject.name)})
        )
    known = {
        "SOPInstanceUID": {reject.instance for reject in rejects},
        "SeriesInstanceUID": {reject.series for reject in rejects},
    }
    return known.get(table.match, set())


def _agree(one: Row, other: Row) -> bool:
    return (one.label, one.patient) == (other.label, other.patient)


def _lines(one: Row, other: Row) -> tuple[int, int]:
    return min(one.line, other.line), max(one.line, other.line)
