"""What the files say of patients and images; a missing value is a value of its own."""

import pandas as pd

UNKNOWN = "unknown"
NAMED = {
    "sex": "Sex",
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "model": "Scanner model",
    "spacing": "Pixel spacing, mm",
}
MEASURED = {"age": "Age, years", "study_year": "Study year"}
# of sites/NAME.yaml: the columns that give what no header holds
SETTINGS = {
    "age": "labels.age",
    "sex": "labels.sex",
}
CAPPED = 90  # years; records.parquet holds no higher age


def named(cohort: pd.DataFrame, field: str) -> pd.Series:
    """Each record's value as text."""
    return cohort[field].astype("object").fillna(UNKNOWN)


def measured(cohort: pd.DataFrame, field: str) -> pd.Series:
    """Each patient's number at the first image, indexed by patient; missing where unknown."""
    return cohort.groupby("patient")[field].min().astype("Float64")


def by_frequency(values: pd.Series) -> list[str]:
    """The known values, most frequent first."""
    counts = values[values != UNKNOWN].value_counts()
    return sorted(counts.index, key=lambda value: (-counts[value], value))


def with_others(values: pd.Series, most: int) -> tuple[pd.Series, list[str]]:
    """`values` with all but the `most` frequent put together, and what it then holds in order:
    others and unknown last.
    """
    known = by_frequency(values)
    rare = known[most:] if len(known) > most + 1 else []
    others = [f"{len(rare)} other values"] if rare else []
    unknown = [UNKNOWN] if (values == UNKNOWN).any() else []
    return values.mask(values.isin(rare), "".join(others)), [
        *known[: len(known) - len(rare)],
        *others,
        *unknown,
    ]


def how_to_give(cohort: pd.DataFrame, site: str) -> list[str]:
    """What to do about the fields that no file of the site fills."""
    missing = [field for field in (*MEASURED, *NAMED) if cohort[field].isna().all()]
    columns = [field for field in missing if field in SETTINGS]
    headers = [field.replace("_", " ") for field in missing if field not in SETTINGS]
    it, column = ("them", "columns that hold") if len(columns) > 1 else ("it", "column that holds")
    return [
        *(
            [
                f"The files do not say {' and '.join(columns)} here. To give {it}, set "
                f"{' and '.join(SETTINGS[field] for field in columns)} "
                f"in sites/{site}.yaml to the {column} {it} in the labels table, then run dvc "
                "repro."
            ]
            if columns
            else []
        ),
        *(
            [
                f"The files do not say {', '.join(headers)} here. DICOM files do, if they are "
                "exported with these elements."
            ]
            if headers
            else []
        ),
    ]
