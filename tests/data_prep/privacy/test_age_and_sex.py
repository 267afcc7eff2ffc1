"""Ages and sexes as people and scanners write them: understood without a guess, or counted."""

from pathlib import Path

import pytest
from pydicom import config

from data_prep import convert as stage
from data_prep.privacy.age_and_sex import (
    NotUnderstood,
    SexColumn,
    age_from_dicom,
    age_from_years,
    sex,
    understood,
)
from data_prep.scan import scan
from data_prep.settings import load_params
from data_prep.site_file import load_site
from pipeline.account import shown, take_account
from tests.data_prep.made_dicom import grey, header_of, ramp, write
from tests.data_prep.test_convert import summary, workspace

UNCLEAR = "unclear"


def age(read: object, *texts: str) -> float | str | None:
    try:
        return read(*texts)
    except NotUnderstood:
        return UNCLEAR


@pytest.mark.parametrize(
    ("written", "birth", "study", "years"),
    [
        ("065Y", "", "", 65),
        ("089Y", "", "", 89),
        ("090Y", "", "", 90),
        ("095Y", "", "", 90),
        ("120Y", "", "", 90),
        ("006M", "", "", 0),
        ("023M", "", "", 1),
        ("999M", "", "", 83),
        ("010D", "", "", 0),
        ("800D", "", "", 2),
        ("026W", "", "", 0),
        ("", "19500101", "20190615", 69),
        ("", "19000101", "20190615", 90),
        ("", "2020", "20190615", UNCLEAR),
        ("", "19500615", "20190615", 69),
        ("", "19500616", "20190615", 68),
        ("", "1950", "20190615", 69),
        ("", "19300101", "20190615", 89),
        ("", "19290615", "20190615", 90),
        ("", "19290616", "20190615", 89),
        ("045Y", "19500101", "20190615", 45),
        ("999Y", "", "", UNCLEAR),
        ("ZZPHI", "", "", UNCLEAR),
        ("", "", "20190615", None),
        ("", "19500101", "", None),
        ("", "", "", None),
        ("45Y", "", "", 45),
        ("045y", "", "", 45),
        ("045", "", "", UNCLEAR),
        ("45 years", "", "", 45),
        ("045", "19500101", "20190615", 69),
        ("", "01.02.1950", "20190615", UNCLEAR),
        ("", "1950.12.31", "20190615", 68),
        ("", "19500101", "2019-06-15", 69),
        ("", "1950.06.15", "2019.06.15", 69),
    ],
)
def test_an_age_of_a_header_is_in_completed_years_and_capped(
    written: str, birth: str, study: str, years: float | str | None
) -> None:
    assert age(age_from_dicom, written, birth, study) == years


@pytest.mark.parametrize(
    ("cell", "years"),
    [
        ("80.0", 80),
        ("80,5", 80),
        ("0.4", 0),
        ("89.9", 89),
        ("90", 90),
        ("95", 90),
        ("120.5", 90),
        ("045", 45),
        ("45", 45),
        (" 45 ", 45),
        ("0", 0),
        ("45Y", 45),
        ("045Y", 45),
        ("45y", 45),
        ("45 y", 45),
        ("45 yrs", 45),
        ("45 years", 45),
        ("45 Years old", 45),
        ("45 yo", 45),
        ("45 y/o", 45),
        ("45 Jahre", 45),
        ("45 J.", 45),
        ("1 Jahr", 1),
        ("45 ans", 45),
        ("45 años", 45),
        ("45 anni", 45),
        ("45 jaar", 45),
        ("45 år", 45),
        ("006M", 0),
        ("18M", 1),
        ("6 months", 0),
        ("18 Monate", 1),
        ("24 mois", 2),
        ("010D", 0),
        ("3 weeks", 0),
        ("60 wk", 1),
        ("400 days", 1),
        ("12 Tage", 0),
        ("45-year-old", 45),
        ("45 years of age", 45),
        ("45 anos", 45),
        ("45 lat", 45),
        ("45 лет", 45),
        ("45歳", 45),
        ("6 Wo.", 0),
        ("1 Jahr und 13 Monate", 2),
        ("1 an et 6 mois", 1),
        ("1 año y 13 meses", 2),
        ("90 and over", 90),
        ("90 or older", 90),
        ("#N/A", None),
        ("89 and over", UNCLEAR),
        ("not reported", None),
        ("1 and 2", UNCLEAR),
        ("1 year 6 months", 1),
        ("1y6m", 1),
        ("1 Jahr, 13 Monate", 2),
        ("95 years", 90),
        (">89", 90),
        (">89Y", 90),
        ("90+ years", 90),
        ("over 89", 90),
        ("45 Jahre alt", 45),
        ("> 90", 90),
        (">=90", 90),
        ("≥ 90", 90),
        ("90+", 90),
        ("", None),
        ("nan", None),
        ("NA", None),
        ("n/a", None),
        ("unknown", None),
        ("Unbekannt", None),
        ("-", None),
        ("?", None),
        ("k.A.", None),
        ("-1", UNCLEAR),
        ("1e99", UNCLEAR),
        ("old", UNCLEAR),
        ("1950-01-01", UNCLEAR),
        ("40-50", UNCLEAR),
        ("131", UNCLEAR),
        ("999", UNCLEAR),
        (">80", UNCLEAR),
        ("80+", UNCLEAR),
        (">=89", UNCLEAR),
        ("<1", UNCLEAR),
        ("~45", UNCLEAR),
        ("45 x", UNCLEAR),
        ("Y45", UNCLEAR),
        ("45 6", UNCLEAR),
        ("inf", UNCLEAR),
        ("3000", UNCLEAR),
        ("about 45", UNCLEAR),
        ("45 h", UNCLEAR),
    ],
)
def test_an_age_of_a_cell_is_understood_or_counted(cell: str, years: float | str | None) -> None:
    assert age(age_from_years, cell) == years


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("M", "M"),
        ("F", "F"),
        ("O", "O"),
        ("female", "F"),
        ("Male", "M"),
        ("w", "F"),
        ("weiblich", "F"),
        ("männl.", "M"),
        ("Frau", "F"),
        ("homme", "M"),
        ("Femme", "F"),
        ("mujer", "F"),
        ("Hombre", "M"),
        ("divers", "O"),
        ("", None),
        ("U", None),
        ("unknown", None),
        ("n/a", None),
        ("Jane", UNCLEAR),
        ("1", UNCLEAR),
        ("2", UNCLEAR),
        ("H", UNCLEAR),
        ("V", UNCLEAR),
        ("MF", UNCLEAR),
    ],
)
def test_a_sex_is_understood_or_counted(written: str, meant: str | None) -> None:
    assert age(sex, written) == meant


