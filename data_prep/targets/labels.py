"""The labels table: which class each image has, and whose it is.

Messages name lines and columns, never a cell's value.
"""

import codecs
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from data_prep.privacy.age_and_sex import SexColumn, age_from_years, understood
from data_prep.privacy.elements import keyword_of, kind_of
from data_prep.privacy.same_value import one_form, one_text
from data_prep.site_file import Labels, Site
from workspace.errors import Problem, Refusal, refuse_if

BY_FILE, BY_FOLDER = "file", "folder"
BY_ARRAY = "npz"  # the labels lie beside the images, in one file
SEPARATORS = ",;\t"
WORKBOOKS = (
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
)  # .xlsx and .ods are zips; .xls is an OLE file (MS-CFB 2.2)
MOST_ZEROS = 0.2  # of all bytes: UTF-16 has half of them in a table of Latin letters
SHOWN_LINES = 10  # line numbers in one message


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
    """Rows by the value that they are matched by, a DICOM keyword's or a path.

    `lines`: every line's number -> its value, or empty.

    `unread`: age or sex -> the lines whose cell is not understood.
    """

    match: str
    rows: dict[str, Row]
    lines: dict[int, str]
    patient_column: bool
    unread: dict[str, list[int]] = field(default_factory=dict)


def read_labels(content: bytes, where: str, site: Site) -> LabelTable:
    """Read a labels table (CSV with , ; or tab; UTF-8 with or without BOM, UTF-16 with it, else
    Windows-1252).

    Values are in the one form that all ways to write them share, ages and sexes in that of
    records.parquet. Raises Refusal with every problem.
    """
    settings = site.labels
    table = _parse(content, where)
    key, patient = settings.column or settings.match, settings.patient
    # A column goes before the DICOM keyword of the same name.
    patient_column = patient if patient in table.columns else None
    refuse_if(_column_problems(table, _wanted(settings, key, patient_column), where))
    match = settings.match if settings.match in (BY_FILE, BY_FOLDER) else keyword_of(settings.match)
    kind, patient_kind = kind_of(match), kind_of(patient_column)
    ages_and_sexes = _AgesAndSexes(settings, table)
    rows: dict[str, Row] = {}
    unknown: list[int] = []
    conflicts: list[tuple[int, int]] = []
    for line, cells in zip(table.index, table.to_dict("records"), strict=True):
        name = cells[settings.class_column]
        value = one_form(cells[key], kind) if kind else cells[key]
        label = site.class_of(name)
        if label is None and name not in site.ignore:
            unknown.append(line)
            continue
        if not value:
            continue
        whose = one_form(cells[patient_column], patient_kind) if patient_column else None
        row = Row(line, label, whose, *ages_and_sexes.read(line, cells))
        first = rows.setdefault(value, row)
        if (first.label, first.patient) != (row.label, row.patient):
            conflicts.append((first.line, line))
    refuse_if(_value_problems(unknown, conflicts, where, settings.class_column or ""))
    lines = {line: one_form(value, kind) if kind else value for line, value in table[key].items()}
    has_patients = patient_column is not None
    return LabelTable(match, rows, lines, has_patients, ages_and_sexes.unread)


def _wanted(settings: Labels, key: str, patient_column: str | None) -> dict[str, str]:
    """The columns that a table must have, and how each is asked for."""
    names = (key, settings.class_column, settings.age, settings.sex, patient_column)
    wanted = {name: f"a column {name}" for name in names if name}
    if settings.patient and not patient_column:
        try:
            keyword_of(settings.patient)
        except ValueError as why:
            wanted[settings.patient] = f"a column {settings.patient}, since it is {why}"
    return wanted


class _AgesAndSexes:
    """Reads the cells of a table's columns of ages and sexes, and notes those not understood."""

    def __init__(self, settings: Labels, table: pd.DataFrame):
        self.settings = settings
        self.sexes = SexColumn.of(table[settings.sex] if settings.sex else ())
        self.lines: dict[str, list[int]] = {"age": [], "sex": []}

    def read(self, line: int, cells: dict[str, str]) -> tuple[float | None, str | None]:
        age, sex = None, None
        if self.settings.age:
            age, understandable = understood(age_from_years, cells[self.settings.age])
            if not understandable:
                self.lines["age"].append(line)
        if self.settings.sex:
            sex, understandable = understood(self.sexes.read, cells[self.settings.sex])
            if not understandable:
                self.lines["sex"].append(line)
        return age, sex

    @property
    def unread(self) -> dict[str, list[int]]:
        """Age or sex -> the lines whose cell is not understood."""
        return {column: lines for column, lines in self.lines.items() if lines}


