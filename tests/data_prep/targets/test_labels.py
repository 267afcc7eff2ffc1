"""The labels table: tolerant of how it is written, strict about what it says, silent about whom it names."""

from pathlib import Path

import pytest

from data_prep.exports.sources import Found
from data_prep.readers.image_file import Facts, Header, Identity, ImageFile
from data_prep.site_file import Labels, Site
from data_prep.targets.labels import LabelTable, read_labels
from data_prep.targets.matching import match_images, match_places
from workspace.errors import Refusal


def site(match: str = "PatientID", **labels: object) -> Site:
    return Site(
        root="x",
        task="t",
        labels=Labels(**{"file": "labels.csv", "match": match, "class": "view"} | labels),
        classes={"AP": ["AP", "ap supine"], "PA": ["PA"]},
        ignore=["lateral"],
    )


def read(text: str | bytes, match: str = "PatientID", **labels: object) -> LabelTable:
    return read_labels(
        text.encode() if isinstance(text, str) else text, "labels.csv", site(match, **labels)
    )


def refusal(text: str, **labels: object) -> str:
    with pytest.raises(Refusal) as caught:
        read(text, **labels)
    assert "ZZPHI" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "PatientID,view\nZ1,AP\nZ2,lateral\n",
        "PatientID;view\r\nZ1;AP\r\nZ2;lateral\r\n",
        "\ufeffPatientID\tview\nZ1\tAP\n\nZ2\tlateral",
        ' PatientID , view\n "Z1",AP \nZ2,lateral\n',
    ],
)
def test_separators_marks_blank_lines_and_spaces_are_tolerated(text: str) -> None:
    table = read(text)
    assert {value: row.label for value, row in table.rows.items()} == {
        "Z1": "AP",
        "Z2": None,
    } and set(table.lines.values()) == {"Z1", "Z2"}


def test_identifiers_stay_text() -> None:
    assert set(read("PatientID,view\n007,AP\nNA,PA\n").rows) == {"007", "NA"}


def test_a_table_from_an_older_spreadsheet_is_read() -> None:
    assert set(read("PatientID,view\nMüller,AP\n".encode("cp1252")).rows) == {"Müller"}


def test_aliases_ages_sexes_and_patients_are_read() -> None:
    row = read(
        "PatientID,view,group,y,s\nZ1,ap supine,g1,95,female\n", patient="group", age="y", sex="s"
    ).rows["Z1"]
    assert (row.label, row.patient, row.age, row.sex, row.line) == ("AP", "g1", 90.0, "F", 2)


def test_a_patient_keyword_that_is_no_column_is_left_to_the_images() -> None:
    assert not read("PatientID,view\nZ1,AP\n", patient="StudyInstanceUID").patient_column
    assert read("PatientID,view\nZ1,AP\n", patient="PatientID").patient_column


def test_an_unlisted_value_is_refused_by_line_and_never_shown() -> None:
    message = refusal("PatientID,view\nZ1,AP\nZ2,ZZPHI Jane\n\nZ3,\n")
    assert (
        "2 values of view under neither classes nor ignore (lines 3, 5)" in message
        and "Jane" not in message
    )


def test_rows_that_contradict_each_other_are_refused_by_line() -> None:
    assert "1 rows that contradict an earlier one (lines 2 and 4)" in refusal(
        "PatientID,view\nZZPHI1,AP\nZ2,PA\nZZPHI1,PA\n"
    )
    assert len(read("PatientID,view\nZ1,AP\nZ1,AP\n").rows) == 1


def test_a_missing_column_shows_the_columns_that_are_spelt_nearly_like_a_wanted_one() -> None:
    message = refusal("patient_id,view,ZZPHI-12345,Patient - ID,Notes\nZ1,AP,x,y,z\n")
    assert (
        "found 5 columns, among them patient_id, view, Patient - ID; need a column PatientID"
        in message
    )


def test_a_table_without_a_header_line_shows_no_patients_name() -> None:
    message = refusal("ZZPHI Anna,AP\nZZPHI John,PA\n")
    assert (
        "labels.csv header: found 2 columns; need a column PatientID; do correct labels" in message
        and "AP" not in message
    )


def test_every_problem_of_the_header_is_told_at_once() -> None:
    assert refusal("a,b\n1,2\n", age="years").count("\n") == 2


def test_a_column_that_is_there_twice_is_refused() -> None:
    assert "2 columns view; need one" in refusal("PatientID,view,view\nZ1,AP,PA\n")


def test_a_row_with_too_many_cells_is_refused_by_line() -> None:
    assert refusal("PatientID,view\nZ1,AP\nZZPHI,Jane,AP\n").startswith(
        "labels.csv line 3: found more cells than the header has"
    )


