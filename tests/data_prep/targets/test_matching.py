"""Labels meet images: by any plain DICOM element, with what found no partner listed either way, and no class in doubt."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_prep import convert as stage
from data_prep.privacy.elements import asked_of, keyword_of
from data_prep.privacy.identifiers import collect
from data_prep.privacy.identifying_values import NUMBER
from data_prep.site_file import Labels, load_site
from data_prep.store.records import read_studies
from tests.data_prep.made_dicom import grey, ramp, volume, write
from tests.data_prep.test_convert import summary, workspace
from workspace.errors import Refusal
from workspace.paths import Workspace


def site(root: Path, labels: str, table: str, **elements: list[object]) -> Workspace:
    """Four images whose headers hold `elements`, one value each, and a table."""
    made = workspace(root, labels, extra="")
    for number in range(4):
        data = grey(
            np.roll(ramp(), number),
            SOPInstanceUID=f"1.2.3.{number}",
            PatientID=f"ZZPHI{number // 2}",
            StudyInstanceUID=f"1.2.4.{number // 2}",
        )
        for keyword, values in elements.items():
            setattr(data, keyword, values[number])
        write(data, made.incoming("site") / f"ZZPHI{number // 2}" / f"{number}.dcm")
    (made.incoming("site") / "labels.csv").write_text(table, encoding="utf-8")
    return made


def labelled(made: Workspace) -> dict[str, int]:
    stage.convert(made, "site")
    return {name: counts["records"] for name, counts in summary(made)["classes"].items()}


def refusal(made: Workspace) -> str:
    with pytest.raises(Refusal) as caught:
        stage.convert(made, "site")
    assert "ZZPHI" not in str(caught.value)
    return str(caught.value)


def unmatched(made: Workspace) -> list[tuple[str, str]]:
    with (made.studies("site") / "unmatched.csv").open() as file:
        return [(row["line"], row["reason"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("PatientID", "PatientID"),
        ("(0010,0020)", "PatientID"),
        ("(0008, 0050)", "AccessionNumber"),
        ("StudyID", "StudyID"),
        ("(0020,000d)", "StudyInstanceUID"),
        ("InstanceNumber", "InstanceNumber"),
        ("BodyPartExamined", "BodyPartExamined"),
    ],
)
def test_an_element_is_named_by_keyword_or_tag(name: str, keyword: str) -> None:
    assert keyword_of(name) == keyword


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Accession Number", "no keyword or tag"),
        ("", "no element"),
        ("(0019,1001)", "a private element"),
        ("(0009,0010)", "a private element"),
        ("RequestAttributesSequence", "a sequence"),
        ("(0040,0275)", "a sequence"),
        ("PixelData", "other than text or whole numbers"),
        ("SliceThickness", "other than text or whole numbers"),
        ("(0010,9999)", "no element of an image"),
        ("(0002,0010)", "no element of an image"),
        ("MediaStorageSOPInstanceUID", "no element of an image"),
    ],
)
def test_an_element_that_cannot_tell_images_apart_is_refused_with_the_reason(
    name: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        keyword_of(name)


def test_of_a_sites_settings_only_elements_are_read_from_headers() -> None:
    assert asked_of(
        Labels(**{"file": "t", "class": "c", "match": "(0008,0050)", "patient": "lesion"})
    ) == ("AccessionNumber",)
    assert asked_of(
        Labels(**{"file": "t", "class": "c", "match": "folder", "patient": "StudyID"})
    ) == ("StudyID",)


@pytest.mark.parametrize(
    ("match", "column", "elements", "rows"),
    [
        (
            "AccessionNumber",
            "acc",
            {"AccessionNumber": ["ZZA", "ZZA", "ZZB", "ZZB"]},
            "ZZA,AP\nZZB,PA\n",
        ),
        (
            '"(0008,0050)"',
            "acc",
            {"AccessionNumber": ["ZZA", "ZZA", "ZZB", "ZZB"]},
            "ZZA,AP\nZZB,PA\n",
        ),
        ("InstanceNumber", "number", {"InstanceNumber": [1, 2, 3, 4]}, "1,AP\n2,AP\n3,PA\n4,PA\n"),
        (
            "PatientName",
            "name",
            {
                "SpecificCharacterSet": ["ISO_IR 100"] * 4,
                "PatientName": ["Müller^Eva"] * 2 + ["Ö^Al"] * 2,
            },
            "Müller^Eva,AP\nÖ^Al,PA\n",
        ),
        (
            "OtherPatientIDs",
            "ids",
            {"OtherPatientIDs": [["ZZ1", "ZZ2"]] * 2 + [["ZZ1", "ZZ3"]] * 2},
            "ZZ1\\ZZ2,AP\nZZ1\\ZZ3,PA\n",
        ),
    ],
    ids=["keyword", "tag", "number", "name", "several values"],
)
def test_a_column_and_any_plain_element_are_a_pair(
    tmp_path: Path, match: str, column: str, elements: dict, rows: str
) -> None:
    made = site(
        tmp_path,
        f"{{file: labels.csv, match: {match}, column: {column}, class: view}}",
        f"{column},view\n{rows}",
        **elements,
    )
    assert labelled(made) == {"AP": 2, "PA": 2} and summary(made)["patients"] == 2


def test_a_private_element_or_a_sequence_is_refused_in_the_settings(tmp_path: Path) -> None:
    made = site(tmp_path / "a", '{file: labels.csv, match: "(0019,1001)", class: view}', "x,view\n")
    assert "labels.match: found (0019,1001), a private element, whose meaning" in refusal(made)
    made = site(
        tmp_path / "b",
        "{file: labels.csv, match: RequestAttributesSequence, class: view}",
        "x,view\n",
    )
    assert (
        "found RequestAttributesSequence, a sequence, which holds many values; need file, folder, npz, or a DICOM keyword"
        in refusal(made)
    )


def test_patients_are_told_apart_by_any_plain_element(tmp_path: Path) -> None:
    made = site(
        tmp_path,
        '{file: labels.csv, match: folder, class: view, patient: "(0010,2180)"}',
        "folder,view\nZZPHI0,AP\nZZPHI1,PA\n",
        Occupation=["ZZa", "ZZb", "ZZc", "ZZc"],
    )
    assert labelled(made) == {"AP": 2, "PA": 2} and summary(made)["patients"] == 3


def test_what_labels_are_matched_by_is_among_the_identifiers_that_an_audit_searches_for(
    tmp_path: Path,
) -> None:
    made = site(
        tmp_path,
        "{file: labels.csv, match: file, class: view, patient: PatientSex}",
        "file,view\nZZPHI0/0.dcm,AP\n",
        PatientSex=["ZZCODED17"] * 4,
    )
    gathered = collect(made.incoming("site"), "site", load_site(made, "site"), 1)
    assert gathered.values["ZZCODED17"] == NUMBER  # coded elements are not searched for otherwise


def test_rows_without_an_image_and_images_without_a_row_are_listed(tmp_path: Path) -> None:
    made = site(
        tmp_path,
        "{file: labels.csv, match: file, class: view, patient: who}",
        "file,who,view\nZZPHI0/0.dcm,a,AP\n,b,AP\nZZPHIgone.dcm,c,PA\n\nZZPHI0/1.dcm,d,PA\nZZPHIcut.dcm,e,PA\n",
    )
    (made.incoming("site") / "ZZPHIcut.dcm").write_bytes(
        (made.incoming("site") / "ZZPHI0" / "0.dcm").read_bytes()[:-50]
    )
    made.site_file("site").write_text(made.site_file("site").read_text() + "max_rejected: 0.5\n")
    assert labelled(made) == {"AP": 1, "PA": 1}
    assert unmatched(made) == [("3", "no_value"), ("4", "no_image"), ("7", "file_rejected")]
    assert summary(made)["rejects"]["no_label"] == summary(made)["labels"]["unlabelled_images"] == 2
    assert {
        name: summary(made)["labels"][name] for name in ("rows", "matched", "unmatched_rows")
    } == {"rows": 5, "matched": 2, "unmatched_rows": 3}
    assert b"ZZPHI" not in b"".join(path.read_bytes() for path in made.studies("site").iterdir())


@pytest.mark.parametrize(
    ("match", "value"),
    [("PatientID", "ZZPHI9"), ("StudyInstanceUID", "1.2.4.9"), ("AccessionNumber", "ZZ9")],
)
def test_a_row_whose_only_image_was_rejected_is_not_told_that_the_export_holds_none(
    tmp_path: Path, match: str, value: str
) -> None:
    made = site(
        tmp_path,
        f"{{file: labels.csv, match: {match}, class: view}}",
        f"{match},view\nZZPHI0,AP\n1.2.4.0,AP\nZZ0,AP\n{value},PA\n",
        AccessionNumber=["ZZ0"] * 4,
    )
    lost = grey(
        ramp(),
        SOPInstanceUID="1.2.3.9",
        PatientID="ZZPHI9",
        StudyInstanceUID="1.2.4.9",
        AccessionNumber="ZZ9",
    )
    cut = made.incoming("site") / "cut.dcm"
    write(lost, cut)
    cut.write_bytes(cut.read_bytes()[:-50])
    made.site_file("site").write_text(made.site_file("site").read_text() + "max_rejected: 0.9\n")
    stage.convert(made, "site")
    with (made.studies("site") / "unmatched.csv").open() as file:
        row = list(csv.DictReader(file))[-1]
    assert (row["line"], row["found"]) == (
        "5",
        "no image that could be used",
    ) and "look in rejects.csv" in row["do"]
    assert summary(made)["rejects"]["truncated"] == 1


def test_rows_that_say_the_same_twice_all_count_as_matched(tmp_path: Path) -> None:
    made = site(
        tmp_path,
        "{file: labels.csv, match: PatientID, class: view}",
        "PatientID,view\nZZPHI0,AP\nZZPHI0,AP\nZZPHI1,PA\n",
    )
    assert labelled(made) == {"AP": 2, "PA": 2}
    assert summary(made)["labels"]["matched"] == 3 and unmatched(made) == []


@pytest.mark.parametrize("match", ["PatientID", "StudyInstanceUID", "AccessionNumber"])
def test_two_rows_that_give_one_patient_study_or_visit_two_classes_are_refused(
    tmp_path: Path, match: str
) -> None:
    values = {"PatientID": "ZZPHI0", "StudyInstanceUID": "1.2.4.0", "AccessionNumber": "ZZA"}
    made = site(
        tmp_path,
        f"{{file: labels.csv, match: {match}, class: view}}",
        f"{match},view\n{values[match]},AP\nx,AP\n{values[match]},PA\n",
        AccessionNumber=["ZZA"] * 4,
    )
    assert (
        "1 rows that contradict an earlier one (lines 2 and 4); need one class and one patient"
        in refusal(made)
    )


def test_rows_that_differ_on_slices_of_one_volume_reject_it(tmp_path: Path) -> None:
    made = workspace(
        tmp_path,
        "{file: labels.csv, match: folder, class: view}",
        size="[8, 8, 8]",
        extra="max_rejected: 0.6",
    )
    for number, data in enumerate(volume(6, "1.2.10")):
        write(data, made.incoming("site") / ("head" if number < 3 else "feet") / str(number))
    for number, data in enumerate(volume(6, "1.2.11")):
        write(data, made.incoming("site") / "other" / str(number))
    (made.incoming("site") / "labels.csv").write_text("folder,view\nhead,AP\nfeet,PA\nother,PA\n")
    stage.convert(made, "site")
    assert summary(made)["rejects"]["conflicting_labels"] == 6 and summary(made)["records"] == 1


@pytest.mark.parametrize(
    ("one", "classes", "stated"),
    [
        ("image", ["AP", "PA", "PA", "PA"], ""),
        ("study", ["AP", "AP", "PA", "PA"], ""),
        ("study", ["AP", "lateral", "PA", "PA"], ""),
        (
            "study",
            ["AP", "PA", "PA", "AP"],
            "2 pairs of rows that give one study two classes (lines 2 and 3, 4 and 5); need one class a study",
        ),
        (
            "patient",
            ["AP", "PA", "PA", "PA"],
            "1 pairs of rows that give one patient two classes (lines 2 and 3); need one class a patient",
        ),
    ],
)
def test_a_study_or_patient_with_images_of_two_classes_is_refused_where_the_task_has_one(
    tmp_path: Path, one: str, classes: list[str], stated: str
) -> None:
    made = site(
        tmp_path,
        f"{{file: labels.csv, match: SOPInstanceUID, class: view, one_class_a: {one}}}",
        "SOPInstanceUID,view\n"
        + "".join(f"1.2.3.{number},{name}\n" for number, name in enumerate(classes)),
    )
    if stated:
        assert stated in refusal(made)
    else:
        assert labelled(made) == {name: classes.count(name) for name in ("AP", "PA")}


def test_an_element_that_is_read_besides_changes_no_byte_of_what_is_written(tmp_path: Path) -> None:
    rows = "".join(f"1.2.3.{number},{'AP' if number < 2 else 'PA'}\n" for number in range(4))
    plain = site(
        tmp_path / "plain",
        "{file: labels.csv, match: SOPInstanceUID, class: view}",
        f"SOPInstanceUID,view\n{rows}",
    )
    asked = site(
        tmp_path / "asked",
        "{file: labels.csv, match: SOPInstanceUID, class: view, patient: PatientName}",
        f"SOPInstanceUID,view\n{rows}",
    )
    stage.convert(plain, "site")
    asked.private.mkdir()
    shutil.copy(plain.secret_file, asked.secret_file)
    stage.convert(asked, "site")
    one, other = (read_studies(made.studies("site")) for made in (plain, asked))
    assert np.array_equal(one.pixels, other.pixels) and one.records.drop(columns="patient").equals(
        other.records.drop(columns="patient")
    )