@pytest.mark.parametrize(
    ("cells", "meant"),
    [
        (["1", "2", "0", "9", ""], ["M", "F", None, None, None]),
        (["1.0", "2.0"], ["M", "F"]),
        (["1,0", "2,0"], ["M", "F"]),
        (["男", "女"], ["M", "F"]),
        (["M", "male", "1", "2", "f"], ["M", "M", "M", "F", "F"]),
        (["0", "1"], [UNCLEAR, UNCLEAR]),
        (["1", "1"], [UNCLEAR, UNCLEAR]),
        (["3", "2"], [UNCLEAR, "F"]),  # 0 and 1: which is which nobody says
        (["M", "F"], ["M", "F"]),
        (["H", "F"], ["M", "F"]),
        (["H", "F", "M"], [UNCLEAR, "F", UNCLEAR]),
        (["H", "M"], [UNCLEAR, UNCLEAR]),
        (["V", "M"], [UNCLEAR, UNCLEAR]),  # hombre and mujer; vrouw and man, or varón and mujer
    ],
)
def test_codes_are_read_by_what_else_the_column_holds(
    cells: list[str], meant: list[str | None]
) -> None:
    assert [age(SexColumn.of(cells).read, cell) for cell in cells] == meant


def test_what_is_not_understood_is_missing_and_said() -> None:
    assert (
        understood(sex, "F") == ("F", True)
        and understood(sex, "") == (None, True)
        and understood(sex, "Jane") == (None, False)
    )


def test_headers_say_what_was_not_understood() -> None:
    facts = header_of(grey(ramp(), PatientAge="045Y", PatientSex="F")).header.facts
    assert (facts.age, facts.sex, facts.unread) == (45, "F", ())
    with config.disable_value_validation():
        facts = header_of(grey(ramp(), PatientAge="ZZ45", PatientSex="ZZPHI")).header.facts
    assert (facts.age, facts.sex, facts.unread) == (None, None, ("age", "sex"))


def test_lines_and_records_are_named_and_no_cell_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made = workspace(
        tmp_path, "{file: labels.csv, match: SOPInstanceUID, class: view, age: age, sex: sex}"
    )
    rows = ["SOPInstanceUID,view,age,sex"]
    for number, (years, who) in enumerate(
        [("45Y", "M"), ("40-50", "Frau"), ("", ""), ("ZZPHI", "ZZPHI"), ("6 months", "f")]
    ):
        data = grey(
            ramp() + number * ramp()[::-1] // 7,
            SOPInstanceUID=f"1.2.{number}",
            PatientID=f"p{number}",
            Modality="CR",
        )
        if number == 2:
            data.PatientAge = "045"
        write(data, made.incoming("site") / f"{number}")
        rows.append(f"1.2.{number},{('AP', 'PA')[number % 2]},{years},{who}")
    (made.incoming("site") / "labels.csv").write_text("\n".join(rows))
    found = scan(made, "site", load_site(made, "site"), load_params(made), secret="ab" * 32)
    told = shown(take_account(found))
    stage.convert(made, "site")
    assert summary(made)["not_understood"] == {
        "age": {"lines": [3, 5], "headers": 1},
        "sex": {"lines": [5], "headers": 0},
    }
    for text in (told, capsys.readouterr().err):
        assert (
            "2 cells of the column labels.age are not understood and count as missing (lines 3, 5)"
            in text
        )
        assert (
            "1 cells of the column labels.sex are not understood and count as missing (line 5)"
            in text
        )
        assert (
            "the age in the headers of 1 records is not understood" in text
            and "ZZPHI" not in text
            and "40-50" not in text
        )
