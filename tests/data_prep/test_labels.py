"""The labels table: tolerant of how it is written, strict about what it says, silent about whom it names."""

import pytest

from data_prep.labels import LabelTable, match_files, read_labels
from workspace.errors import Refusal
from workspace.settings import Labels, Site


def site(match: str = "PatientID", **labels: object) -> Site:
    return Site(root="x", task="t", labels=Labels(**{"file": "labels.csv", "match": match, "class": "view"} | labels),
                classes={"AP": ["AP", "ap supine"], "PA": ["PA"]}, ignore=["lateral"])


def read(text: str | bytes, match: str = "PatientID", **labels: object) -> LabelTable:
    return read_labels(text.encode() if isinstance(text, str) else text, "labels.csv", site(match, **labels))


def refusal(text: str, **labels: object) -> str:
    with pytest.raises(Refusal) as caught:
        read(text, **labels)
    assert "ZZPHI" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", [
    "PatientID,view\nZ1,AP\nZ2,lateral\n", "PatientID;view\r\nZ1;AP\r\nZ2;lateral\r\n",
    "\ufeffPatientID\tview\nZ1\tAP\n\nZ2\tlateral",
    ' PatientID , view\n "Z1",AP \nZ2,lateral\n',
])
def test_separators_marks_blank_lines_and_spaces_are_tolerated(text: str) -> None:
    table = read(text)
    assert {value: row.label for value, row in table.rows.items()} == {"Z1": "AP", "Z2": None} and table.lines == 2


def test_identifiers_stay_text() -> None:
    assert set(read("PatientID,view\n007,AP\nNA,PA\n").rows) == {"007", "NA"}


def test_a_table_from_an_older_spreadsheet_is_read() -> None:
    assert set(read("PatientID,view\nMüller,AP\n".encode("cp1252")).rows) == {"Müller"}


def test_aliases_ages_sexes_and_patients_are_read() -> None:
    row = read("PatientID,view,group,y,s\nZ1,ap supine,g1,95,female\n", patient="group", age="y", sex="s").rows["Z1"]
    assert (row.label, row.patient, row.age, row.sex, row.line) == ("AP", "g1", 90.0, "F", 2)


def test_a_patient_keyword_that_is_no_column_is_left_to_the_images() -> None:
    assert not read("PatientID,view\nZ1,AP\n", patient="StudyInstanceUID").patient_column
    assert read("PatientID,view\nZ1,AP\n", patient="PatientID").patient_column


def test_an_unlisted_value_is_refused_by_line_and_never_shown() -> None:
    message = refusal("PatientID,view\nZ1,AP\nZ2,ZZPHI Jane\n\nZ3,\n")
    assert "2 values of view under neither classes nor ignore (lines 3, 5)" in message and "Jane" not in message


def test_rows_that_contradict_each_other_are_refused_by_line() -> None:
    assert "1 rows that contradict an earlier one (lines 2 and 4)" in refusal("PatientID,view\nZZPHI1,AP\nZ2,PA\nZZPHI1,PA\n")
    assert len(read("PatientID,view\nZ1,AP\nZ1,AP\n").rows) == 1


def test_a_missing_column_lists_the_columns_that_look_like_names() -> None:
    message = refusal("patient_id,view,ZZPHI-12345\nZ1,AP,x\n")
    assert "found the columns patient_id, view and 1 more; need a column PatientID" in message


def test_every_problem_of_the_header_is_told_at_once() -> None:
    assert refusal("a,b\n1,2\n", age="years").count("\n") == 2


def test_a_column_that_is_there_twice_is_refused() -> None:
    assert "2 columns view; need one" in refusal("PatientID,view,view\nZ1,AP,PA\n")


def test_a_row_with_too_many_cells_is_refused_by_line() -> None:
    assert refusal("PatientID,view\nZ1,AP\nZZPHI,Jane,AP\n").startswith("labels.csv line 3: found more cells than the header has")


def test_an_empty_table_is_refused() -> None:
    assert "an empty file" in refusal("")


def test_files_match_by_path_by_the_end_of_a_path_or_by_name() -> None:
    table = read("file,view\na/1.png,AP\n2.png,PA\n.\\b\\3.png,AP\nmissing.png,PA\n", match="file")
    names = ["x/a/1.png", "x/c/1.png", "y/2.png", "b/3.png", "q/b/3.png"]
    assert match_files(table, names, "labels.csv") == {"x/a/1.png": "a/1.png", "y/2.png": "2.png", "b/3.png": ".\\b\\3.png"}


def test_a_name_that_fits_several_files_is_refused_by_line() -> None:
    table = read("file,view\nZZPHI.png,AP\n", match="file")
    with pytest.raises(Refusal, match=r"file names that fit several files \(line 2\)") as caught:
        match_files(table, ["a/ZZPHI.png", "b/ZZPHI.png"], "labels.csv")
    assert "ZZPHI" not in str(caught.value)
