"""One patient written in every way that the standards call the same has one key, whichever reader finds the value."""

import unicodedata
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from data_prep.exports.sources import Found
from data_prep.privacy.deidentify import Keys
from data_prep.privacy.same_value import one_form
from data_prep.readers.dicom import file as dicom
from data_prep.site_file import Labels, Site
from data_prep.targets.labels import LabelTable, read_labels
from data_prep.targets.matching import match_images, match_places, patient_of
from data_prep.volumes.series import group_slices
from tests.data_prep.made_dicom import as_bytes, grey, header_of, ramp
from workspace.errors import Refusal

KEYS = Keys("ab" * 32, "site", "site")
# Specific Character Set -> letters that it can write. Kanji need escapes (PS3.5 6.1.2.5).
LETTERS = {
    "ISO_IR 100": "aZüéñß",
    "ISO_IR 101": "aZüéłš",
    "ISO_IR 144": "aZжий",
    "ISO_IR 126": "aZάλφ",
    "ISO_IR 192": "aZüéłжά山",
    "\\ISO 2022 IR 100": "aZüéñß",
    "\\ISO 2022 IR 87": "aZ山田太",
}
FORMS = ("NFC", "NFD")


def site(**labels: str) -> Site:
    stated = {"file": "labels.csv", "match": "file", "class": "c"} | labels
    return Site(root="x", task="t", labels=Labels(**stated), classes={"A": ["a"], "B": ["b"]})


def table(row: str, encoding: str = "utf-8", **labels: str) -> LabelTable:
    return read_labels(
        f"file,PatientID,PatientName,who,c\n{row},a\n".encode(encoding),
        "labels.csv",
        site(**labels),
    )


def key_of_header(keyword: str, value: str, charset: str, syntax: str) -> str:
    data = grey(ramp(), syntax, SpecificCharacterSet=charset.split("\\"), **{keyword: value})
    image = header_of(data, asked=(keyword,))
    return KEYS.patient(
        patient_of(
            image,
            None,
            LabelTable("file", {}, {}, False),
            Labels(file="f", match="file", patient=keyword, **{"class": "c"}),
        )
    )


def key_of_cell(value: str, encoding: str) -> str:
    return KEYS.patient(table(f'x.png,,,"{value}"', encoding, patient="who").rows["x.png"].patient)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_patients_number_has_one_key(data: st.DataObject) -> None:
    charset = data.draw(st.sampled_from(list(LETTERS)))
    number = data.draw(st.text(LETTERS[charset] + "07-_", min_size=1, max_size=8))
    form = data.draw(st.sampled_from(FORMS if charset == "ISO_IR 192" else FORMS[:1]))
    padding = data.draw(st.sampled_from(["", " ", "  "]))
    written = unicodedata.normalize(form, number)
    syntax = data.draw(
        st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
    )
    keys = {
        KEYS.patient(number),
        key_of_header("PatientID", padding + written + padding, charset, syntax),
    }
    keys |= {
        key_of_cell(unicodedata.normalize(form, number) + padding, encoding)
        for form in FORMS
        for encoding in ("utf-8", "utf-8-sig", "utf-16")
    }
    keys |= {
        KEYS.patient(unicodedata.normalize(form, number)) for form in FORMS
    }  # a file's name, where nothing else says whose it is
    assert len(keys) == 1
    assert KEYS.patient(number + "x") not in keys


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_persons_name_has_one_key(data: st.DataObject) -> None:
    charset = data.draw(st.sampled_from(list(LETTERS)))
    parts = data.draw(
        st.lists(st.text(LETTERS[charset], max_size=4), min_size=2, max_size=4).filter(
            lambda parts: parts[0] and parts[-1]
        )
    )
    name = "^".join(parts)
    tail = data.draw(st.sampled_from(["", "^", "^^", " ", "^ ", "=", "==", "^=", " ^ = "]))
    tail = tail if tail.count("^") + len(parts) <= 5 else ""  # a group has five components
    form = data.draw(st.sampled_from(FORMS if charset == "ISO_IR 192" else FORMS[:1]))
    keys = {
        KEYS.patient(name),
        key_of_header(
            "PatientName", unicodedata.normalize(form, name) + tail, charset, ExplicitVRLittleEndian
        ),
    }
    keys |= {key_of_cell(unicodedata.normalize(form, name) + tail, "utf-8") for form in FORMS}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Doe^Jane", "Doe^^Jane"),
        ("Doe^Jane", "DOE^JANE"),
        ("Doe^Jane", "^Doe^Jane"),
        ("Doe=Doe", "Doe"),
        ("7", "07"),
        ("A\\B", "A"),
        ("A B", "AB"),
        ("ü", "u"),
        ("A", "Ａ"),
    ],
)
def test_what_differs_stays_apart(one: str, other: str) -> None:
    assert one_form(one) != one_form(other) and one_form(one, "PN") != one_form(other, "PN")


@pytest.mark.parametrize(
    "number", ["007", "ZZ-17_a", "QUJD==", "a=b", "A B", "1.2.840.113619.2", "x/y.png", "A\\B"]
)
def test_plain_values_stay_as_they_are(number: str) -> None:
    assert one_form(number) == number


