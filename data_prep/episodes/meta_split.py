"""The meta-training split: which records of the source sites train and which validate.

Training reads nothing else.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from workspace.outputs import to_json, whole_folder, write_parquet
from workspace.paths import Workspace

SITES, RECORDS = "split.json", "records.parquet"
COLUMNS = (
    "record",
    "row",
    "patient",
    "group",
    "label",
    "split",
    "pixel_hash",
    "perceptual_hash",
)  # row: in the site's pixels.npy
INDEX = ("row", "group", "label", "split", "pixel_hash")  # what drawing and fetching needs


@dataclass(frozen=True)
class SourceSite:
    """One source site.

    `records` has COLUMNS, or those that were read; split is train or validation.
    """

    task: str
    classes: tuple[str, ...]
    records: pd.DataFrame
    left_out: dict[str, int] = field(
        default_factory=dict
    )  # records that are tied to a query set, or training ones to a validation set


@dataclass(frozen=True)
class MetaSplit:
    """All source sites, their keys made under one secret (its fingerprint is kept)."""

    sites: dict[str, SourceSite]
    secret: str

    @property
    def tasks(self) -> dict[str, list[str]]:
        """Task -> the classes that its source sites know, sorted: the label space of a source
        model's head.
        """
        names: dict[str, set[str]] = {site.task: set() for site in self.sites.values()}
        for site in self.sites.values():
            names[site.task].update(site.classes)
        return {task: sorted(classes) for task, classes in sorted(names.items())}


def write_meta_split(meta: MetaSplit, workspace: Workspace) -> None:
    """Write data/meta_split: split.json says which sites there are, records.parquet holds their
    records, one site after the other.
    """
    ordered = dict(sorted(meta.sites.items()))  # as split.json has them, whose keys are sorted
    sites = {
        name: {
            "task": site.task,
            "classes": list(site.classes),
            "left_out": site.left_out,
            "records": len(site.records),
        }
        for name, site in ordered.items()
    }
    with whole_folder(workspace.meta_split) as folder:
        (folder / SITES).write_text(to_json({"secret": meta.secret, "sites": sites}))
        write_parquet(
            pd.concat([site.records[list(COLUMNS)] for site in ordered.values()]), folder / RECORDS
        )


def read_meta_split(workspace: Workspace, columns: Sequence[str] = COLUMNS) -> MetaSplit:
    """Read data/meta_split, of its records only `columns`."""
    content = json.loads((workspace.meta_split / SITES).read_text())
    records = pd.read_parquet(workspace.meta_split / RECORDS, columns=list(columns))
    ends = np.cumsum([site["records"] for site in content["sites"].values()])
    return MetaSplit(
        {
            name: SourceSite(
                site["task"],
                tuple(site["classes"]),
                records[end - site["records"] : end].reset_index(drop=True),
                site["left_out"],
            )
            for end, (name, site) in zip(ends, content["sites"].items(), strict=True)
        },
        content["secret"],
    )
