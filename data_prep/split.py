"""Stage `split`: gather the source sites' training and validation records into the one list that training may read.

    python -m data_prep.split
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from data_prep.duplicates import near_any
from data_prep.meta_split import COLUMNS, MetaSplit, SourceSite
from workspace.errors import Problem, refuse_if, run_module
from workspace.outputs import write_whole
from workspace.paths import Workspace
from workspace.progress import say
from workspace.settings import load_params

# what may tie a record to one of another set
TIES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], pd.Series]] = {
    "patient": lambda table, others: table["patient"].isin(others["patient"]),
    "identical": lambda table, others: table["pixel_hash"].isin(others["pixel_hash"]),
    "near": lambda table, others: near_any(table["perceptual_hash"], others["perceptual_hash"]),
}
PICTURES = ("identical", "near")


def gather(splits: dict[str, pd.DataFrame], tasks: dict[str, dict[str, Any]]) -> MetaSplit:
    """Keep what may train or validate: nothing tied by patient or picture to any query set, no training record to a validation set.

    `splits` and `tasks`: site -> its splits.parquet and task.json. The same picture may have come in through two hospitals: of one
    that only trains, or only validates, the first site keeps it, so that no episode across sites has it on both sides.
    Raises Refusal where the sites' keys were made under different secrets, since then no shared patient would be seen.
    """
    secrets = sorted({task["secret"] for task in tasks.values()})
    refuse_if([] if len(secrets) == 1 else [Problem("data/tasks/source", f"keys made under {len(secrets)} secrets", "one secret",
                                                    "restore .fewsite/secret, delete data/ and run dvc repro")])
    everyone = pd.concat(splits.values())
    query, validation = (everyone[everyone["split"] == part] for part in ("query", "validation"))
    sites: dict[str, SourceSite] = {}
    for site, table in sorted(splits.items()):
        open_to_training = table[table["split"] != "query"].sort_values("record")
        trains = open_to_training["split"] == "train"
        earlier = pd.concat([everyone.iloc[:0], *(source.records for source in sites.values())])
        cut = {tie: tied(open_to_training, query) | (trains & tied(open_to_training, validation)) for tie, tied in TIES.items()}
        for tie in PICTURES:
            cut[tie] |= TIES[tie](open_to_training, earlier)
        why = np.select(list(cut.values()), list(cut), "")
        sites[site] = SourceSite(tasks[site]["task"], tuple(tasks[site]["classes"]), open_to_training.loc[why == "", list(COLUMNS)],
                                 {tie: int((why == tie).sum()) for tie in TIES})
    return MetaSplit(sites, secrets[0])


def main() -> None:
    workspace = Workspace()
    # the names come from params: a site that was taken out or changed its role leaves its folder on disk
    names = sorted(site for site, role in load_params(workspace).sites.items() if role == "source")
    refuse_if([] if names else [Problem("params.yaml sites", "no source site", "one at least to train on",
                                        "fewsite add sites/NAME.yaml --source")])
    folders = {site: workspace.tasks("source", site) for site in names}
    refuse_if(Problem(f"site {site}", "no tasks", "its convert and tasks stages done", f"dvc repro tasks@{site}")
              for site, folder in folders.items() if not (folder / "task.json").is_file())
    meta = gather({site: pd.read_parquet(folder / "splits.parquet") for site, folder in folders.items()},
                  {site: json.loads((folder / "task.json").read_text()) for site, folder in folders.items()})
    write_whole(workspace.meta_split, meta.to_json())
    for site, source in meta.sites.items():
        counts = source.records["split"].value_counts()
        say(f"split: {site} ({source.task}) trains on {counts.get('train', 0)} records, validates on {counts.get('validation', 0)}")
        if any(source.left_out.values()):
            say(f"split: {site}: left out, since another part holds the same: " + ", ".join(
                f"{number} by {tie}" for tie, number in source.left_out.items()))


if __name__ == "__main__":
    run_module("data_prep.split", main)