@pytest.mark.parametrize(
    ("written", "kind", "form"),
    [
        ("1.2.3\0", "UI", "1.2.3"),
        (" 12 ", "SH", "12"),
        ("+012", "IS", "12"),
        ("12a", "IS", "12a"),
        ("A \\ B", "LO", "A\\B"),
        ("Doe==", "PN", "Doe"),
        ("Doe^Jane^^^=^^=", "PN", "Doe^Jane"),
        ("Doe^Jane=山^", "PN", "Doe^Jane=山"),
        ("", "PN", ""),
        ("\ufeffA1\u200b", "", "A1"),
        ("Doe\u200e^Jane \0", "PN", "Doe^Jane"),
        ("A\u200bB", "", "A\u200bB"),
    ],
)
def test_padding_and_empty_ends_go(written: str, kind: str, form: str) -> None:
    assert one_form(written, kind) == form == one_form(form, kind)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("match", ["file", "folder"])
def test_a_row_finds_its_file_in_any_unicode_form(match: str, form: str) -> None:
    name = "Zoë/Müller.png"
    value = name if match == "file" else "Zoë"
    for written in FORMS:
        labels = read_labels(
            f"place,c\n{unicodedata.normalize(written, value)},a\n".encode(),
            "t",
            site(match=match, column="place"),
        )
        there = unicodedata.normalize(form, name)
        assert match_places(labels, [there], "t") == {there: [value]}


def test_two_forms_of_one_name_in_one_folder_are_ambiguous() -> None:
    labels = read_labels("file,c\nü.png,a\n".encode(), "t", site())
    with pytest.raises(Refusal, match=r"file names that fit several files \(line 2\)"):
        match_places(labels, [unicodedata.normalize(form, "ü.png") for form in FORMS], "t")


@pytest.mark.parametrize(
    ("match", "header", "cell"),
    [
        ("PatientName", "Doe^Jane^^^", "Doe^Jane"),
        ("PatientName", "Doe^Jane", "Doe^Jane^^"),
        ("PatientName", "Doe", "Doe="),
        ("AccessionNumber", "A7", " A7 "),
        ("SeriesNumber", "007", "7"),
        ("StudyInstanceUID", "1.2.3", "1.2.3\0"),
        ("OtherPatientIDs", "A\\B", "A\\B"),
    ],
)
def test_a_row_finds_its_image_however_both_are_written(match: str, header: str, cell: str) -> None:
    data = grey(ramp(), SOPInstanceUID="1.2.9")
    setattr(data, match, header)
    labels = read_labels(f"{match},c\n{cell},a\n".encode(), "t", site(match=match))
    image = header_of(data, asked=(match,))
    assert (
        match_images([image], [], labels, site(match=match).labels, "t")
        .rows[image.identity.found.name]
        .label
        == "A"
    )


def test_settings_and_class_cells_are_of_one_unicode_form() -> None:
    word = "Lungenentzündung"
    for form in FORMS:
        for written in FORMS:
            made = Site(
                root="x",
                task="t",
                labels=Labels(
                    file="f", match="file", **{"class": unicodedata.normalize(form, "Höhe")}
                ),
                classes={"A": [unicodedata.normalize(form, word)], "B": ["b"]},
            )
            content = f"file,{unicodedata.normalize(written, 'Höhe')}\nx,{unicodedata.normalize(written, word)}\n"
            assert read_labels(content.encode(), "t", made).rows["x"].label == "A"


def test_one_patient_in_two_forms_is_no_mix_of_patients() -> None:
    images = [
        header_of(
            grey(
                ramp(),
                SOPInstanceUID=f"1.2.{at}",
                SeriesInstanceUID="1.2",
                SpecificCharacterSet="ISO_IR 192",
                PatientID=unicodedata.normalize(form, "Zoë"),
                ImagePositionPatient=[0, 0, at],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            )
        )
        for at, form in enumerate(FORMS)
    ]
    assert group_slices(images)[1] == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32", "shift_jis"])
def test_a_table_in_an_encoding_that_cannot_be_told_is_refused_for_that(encoding: str) -> None:
    text = "file,c\n" + "".join(f"{letter}.png,a\n" for letter in "山田ー" * 9)
    with pytest.raises(
        Refusal, match=r"labels.csv: found .*(encoding|bytes of 0).* do save it as CSV in UTF-8"
    ):
        read_labels(text.encode(encoding), "labels.csv", site())


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_workbook_is_no_table(start: bytes, tmp_path: Path) -> None:
    with pytest.raises(
        Refusal, match="found a spreadsheet's own file; need a CSV file; do save it as CSV in UTF-8"
    ):
        read_labels(start + bytes(99), "labels.csv", site())


def test_a_number_that_cannot_be_decoded_is_missing_rather_than_anyones() -> None:
    for number in (b"M\xfcller", b"M\xf6ller"):
        content = as_bytes(
            grey(ramp(), SpecificCharacterSet="ISO_IR 192", PatientID="MXller")
        ).replace(b"MXller", number)
        assert (
            "PatientID"
            not in dicom.read_header(
                BytesIO(content), Found("x", Path("x"), len(content))
            ).identity.elements
        )
