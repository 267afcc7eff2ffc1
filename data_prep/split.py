"""Stage `split`: gather the source sites' training and validation records into the one list that
training may read.

python -m data_prep.split
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from data_prep.episodes.meta_split import COLUMNS, MetaSplit, SourceSite, write_meta_split
from data_prep.settings import load_params
from data_prep.store.groups import TIES, group_of
from workspace.errors import Problem, refuse_if, run_module
from workspace.paths import Workspace
from workspace.progress import say

ACROSS = ("group", *TIES)  # what ties records of any two sites, besides nearly identical pictures
LEFT_OUT = ("tied_to_query", "tied_to_validation")  # why a record neither trains nor validates


def gather(splits: dict[str, pd.DataFrame], tasks: dict[str, dict[str, Any]]) -> MetaSplit:
    """Keep what may train or validate: nothing tied to any query set, no training record to a
    validation set.

    `splits` and `tasks`: site -> its splits.parquet and task.json. The same picture may have come
    in through two hospitals, and the same patient through two tasks of one, where other ties may
    have put him on another side. `group` is of all sites together. Raises Refusal where the sites'
    keys were made under different secrets, since then no shared patient would be seen.
    """
    secrets = sorted({task["secret"] for task in tasks.values()})
    refuse_if(
        []
        if len(secrets) == 1
        else [
            Problem(
                "data/tasks/source",
                f"keys made under {len(secrets)} secrets",
                "one secret",
                "restore .fewsite/secret, delete data/ and run dvc repro --force",
            )
        ]
    )
    everyone = pd.concat(splits)  # by site and row
    split, group = everyone["split"], group_of(everyone, ACROSS)
    asked, validating = (group.isin(group[split == part]) for part in ("query", "validation"))
    why = np.select(
        [split == "query", asked, (split == "train") & validating], ["", *LEFT_OUT], "kept"
    )
    sites = {}
    for site, table in sorted(splits.items()):
        of_site = why[everyone.index.get_level_values(0) == site]
        kept = table.assign(group=group[site])[of_site == "kept"].sort_values("record")
        left_out = {reason: int((of_site == reason).sum()) for reason in LEFT_OUT}
        sites[site] = SourceSite(
            tasks[site]["task"], tuple(tasks[site]["classes"]), kept[list(COLUMNS)], left_out
        )
    return MetaSplit(sites, secrets[0])


def main() -> None:
    workspace = Workspace()
    # the names come from params: a site that was taken out or changed its role leaves its folder on
    # disk
    names = sorted(site for site, role in load_params(workspace).sites.items() if role == "source")
    refuse_if(
        []
        if names
        else [
            Problem(
                "params.yaml sites",
                "no source site",
                "one at least to train on",
                "fewsite add sites/NAME.yaml --source",
            )
        ]
    )
    folders = {site: workspace.tasks("source", site) for site in names}
    refuse_if(
        Problem(
            f"site {site}",
            "no tasks",
            "its convert and tasks stages done",
            f"dvc repro tasks@{site}",
        )
        for site, folder in folders.items()
        if not (folder / "task.json").is_file()
    )
    meta = gather(
        {site: pd.read_parquet(folder / "splits.parquet") for site, folder in folders.items()},
        {site: json.loads((folder / "task.json").read_text()) for site, folder in folders.items()},
    )
    write_meta_split(meta, workspace)
    for site, source in meta.sites.items():
        counts = source.records["split"].value_counts()
        say(
            f"split: {site} ({source.task}) trains on {counts.get('train', 0)} records, "
            f"validates on {counts.get('validation', 0)}"
        )
        if any(source.left_out.values()):
            say(
                f"split: {site}: left out of training: "
                + ", ".join(
                    f"{number} {reason.replace('_', ' ')} set"
                    for reason, number in source.left_out.items()
                )
            )


if __name__ == "__main__":
    run_module("data_prep.split", main)
