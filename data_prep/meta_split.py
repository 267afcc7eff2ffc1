"""The meta-training split: which records of the source sites train and which validate. Training reads nothing else."""

import json
from dataclasses import dataclass, field

import pandas as pd

from workspace.outputs import to_json
from workspace.paths import Workspace

COLUMNS = ("record", "row", "patient", "group", "label", "split", "pixel_hash", "perceptual_hash")  # row: in the site's pixels.npy


@dataclass(frozen=True)
class SourceSite:
    """One source site. `records` has COLUMNS; split is train or validation."""

    task: str
    classes: tuple[str, ...]
    records: pd.DataFrame
    left_out: dict[str, int] = field(default_factory=dict)  # records that are tied to a query set, or training ones to a validation set


@dataclass(frozen=True)
class MetaSplit:
    """All source sites, their keys made under one secret (its fingerprint is kept)."""

    sites: dict[str, SourceSite]
    secret: str

    @property
    def tasks(self) -> dict[str, list[str]]:
        """Task -> the classes that its source sites know, sorted: the label space of a source model's head."""
        names = {site.task: set() for site in self.sites.values()}
        for site in self.sites.values():
            names[site.task].update(site.classes)
        return {task: sorted(classes) for task, classes in sorted(names.items())}

    def to_json(self) -> str:
        return to_json({"secret": self.secret, "sites": {name: {
            "task": site.task, "classes": list(site.classes), "left_out": site.left_out, "records": site.records.to_dict("list")}
            for name, site in self.sites.items()}})


def read_meta_split(workspace: Workspace) -> MetaSplit:
    """Read data/meta_split.json."""
    content = json.loads(workspace.meta_split.read_text())
    return MetaSplit({name: SourceSite(site["task"], tuple(site["classes"]), pd.DataFrame(site["records"]), site["left_out"])
                      for name, site in content["sites"].items()}, content["secret"])
