"""Which file a hash in rejects.csv stands for: shown to a person who may see the export, written nowhere."""

from data_prep.scan import locate
from workspace.errors import Problem, Refusal
from workspace.paths import Workspace
from workspace.settings import load_site


def show_file(workspace: Workspace, site: str, file_hash: str) -> None:
    """Print the path. Raises Refusal where no file of the site has this hash."""
    paths = locate(workspace, site, load_site(workspace, site), file_hash)
    if not paths:
        raise Refusal(Problem(f"incoming/{site}", "no file with this hash", "a value of the column `file` of rejects.csv",
                              f"copy it from data/studies/{site}/rejects.csv"))
    print("\n".join(paths))
