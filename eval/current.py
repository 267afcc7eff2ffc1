"""Whether results are those of today's inputs: DVC leaves a later stage's outputs on failure."""

import json

from workspace.outputs import digest
from workspace.paths import Workspace
from workspace.settings import Role


def tasks_digest(workspace: Workspace, site: str, role: Role) -> str:
    """A hash of a site's split and draws: results made from others are not its results."""
    folder = workspace.tasks(role, site)
    return digest(
        (folder / "splits.parquet").read_bytes() + (folder / "draws.parquet").read_bytes()
    )


def is_current(workspace: Workspace, site: str, role: Role) -> bool:
    """True where the site is converted and split, and its results were made from this split in this
    role.
    """
    made = workspace.results(role, site) / "provenance.json"
    needed = [
        made,
        workspace.studies(site) / "summary.json",
        workspace.tasks(role, site) / "task.json",
    ]
    if not all(file.is_file() for file in needed):
        return False
    try:
        provenance = json.loads(made.read_text())
    except ValueError:  # cut short
        return False
    return provenance["role"] == role and provenance["tasks_sha256"] == tasks_digest(
        workspace, site, role
    )
