"""Account for every file of a hospital's export before anything is converted: the whole of what
convert would find.
"""

from data_prep.exports.unhashable import hashing_problems
from data_prep.privacy.deidentify import read_secret
from data_prep.scan import export_root, scan
from data_prep.site_file import load_site
from eval.settings import load_params
from pipeline.account import EXAMPLES, largest_k, shown, take_account
from workspace.errors import refuse_if, together
from workspace.paths import Workspace


def check_site(workspace: Workspace, name: str) -> None:
    """Read every header and decode every record of a site, added or not, and print the account.

    Raises Refusal where convert would.

    The secret is the workspace's own, so that `fewsite locate` resolves the hashes that are
    printed; nothing else is written.
    """
    params, site = together(lambda: load_params(workspace), lambda: load_site(workspace, name))
    root = export_root(workspace, name, site)
    found = scan(workspace, name, site, params, root=root, secret=read_secret(workspace))
    account = take_account(found)
    print(shown(account, EXAMPLES))
    together(account.refuse, lambda: refuse_if(hashing_problems(name, root.resolve(), found.keys)))
    print(largest_k(account, params.sites.get(name, "target"), params))
    print(f"nothing was converted; a file's path: fewsite locate {name} HASH")
