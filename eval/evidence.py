"""Everything that a site's page is drawn from, read once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data_prep.store.records import Studies, read_studies
from eval.results import Results, missing, read_json, read_results, whole
from eval.settings import load_params
from workspace.errors import refuse_if, together
from workspace.paths import Workspace
from workspace.settings import Role


@dataclass(frozen=True)
class Evidence(Results):
    """A site's results, and where they come from."""

    task: dict[str, Any]  # task.json
    summary: dict[str, Any]  # summary.json of the conversion
    rejects: pd.DataFrame
    studies: Studies
    draws: pd.DataFrame


def read_evidence(workspace: Workspace, site: str, role: Role) -> Evidence:
    """Read what the earlier stages wrote for `site`.

    Raises Refusal naming every file that is missing.
    """
    studies, tasks = workspace.studies(site), workspace.tasks(role, site)
    needed = {
        f"convert@{site}": [
            studies / name
            for name in ("pixels.npy", "records.parquet", "rejects.csv", "summary.json")
        ],
        f"tasks@{site}": [tasks / name for name in ("task.json", "draws.parquet")],
    }
    results, _ = together(
        lambda: read_results(workspace, load_params(workspace), site, role),
        lambda: refuse_if(missing(needed)),
    )
    convert, split = f"convert@{site}", f"tasks@{site}"
    return Evidence(
        **vars(results),
        task=whole(tasks / "task.json", read_json, split),
        summary=whole(studies / "summary.json", read_json, convert),
        rejects=whole(studies / "rejects.csv", _read_rejects, convert),
        studies=whole(studies, read_studies, convert),
        draws=whole(tasks / "draws.parquet", pd.read_parquet, split),
    )


def _read_rejects(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)
