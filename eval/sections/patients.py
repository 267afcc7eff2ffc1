"""Who the patients are, by side and beside the source sites: the table that a paper opens with."""

from typing import Any

import numpy as np
import pandas as pd

from eval.described import (
    CAPPED,
    MEASURED,
    NAMED,
    UNKNOWN,
    how_to_give,
    measured,
    named,
    with_others,
)
from eval.evidence import Evidence
from eval.page.section import Section

PLACE = 30

SIDES = ("pool", "query", "train", "validation")
SOURCES = "all source sites"
# of a field, the most frequent at this site and the sources together; the others are counted as one
VALUES = 6
SITES_IN_TABLE = 5  # so that it fits on paper


def section(evidence: Evidence) -> Section:
    """A patient with images of two values is counted with both."""
    site, names, pooled = evidence.site, list(evidence.sources), _pooled(evidence)
    everybody, values = _everybody(evidence)
    groups = _groups(everybody, evidence)
    counts, numbers = _counted(groups, values), _measured(groups)
    if pooled:
        counts = _compared(counts, site, pooled, ["field", "value"], "share")
        numbers = _compared(numbers, site, pooled, ["field"], "median")
    sides = [group for group in groups if group.startswith(f"{site}: ")]
    starts = range(0, len(names), SITES_IN_TABLE) if len(names) > 1 else []
    singly = [names[start : start + SITES_IN_TABLE] for start in starts]
    sizes = {group: (of["patient"].nunique(), len(of)) for group, of in groups.items()}
    shown = {
        "other_classes": evidence.other_classes,
        "tables": _tables(site, pooled, sides, singly),
        "site": site,
        "pooled": pooled,
        "sizes": sizes,
        "fields": {"label": "Class", **NAMED},
        "values": values,
        "measured": MEASURED,
        "capped": CAPPED,
        "counts": _cells(counts, "group", "field", "value"),
        "numbers": _cells(numbers, "group", "field"),
        "differences": _differences(counts, numbers, site, pooled) if pooled else {},
        "task": evidence.task["task"],
        "unknown": how_to_give(evidence.cohort, site),
    }
    tables = {"patients.csv": counts, "patients_measured.csv": numbers}
    return Section("patients.html.j2", "Who the patients are", shown, tables)


def _tables(
    site: str, pooled: str | None, sides: list[str], singly: list[list[str]]
) -> list[dict[str, Any]]:
    """The page's tables: this site and its sides, then the source sites one by one.

    beside: the group after whose column the first one has a column of differences.
    """
    first = [site, *([pooled] if pooled else []), *sides]
    rows = [(caption(site, pooled), pooled, first, len(first) + 1 + (1 if pooled else 0))]
    rows += [("The source sites one by one", None, groups, len(groups) + 1) for groups in singly]
    return [
        {"caption": words, "beside": beside, "groups": groups, "columns": columns}
        for words, beside, groups, columns in rows
    ]


def caption(site: str, pooled: str | None) -> str:
    """What the first table holds."""
    beside = f", beside those of {pooled}," if pooled else ""
    return f"Patients of {site}{beside} and by side"


def _everybody(evidence: Evidence) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """This site's and the sources' records, and each field's values in order."""
    theirs = [source.cohort.assign(site=site) for site, source in evidence.sources.items()]
    ours = evidence.cohort.assign(site=evidence.site)
    everybody, values = pd.concat([ours, *theirs], ignore_index=True), {"label": evidence.classes}
    for field in NAMED:
        everybody[field], values[field] = with_others(named(everybody, field), VALUES)
    return everybody, values


def _counted(groups: dict[str, pd.DataFrame], values: dict[str, list[str]]) -> pd.DataFrame:
    found = {}
    for group, cohort in groups.items():
        found[group] = pd.concat([_counts(cohort, field, values[field]) for field in values])
    return pd.concat(found, names=["group"]).reset_index("group")


def _measured(groups: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"group": group, "field": field, **summary(measured(cohort, field))}
            for group, cohort in groups.items()
            for field in MEASURED
        ]
    )


