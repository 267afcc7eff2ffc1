"""Ages and sexes as tables and headers write them.

What cannot be understood without a guess raises NotUnderstood and is counted.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from data_prep.privacy.deidentify import study_year

T = TypeVar("T")

AGE_CAP = 90.0  # years; HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C), groups all ages from 90
AGE_LIMIT = 130.0  # years; above it a value is an error
DAYS, WEEKS, MONTHS = 365.25, 52.18, 12.0  # in a year
# Units of DICOM (PS3.5 6.2, value representation AS), and words of European and East Asian
# languages.
WORDS = {
    unit: count
    for count, units in {
        1.0: "y yr yrs year years yo jahr jahre jahren j an ans année années año años anno "
        "anni jaar år a "
        "ano anos lat let vuotta лет год года 歳 岁 歲 세",
        MONTHS: "m mo mos mon mth mths month months monat monate monaten mois mes meses "
        "mese mesi maand maanden månad månader",
        WEEKS: "w wo wk wks week weeks woche wochen semaine semaines semana semanas "
        "settimana settimane weken vecka veckor",
        DAYS: "d day days tag tage tagen jour jours día días giorno giorni dag dagen dagar",
    }.items()
    for unit in units.split()
}
NUMBER = r"\d{1,3}(?:[.,]\d+)?"
AGE_PART = re.compile(rf"({NUMBER}) ?([^\W\d_]+)\.?,? ?")
YEARS = "|".join(
    sorted((word for word, count in WORDS.items() if count == 1.0), key=len, reverse=True)
)
FROM_THE_CAP = re.compile(
    rf"(?:(?:>|over) ?(?P<above>\d+)|(?:>=|≥) ?(?P<least>\d+)|"
    rf"(?P<more>\d+) ?(?:\+|(?:and|or) (?:over|older|above)))(?: ?(?:{YEARS}))?"
)
OLD = (" old", "-old", " alt", " of age", " de edad", " de idade")  # behind years
AND = re.compile(
    r"(?<=[^\W\d_]) (?:and|und|et|y|e|en|och) (?=\d)"
)  # between a unit and the next number
UNKNOWN = frozenset(
    [
        "",
        "-",
        "--",
        "?",
        ".",
        "na",
        "n/a",
        "n.a",
        "nan",
        "none",
        "null",
        "nil",
        "unknown",
        "unk",
        "not known",
        "missing",
        "not available",
        "not applicable",
        "not reported",
        "not recorded",
        "not stated",
        "<na>",
        "#n/a",
        "unbekannt",
        "k.a",
        "k. a",
        "keine angabe",
        "inconnu",
        "desconocido",
        "sconosciuto",
        "onbekend",
    ]
)
SEXES = {
    word: sex
    for sex, words in {
        "F": "f female fem w weiblich weibl frau mädchen woman girl femme féminin feminin "
        "féminine feminine fille mujer femenino "
        "femenina hembra donna femmina femminile vrouw vrouwelijk kvinna 女 女性 ♀",
        "M": "m male masc maennlich männlich männl mann junge man boy homme masculin "
        "masculine garçon hombre masculino varón uomo maschio "
        "maschile mannelijk 男 男性 ♂",
        "O": "o other d divers diverse intersex andere autre",
    }.items()
    for word in words.split()
}
ISO_5218 = {"1": "M", "2": "F", "0": None, "9": None}  # not known, not applicable
# Where a column says man or woman by one of these, M may be mujer: H hombre or homme, V varón or
# vrouw.
OTHER_LETTERS = ("h", "v")


class NotUnderstood(ValueError):
    """A value that may mean several things, or none. Its text is shown to nobody."""


def age_from_years(value: str | None) -> float | None:
    """Completed years from a table's cell: a number of years, or numbers with units (45Y, 6 months,
    1 year 3 months); None: not known.

    Raises NotUnderstood.
    """
    text = _plain(value)
    if text in UNKNOWN:
        return None
    if re.fullmatch(NUMBER, text):
        return _capped(_number(text))
    if old := FROM_THE_CAP.fullmatch(text):
        youngest = int(old["above"]) + 1 if old["above"] else int(old["least"] or old["more"])
        if AGE_CAP <= youngest <= AGE_LIMIT:
            return AGE_CAP
        raise NotUnderstood
    return _in_units(text)


def age_from_dicom(age: str, birth_date: str, study_date: str) -> float | None:
    """Completed years from Patient's Age (nnnD, W, M or Y), else from the dates of birth and study;
    None: not known. Raises NotUnderstood.
    """
    try:
        if age.strip():
            return _in_units(_plain(age))
    except NotUnderstood:
        if (known := _between(birth_date, study_date)) is not None:
            return known
        raise
    return _between(birth_date, study_date)


def sex(value: str | None) -> str | None:
    """F, M or O from a header or a cell; None: not known. Raises NotUnderstood."""
    text = _plain(value)
    if text in UNKNOWN | {"u"}:
        return None
    if text not in SEXES:
        raise NotUnderstood
    return SEXES[text]


@dataclass(frozen=True)
class SexColumn:
    """What a table's cells mean, which takes all of them: 1 is male by ISO 5218, but not where a
    column holds 0 and 1 alone.

    `french`: H and F, homme and femme.
    """

    numbered: bool
    other_letters: bool
    french: bool

    @classmethod
    def of(cls, cells: Iterable[str]) -> "SexColumn":
        written = {_code(cell) for cell in cells}
        return cls(
            "2" in written,
            not written.isdisjoint(OTHER_LETTERS),
            {"h", "f"} <= written and "m" not in written,
        )

    def read(self, cell: str) -> str | None:
        """F, M or O; None: not known. Raises NotUnderstood."""
        text = _code(cell)
        if self.numbered and text in ISO_5218:
            return ISO_5218[text]
        if self.french and text == "h":
            return "M"
        if self.other_letters and text == "m":
            raise NotUnderstood
        return sex(text)


def understood(read: Callable[..., T], *texts: str) -> tuple[T | None, bool]:
    """What `read` makes of `texts`, and whether it understood them."""
    try:
        return read(*texts), True
    except NotUnderstood:
        return None, False


def _plain(value: str | None) -> str:
    return " ".join((value or "").casefold().split()).removesuffix(".")


def _code(cell: str) -> str:
    """A cell in plain letters; pandas writes 1 as 1.0 in a column that lacks values."""
    return re.sub(r"^(\d)[.,]0$", r"\1", _plain(cell))


def _in_units(text: str) -> float:
    """The sum of numbers that each have a unit behind them. Raises NotUnderstood."""
    for ending in OLD:
        text = text.removesuffix(ending)
    text = AND.sub(" ", text.replace("y/o", "y").replace("y.o", "y").replace("-year", " year"))
    parts = list(AGE_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise NotUnderstood
    if any(part[2] not in WORDS for part in parts):
        raise NotUnderstood
    return _capped(sum(_number(part[1]) / WORDS[part[2]] for part in parts))


def _between(birth_date: str, study_date: str) -> float | None:
    """Completed years between two DICOM dates, also as they were written before 1993 (PS3.5 6.2);
    None where one is missing.

    Raises NotUnderstood.
    """
    birth_date, study_date = (
        re.sub(r"^(\d{4})[.-](\d\d)[.-](\d\d)$", r"\1\2\3", date)
        for date in (birth_date, study_date)
    )
    if not birth_date or not study_year(study_date):
        return None
    if not re.fullmatch(r"\d{4,8}", birth_date):
        raise NotUnderstood
    before_birthday = study_date[4:8] < birth_date[4:8]
    return _capped(float(int(study_date[:4]) - int(birth_date[:4]) - before_birthday))


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _capped(years: float) -> float:
    """Completed years, as Patient's Age counts them: less of an infant's age tells less of its
    birthday. Raises NotUnderstood.
    """
    if not 0 <= years <= AGE_LIMIT:
        raise NotUnderstood
    return float(int(min(years, AGE_CAP)))