def identifying_cells(content: bytes, where: str, site: Site) -> set[str]:
    """The cells of the columns that name images and patients. Raises Refusal."""
    table = _parse(content, where)
    columns = {site.labels.column or site.labels.match, site.labels.patient} & set(table.columns)
    return {cell for column in columns for cell in table[column]}


def _parse(content: bytes, where: str) -> pd.DataFrame:
    """The table as stripped strings of one Unicode form, indexed by line number, with blank lines
    left out.
    """
    text = one_text(_decoded(content, where))
    header = text.split("\n", 1)[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cells = pd.read_csv(
                io.StringIO(text),
                sep=max(SEPARATORS, key=header.count),
                header=None,
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                skip_blank_lines=False,
                skipinitialspace=True,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        line = re.search(r"line (\d+)", str(error))
        raise Refusal(
            Problem(
                f"{where}{f' line {line[1]}' if line else ''}",
                "more cells than the header has",
                "one cell a column",
                "quote cells that hold a separator",
            )
        ) from None
    except pd.errors.EmptyDataError:
        raise Refusal(
            Problem(where, "an empty file", "a table with a header line", "export it again")
        ) from None
    cells = cells.fillna("").apply(lambda column: column.str.strip())
    cells.index = cells.index + 1
    table = cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis="columns")
    return table[(table != "").any(axis="columns")]


def _decoded(content: bytes, where: str) -> str:
    """The text of a table.

    Raises Refusal where its encoding cannot be told, since two names might be read as one.
    """
    save = "save it as CSV in UTF-8"
    if content.startswith(WORKBOOKS):
        raise Refusal(Problem(where, "a spreadsheet's own file", "a CSV file", save))
    if content.startswith(codecs.BOM_UTF32_LE):  # which begins like UTF-16's
        raise Refusal(Problem(where, "an encoding of four bytes a letter", "a CSV file", save))
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16").replace("\0", "")
        if content.count(0) > MOST_ZEROS * len(content):  # UTF-16 without its mark, or no text
            raise Refusal(
                Problem(where, "more bytes of 0 than text in UTF-8 has", "a CSV file", save)
            )
        content = content.replace(b"\0", b"")  # that pad values, as PS3.5 6.2 pads UIDs
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        raise Refusal(
            Problem(
                where,
                "an encoding that is not UTF-8, UTF-16 or Windows-1252",
                "a CSV file in one of them",
                save,
            )
        ) from None


def _column_problems(table: pd.DataFrame, wanted: dict[str, str], where: str) -> list[Problem]:
    """`wanted`: a column's name -> what is needed, in words.

    Of the table's own names only those like a wanted one are shown: without a header line, they are
    a patient's values.
    """
    names = list(table.columns)
    alike = [name for name in names if _bare(name) in map(_bare, wanted)]
    seen = f"{len(names)} columns{', among them ' if alike else ''}{', '.join(alike)}"
    problems = [
        Problem(f"{where} header", seen, need, "correct labels in the site's file, or the table")
        for name, need in wanted.items()
        if name not in names
    ]
    return problems + [
        Problem(
            f"{where} header",
            f"{names.count(name)} columns {name}",
            "one",
            "rename or remove the others",
        )
        for name in wanted
        if names.count(name) > 1
    ]


def _bare(name: str) -> str:
    return re.sub("[ _-]", "", name.casefold())


def _value_problems(
    unknown: list[int], conflicts: list[tuple[int, int]], where: str, column: str
) -> list[Problem]:
    problems = []
    if unknown:
        problems.append(
            Problem(
                where,
                f"{len(unknown)} values of {column} under neither classes nor "
                f"ignore ({shown_lines(unknown)})",
                "every value under one of them (an empty cell is '')",
                "add them to the site's file",
            )
        )
    if conflicts:
        problems.append(
            Problem(
                where,
                f"{len(conflicts)} rows that contradict an earlier one ({shown_pairs(conflicts)})",
                "one class and one patient for each image",
                "correct the table",
            )
        )
    return problems


def shown_lines(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:SHOWN_LINES]))
    more = f" and {len(lines) - SHOWN_LINES} more" if len(lines) > SHOWN_LINES else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"


def shown_pairs(pairs: Sequence[tuple[int, int]]) -> str:
    return "lines " + ", ".join(f"{first} and {second}" for first, second in pairs[:SHOWN_LINES])
