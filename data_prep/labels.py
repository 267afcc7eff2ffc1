"""The labels table: which class each image has, and whose it is. Messages name lines and columns, never a cell's value."""

import io
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from data_prep.deidentify import age_from_years, sex
from workspace.errors import Problem, Refusal, refuse_if
from workspace.settings import Site

BY_FILE = "file"
BY_ARRAY = "npz"  # the labels lie beside the images, in one file
KEYWORDS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")  # what a row may be matched by, or grouped by
SEPARATORS = ",;\t"
SHOWN_LINES = 10  # line numbers in one message
# A column's name that is safe to show. A table without a header line would show a patient's values, and those mostly hold digits.
PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z _-]{0,39}")


@dataclass(frozen=True)
class Row:
    """What one line says. `label`: a canonical class, or None where the site ignores the value."""

    line: int
    label: str | None
    patient: str | None = None
    age: float | None = None
    sex: str | None = None


@dataclass(frozen=True)
class LabelTable:
    """Rows by the value that they are matched by. `lines`: how many the table has."""

    match: str
    rows: dict[str, Row]
    lines: int
    patient_column: bool


def read_labels(content: bytes, where: str, site: Site) -> LabelTable:
    """Read a labels table (CSV with , ; or tab; UTF-8 with or without BOM, else Windows-1252).

    Raises Refusal with every problem.
    """
    settings = site.labels
    table = _parse(content, where)
    key, patient = settings.column or settings.match, settings.patient
    patient_column = patient if patient in table.columns else None  # a column goes before the DICOM keyword of the same name
    wanted = [key, settings.class_column, *filter(None, (settings.age, settings.sex))]
    wanted += [patient] if patient and patient not in KEYWORDS else []
    refuse_if(_column_problems(table, wanted, where))
    rows: dict[str, Row] = {}
    unknown: list[int] = []
    conflicts: list[tuple[int, int]] = []
    for line, cells in zip(table.index, table.to_dict("records"), strict=True):
        value, name = cells[key], cells[settings.class_column]
        label = site.class_of(name)
        if label is None and name not in site.ignore:
            unknown.append(line)
            continue
        row = Row(line, label, cells[patient_column] if patient_column else None,
                  age_from_years(cells[settings.age]) if settings.age else None,
                  sex(cells[settings.sex]) if settings.sex else None)
        first = rows.setdefault(value, row)
        if (first.label, first.patient) != (row.label, row.patient):
            conflicts.append((first.line, line))
    refuse_if(_value_problems(unknown, conflicts, where, settings.class_column))
    return LabelTable(settings.match, rows, len(table), patient_column is not None)


def match_files(table: LabelTable, names: Iterable[str], where: str) -> dict[str, str]:
    """File name under the root -> the table's value for it; a value is a whole path, its end, or a bare name.

    Raises Refusal where a value fits several files.
    """
    by_base = defaultdict(list)
    for name in names:
        by_base[name.rpartition("/")[2]].append(name)
    found: dict[str, str] = {}
    ambiguous = []
    for value, row in table.rows.items():
        path = value.replace("\\", "/").removeprefix("./")
        fits = [name for name in by_base.get(path.rpartition("/")[2], []) if name == path or name.endswith("/" + path)]
        fits = [path] if path in fits else fits
        if len(fits) > 1:
            ambiguous.append(row.line)
        found.update((name, value) for name in fits)
    refuse_if([Problem(where, f"file names that fit several files ({_lines(ambiguous)})", "one file a row",
                       "write paths relative to the site's root")] if ambiguous else [])
    return found


def identifying_cells(content: bytes, where: str, site: Site) -> set[str]:
    """The cells of the columns that name images and patients. Raises Refusal."""
    table = _parse(content, where)
    columns = {site.labels.column or site.labels.match, site.labels.patient} & set(table.columns)
    return {cell for column in columns for cell in table[column]}


def _parse(content: bytes, where: str) -> pd.DataFrame:
    """The table as stripped strings, indexed by line number, with blank lines left out."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    header = text.split("\n", 1)[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cells = pd.read_csv(io.StringIO(text), sep=max(SEPARATORS, key=header.count), header=None, dtype=str,
                                keep_default_na=False, na_filter=False, skip_blank_lines=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        line = re.search(r"line (\d+)", str(error))
        raise Refusal(Problem(f"{where}{f' line {line[1]}' if line else ''}", "more cells than the header has",
                              "one cell a column", "quote cells that hold a separator")) from None
    except pd.errors.EmptyDataError:
        raise Refusal(Problem(where, "an empty file", "a table with a header line", "export it again")) from None
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    cells.index = cells.index + 1
    table = cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis="columns")
    return table[(table != "").any(axis="columns")]


def _column_problems(table: pd.DataFrame, wanted: list[str], where: str) -> list[Problem]:
    names = list(table.columns)
    shown = [name for name in names if PLAIN_NAME.fullmatch(name)]
    hidden = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    seen = f"the columns {', '.join(shown) or '(none with a plain name)'}{hidden}"
    problems = [Problem(f"{where} header", seen, f"a column {name}", "correct labels in the site's file, or the table")
                for name in dict.fromkeys(wanted) if name not in names]
    return problems + [Problem(f"{where} header", f"{names.count(name)} columns {name}", "one", "rename or remove the others")
                       for name in dict.fromkeys(wanted) if names.count(name) > 1]


def _value_problems(unknown: list[int], conflicts: list[tuple[int, int]], where: str, column: str) -> list[Problem]:
    problems = []
    if unknown:
        problems.append(Problem(where, f"{len(unknown)} values of {column} under neither classes nor ignore ({_lines(unknown)})",
                                "every value under one of them (an empty cell is '')", "add them to the site's file"))
    if conflicts:
        pairs = ", ".join(f"{first} and {second}" for first, second in conflicts[:SHOWN_LINES])
        problems.append(Problem(where, f"{len(conflicts)} rows that contradict an earlier one (lines {pairs})",
                                "one class and one patient for each image", "correct the table"))
    return problems


def _lines(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:SHOWN_LINES]))
    more = f" and {len(lines) - SHOWN_LINES} more" if len(lines) > SHOWN_LINES else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"
