"""How far a site's images lie from those of the source sites, and which fields differ."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics.pairwise import euclidean_distances

from eval.described import MEASURED, NAMED, UNKNOWN, by_frequency, measured, named
from eval.measures.energy import coefficient, random_splits

SPLITS = 500  # of the source patients at random, for what chance gives
FAR = 0.95  # the share of them that a distance lies above to count as more than chance
FEWEST = 5  # patients of a class in a group, for a distance to be measured
# patients of a class on either side: a thousand say enough, and time grows with the square
MOST = 1000
VALUES = 3  # of a field, shown
DIGITS = 6  # of a distance: those beyond depend on the machine


@dataclass(frozen=True)
class Distances:
    """Means over classes, so that another prevalence alone is no shift.

    `sites`: one row a site; `null`: (split,) between random source patients.
    """

    # site, distance, patients, other_patients, classes, left_out, null_high, p; this site first
    sites: pd.DataFrame
    by_class: pd.DataFrame  # label, distance, patients, other_patients, null_high, p
    null: np.ndarray


def measure(
    site: str, here: pd.DataFrame, sources: dict[str, pd.DataFrame], classes: list[str], seed: int
) -> Distances | None:
    """Distances of the features, each in standard deviations of the source patients; None where
    every class has too few patients.

    here, sources: as `patient_features` gives them. Every class counts alike, and is compared with
    itself alone. Random groups of the source patients are as large as this site's (half of them at
    most). More than MOST patients are cut to the first by key, which is a hash and so as good as
    chance.
    """
    source = pd.concat(sources)
    mean, deviation = source.mean(), source.std(ddof=0).replace(0, 1)
    every = _at_most(pd.concat({site: here, **sources}, names=["site"]), site, len(sources))
    everybody, generator = every.sub(mean).div(deviation), np.random.default_rng(seed)
    rows, nulls = [], []
    for name in classes:
        part = everybody[everybody.index.get_level_values("label") == name]
        found = _of_class(part, site, list(sources), generator)
        if found:
            rows += [{**row, "label": name} for row in found[0]]
            nulls.append(found[1])
    if not rows:
        return None
    columns = ["site", "label", "distance", "patients", "other_patients"]
    table, null = pd.DataFrame(rows)[columns], np.mean(nulls, axis=0)
    own = table[table["site"] == site].drop(columns="site")
    by_class = own.assign(
        null_high=np.quantile(nulls, FAR, axis=1),
        p=[chance(at, of) for at, of in zip(own["distance"], nulls, strict=True)],
    )
    by_site = table.groupby("site", sort=False)
    sites = pd.DataFrame([_of_site(everybody, name, part, site, null) for name, part in by_site])
    return Distances(sites.round(DIGITS), by_class.round(DIGITS), null.round(DIGITS))


def _of_class(
    part: pd.DataFrame, site: str, sources: list[str], generator: np.random.Generator
) -> tuple[list[dict[str, Any]], np.ndarray] | None:
    """This site's distance, then each source site's from the others, and those of random groups.

    None where there are too few patients.
    """
    owner = part.index.get_level_values("site")
    sizes, from_source = owner.value_counts(), owner != site
    n, m = int((~from_source).sum()), int(from_source.sum())
    if n < FEWEST or m < 2 * FEWEST:
        return None
    distances = euclidean_distances(part.to_numpy(float))
    among, owner = distances[from_source][:, from_source], owner[from_source]
    null = coefficient(among, random_splits(m, min(n, m // 2), SPLITS, generator))
    distance = coefficient(distances, from_source[None])[0]
    rows = [{"site": site, "distance": distance, "patients": n, "other_patients": m}]
    for other in sources:
        size = sizes.get(other, 0)
        if FEWEST <= size <= m - FEWEST:
            distance = coefficient(among, (owner == other)[None])[0]
            row = {
                "site": other,
                "distance": distance,
                "patients": size,
                "other_patients": m - size,
            }
            rows.append(row)
    return rows, null


def _of_site(
    everybody: pd.DataFrame, name: str, part: pd.DataFrame, site: str, null: np.ndarray
) -> dict[str, Any]:
    """The mean over classes of one site, and how many people it rests on."""
    sources = everybody.index.get_level_values("site").unique().drop(site)
    distance = part["distance"].mean()
    return {
        "site": name,
        "distance": distance,
        "patients": _patients(everybody, [name], part["label"]),
        "other_patients": _patients(everybody, sources.drop(name, errors="ignore"), part["label"]),
        "classes": len(part),
        "splits": len(null),
        "left_out": name != site,
        "null_high": np.quantile(null, FAR),
        "p": chance(distance, null) if name == site else np.nan,
    }


def _at_most(features: pd.DataFrame, site: str, sources: int) -> pd.DataFrame:
    """MOST patients of a class here, and as many of all source sites together."""
    number = features.groupby(level=["site", "label"]).cumcount()
    return features[
        number < np.where(features.index.get_level_values("site") == site, MOST, MOST // sources)
    ]


def _patients(features: pd.DataFrame, sites: Iterable[str], labels: pd.Series) -> int:
    """How many people: one with images of two classes is one."""
    index = features.index
    return (
        index[
            index.get_level_values("site").isin(sites)
            & index.get_level_values("label").isin(labels)
        ]
        .get_level_values("patient")
        .nunique()
    )


def chance(distance: float, null: np.ndarray) -> float:
    """The share of random splits with such a distance, the observed one counted among them (Phipson
    and Smyth 2010).
    """
    return float((1 + (null >= distance).sum()) / (1 + len(null)))


def field_differences(here: pd.DataFrame, there: pd.DataFrame) -> pd.DataFrame:
    """One row a field.

    Named fields: the patients here with a value that no source patient has. Numbers: medians, and
    how far they are apart.

    difference: of the means, in standard deviations (the root of the mean variance; Austin 2009);
    ks: Kolmogorov and Smirnov's largest gap.
    """
    rows = []
    for field in NAMED:
        values, others = (named(cohort, field) for cohort in (here, there))
        known = values != UNKNOWN
        new = here.loc[known & ~values.isin(others), "patient"].nunique()
        known_here, known_there = (
            here.loc[known, "patient"].nunique(),
            there.loc[others != UNKNOWN, "patient"].nunique(),
        )
        rows.append(
            {
                "field": field,
                "known_here": known_here,
                "known_sources": known_there,
                "new_patients": new,
                "new_share": new / known_here if known_here else np.nan,
                "here": _seen(values),
                "sources": _seen(others),
            }
        )
    for field in MEASURED:
        ours, theirs = (
            measured(cohort, field).dropna().to_numpy(float) for cohort in (here, there)
        )
        row = {
            "field": field,
            "known_here": len(ours),
            "known_sources": len(theirs),
            "here": _median(ours),
            "sources": _median(theirs),
        }
        if len(ours) and len(theirs):
            spread = np.sqrt((ours.var() + theirs.var()) / 2)
            ks = stats.ks_2samp(ours, theirs)
            row |= {
                "difference": (ours.mean() - theirs.mean()) / spread if spread else np.nan,
                "ks": ks.statistic,
                "ks_p": ks.pvalue,
            }
        rows.append(row)
    return pd.DataFrame(rows).astype({"new_patients": "Int64"})


def _seen(values: pd.Series) -> str:
    known = by_frequency(values)
    return ", ".join(known[:VALUES]) + (
        f" and {len(known) - VALUES} more" if len(known) > VALUES else ""
    )


def _median(numbers: np.ndarray) -> str:
    return f"median {np.median(numbers):.5g}" if len(numbers) else ""