def test_an_empty_table_is_refused() -> None:
    assert "an empty file" in refusal("")


def test_class_values_are_compared_as_written_without_the_spaces_around_them() -> None:
    assert read("PatientID,view\nZ1, ap supine \n").rows["Z1"].label == "AP"
    assert "1 values of view under neither classes nor ignore (line 2)" in refusal(
        "PatientID,view\nZ1,ap\n"
    )


def test_a_row_without_a_value_contradicts_no_other() -> None:
    assert set(read("PatientID,view\n,AP\n,PA\nZ1,AP\n").rows) == {"Z1"}


def test_a_patient_that_is_neither_column_nor_element_is_refused_with_the_reason() -> None:
    assert "need a column lesion, since it is no keyword or tag of the DICOM dictionary" in refusal(
        "PatientID,view\nZ1,AP\n", patient="lesion"
    )
    assert "need a column (0019,1001), since it is a private element" in refusal(
        "PatientID,view\nZ1,AP\n", patient="(0019,1001)"
    )


def test_files_match_by_path_by_the_end_of_a_path_or_by_name() -> None:
    table = read("file,view\na/1.png,AP\n2.png,PA\n.\\b\\3.png,AP\nmissing.png,PA\n", match="file")
    names = ["x/a/1.png", "x/c/1.png", "y/2.png", "b/3.png", "q/b/3.png"]
    assert match_places(table, names, "labels.csv") == {
        "x/a/1.png": ["a/1.png"],
        "y/2.png": ["2.png"],
        "b/3.png": [".\\b\\3.png"],
    }


def test_a_name_that_fits_several_files_is_refused_by_line() -> None:
    table = read("file,view\nZZPHI.png,AP\n", match="file")
    with pytest.raises(Refusal, match=r"file names that fit several files \(line 2\)") as caught:
        match_places(table, ["a/ZZPHI.png", "b/ZZPHI.png"], "labels.csv")
    assert "ZZPHI" not in str(caught.value)


def test_rows_that_spell_one_file_in_two_ways_and_disagree_are_refused_by_line() -> None:
    table = read("file,view\nZZPHI.png,AP\nb.png,AP\na/ZZPHI.png,PA\n", match="file")
    with pytest.raises(
        Refusal, match=r"1 rows that contradict another row of the same image \(lines 2 and 4\)"
    ) as caught:
        match_places(table, ["a/ZZPHI.png", "b.png"], "labels.csv")
    assert "ZZPHI" not in str(caught.value)


def test_a_folder_labels_all_that_lies_beneath_it_and_may_be_named_by_the_end_of_its_path() -> None:
    table = read("folder,view\nexport/p1,AP\n.\\p2\\,PA\nlost,AP\n", match="folder")
    names = ["export/p1/a/1.dcm", "export/p1/2.dcm", "export/p2/3.dcm", "export/p10/4.dcm", "5.dcm"]
    assert match_places(table, names, "labels.csv") == {
        "export/p1/a/1.dcm": ["export/p1"],
        "export/p1/2.dcm": ["export/p1"],
        "export/p2/3.dcm": [".\\p2\\"],
    }


def test_folders_within_each_other_must_agree() -> None:
    names = ["p/late/1.dcm", "p/2.dcm"]
    agree = read("folder,view\np,AP\np/late,ap supine\n", match="folder")
    assert match_places(agree, names, "labels.csv") == {
        "p/late/1.dcm": ["p", "p/late"],
        "p/2.dcm": ["p"],
    }
    with pytest.raises(
        Refusal,
        match=r"contradict another row of the same image \(lines 2 and 3\); need one class and one patient",
    ):
        match_places(read("folder,view\np,AP\np/late,PA\n", match="folder"), names, "labels.csv")


def test_of_folders_within_each_other_the_deepest_one_says_the_age_whatever_their_names_lengths() -> (
    None
):
    table = read(
        "folder,view,years\nfirst,AP,61\nvery_long_name,AP,60\n", match="folder", age="years"
    )
    found = Found("very_long_name/first/1.png", Path("1.png"), 1)
    image = ImageFile(Identity(found), Header("png", (9, 9), Facts("PNG")))
    matched = match_images(
        [image], [], table, Labels(**{"file": "t", "match": "folder", "class": "view"}), "t"
    )
    assert matched.rows["very_long_name/first/1.png"].age == 61 and matched.unmatched == {}


def test_a_folder_name_that_fits_several_folders_is_refused_by_line() -> None:
    table = read("folder,view\nb/p,AP\np,PA\n", match="folder")
    with pytest.raises(
        Refusal, match=r"folder names that fit several folders \(line 3\); need one folder a row"
    ):
        match_places(table, ["a/p/1.dcm", "b/p/2.dcm"], "labels.csv")
