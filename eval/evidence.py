"""Everything that a site's page is drawn from, read once: its results, and the studies and tasks behind them."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_prep.records import Studies, read_studies
from eval.results import Results, missing, read_results
from workspace.errors import refuse_if, together
from workspace.paths import Workspace
from workspace.settings import Role, load_params


@dataclass(frozen=True)
class Evidence(Results):
    """A site's results, and where they come from."""

    task: dict[str, Any]  # task.json
    summary: dict[str, Any]  # summary.json of the conversion
    rejects: pd.DataFrame
    studies: Studies
    draws: pd.DataFrame


def read_evidence(workspace: Workspace, site: str, role: Role) -> Evidence:
    """Read what the earlier stages wrote for `site`. Raises Refusal naming every file that is missing."""
    studies, tasks = workspace.studies(site), workspace.tasks(role, site)
    needed = {f"convert@{site}": [studies / name for name in ("pixels.npy", "records.parquet", "rejects.csv", "summary.json")],
              f"tasks@{site}": [tasks / name for name in ("task.json", "draws.parquet")]}
    results, _ = together(lambda: read_results(workspace, load_params(workspace), site, role), lambda: refuse_if(missing(needed)))
    return Evidence(**vars(results), task=json.loads((tasks / "task.json").read_text()),
                    summary=json.loads((studies / "summary.json").read_text()),
                    rejects=pd.read_csv(studies / "rejects.csv", dtype=str, keep_default_na=False), studies=read_studies(studies),
                    draws=pd.read_parquet(tasks / "draws.parquet"))