def _cells(table: pd.DataFrame, *keys: str) -> dict[tuple[str, ...], dict[str, Any]]:
    return {tuple(row[key] for key in keys): row for row in table.to_dict("records")}


def _pooled(evidence: Evidence) -> str | None:
    """The name of the sources taken together; one alone keeps its own."""
    return SOURCES if len(evidence.sources) > 1 else next(iter(evidence.sources), None)


def _groups(everybody: pd.DataFrame, evidence: Evidence) -> dict[str, pd.DataFrame]:
    """What each column of the tables is about: this site, its sides, the sources together and one
    by one.
    """
    here, elsewhere = (
        everybody[everybody["site"] == evidence.site],
        everybody[everybody["site"] != evidence.site],
    )
    groups = {
        evidence.site: here,
        **{
            f"{evidence.site}: {side}": here[here["split"] == side]
            for side in SIDES
            if (here["split"] == side).any()
        },
    }
    pooled = _pooled(evidence)
    return {
        **groups,
        **({pooled: elsewhere} if pooled else {}),
        **{site: elsewhere[elsewhere["site"] == site] for site in evidence.sources},
    }


def _counts(cohort: pd.DataFrame, field: str, values: list[str]) -> pd.DataFrame:
    """Patients and images of each value, and the share of the patients."""
    found = (
        cohort.groupby(field)
        .agg(patients=("patient", "nunique"), images=("record", "size"))
        .reindex(values, fill_value=0)
    )
    everyone = cohort["patient"].nunique()
    table = (
        found.assign(share=found["patients"] / everyone, of_patients=everyone)
        .rename_axis("value")
        .reset_index()
    )
    return table.assign(field=field)[["field", *table.columns]]


def summary(numbers: pd.Series) -> dict[str, float]:
    """Quartiles and ends of what is known, and how many are."""
    known = numbers.dropna()
    ends = known.quantile([0, 0.25, 0.5, 0.75, 1]) if len(known) else [np.nan] * 5
    return {
        **dict(
            zip(
                ("lowest", "lower_quartile", "median", "upper_quartile", "highest"),
                ends,
                strict=True,
            )
        ),
        "known": len(known),
        "unknown": len(numbers) - len(known),
    }


def _compared(
    table: pd.DataFrame, site: str, pooled: str, keys: list[str], column: str
) -> pd.DataFrame:
    """The table with what this site has more than the sources together, in its own rows."""
    wide = table.set_index([*keys, "group"])[column].unstack("group")
    above = (wide[site] - wide[pooled]).rename("above_sources").reset_index().assign(group=site)
    return table.merge(above, on=[*keys, "group"], how="left")


def _differences(
    counts: pd.DataFrame, numbers: pd.DataFrame, site: str, pooled: str
) -> dict[tuple[str, str] | str, str]:
    """What the column between this site and the sources says, by field and value, and by field for
    what is measured.
    """
    cells = counts.set_index(["group", "field", "value"]).to_dict("index")
    measures = numbers.set_index(["group", "field"]).to_dict("index")
    found: dict[tuple[str, str] | str, str] = {}
    for (group, field, value), here in cells.items():
        if group != site:
            continue
        there, silent = (
            cells[pooled, field, value],
            any(
                cells.get((of, field, UNKNOWN), {"share": 0})["share"] == 1 for of in (site, pooled)
            ),
        )
        if value != UNKNOWN and silent:
            found[field, value] = "not known"
        elif value != UNKNOWN and bool(here["patients"]) != bool(there["patients"]):
            found[field, value] = "only here" if here["patients"] else "not here"
        else:
            found[field, value] = (
                f"{100 * here['above_sources']:+.0f} points"
                if abs(here["above_sources"]) >= 0.005
                else "same"
            )
    for (group, field), here in measures.items():
        if group == site:
            above = here["above_sources"]
            found[field] = "not known" if pd.isna(above) else f"{above:+.5g}" if above else "same"
    return found
