"""What changed in the results between an earlier revision and now, site by site."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.fs import DVCFileSystem
from dvc.repo import Repo
from dvc.repo.brancher import switch
from dvc.scm import SCMError
from dvc_data.index import DataIndexDirError

from data_prep.episodes.meta_split import SITES
from eval.changes import Change, change
from eval.current import is_current
from eval.results import RESULTS, read_results
from eval.settings import Params, load_params
from workspace.errors import Problem, Refusal, refuse_if
from workspace.paths import Workspace
from workspace.settings import Role


def compare(workspace: Workspace, revision: str) -> None:
    """Print each site's verdict then and now, and the paired difference of its score on the
    patients of both.

    Raises Refusal where the revision is unknown, its settings are not those of this version, or DVC
    no longer has its results.
    """
    params = load_params(workspace)
    with tempfile.TemporaryDirectory() as folder:
        earlier = Workspace(Path(folder))
        then = bring(workspace, revision, earlier)
        for site, role in sorted(params.sites.items()):
            print(f"{site}: {_line(workspace, params, earlier, then, site, role, revision)}")
        for site in sorted(set(then.sites) - set(params.sites)):
            print(f"{site}: taken out since {revision}")


def bring(workspace: Workspace, revision: str, earlier: Workspace) -> Params:
    """Copy the settings, the split's list of sites and all results of a revision into `earlier`,
    from Git and from DVC's cache.
    """
    lost = set()
    with ExitStack() as opened:
        try:
            repository = opened.enter_context(Repo(workspace.root))
            opened.enter_context(
                switch(repository, revision or "an empty name")
            )  # nothing at all would be the files of now
            _copy(repository.dvcfs, workspace.params_file, workspace, earlier)
        except (
            SCMError,
            DvcException,
            OSError,
            AttributeError,
            ValueError,
        ):  # the last two where it names a file, or nothing that can be a name
            raise Refusal(
                Problem(
                    revision or "an empty name",
                    "no revision of this workspace",
                    "a commit, branch or tag of a Git repository with "
                    "params.yaml and DVC's files in it",
                    "name one that git log shows",
                )
            ) from None
        then = _settings(earlier, revision)
        needed = [
            (f"adapt@{site}", workspace.results(role, site) / name)
            for site, role in sorted(then.sites.items())
            for name in RESULTS
        ]
        for stage, file in [("split", workspace.meta_split / SITES), *needed]:
            try:
                _copy(repository.dvcfs, file, workspace, earlier)
            except (DvcException, DataIndexDirError, OSError):
                lost.add(stage)
    refuse_if(
        Problem(
            f"{stage} of {revision}",
            "no such result in dvc.lock, or none in DVC's cache",
            "the results of that commit",
            "dvc fetch --all-commits, or check that commit out and dvc repro",
        )
        for stage in sorted(lost)
    )
    return then


def sentence(found: Change) -> str:
    """A change in one line."""
    words = f"{found.before} -> {found.after}"
    before, after = found.value_before, found.value_after
    if before is None or after is None or found.low is None or found.high is None:
        return f"{words}; {found.shared_patients:,} patients in both, too few to compare"
    return (
        f"{words}; {found.score} {before:.3f} -> {after:.3f}, "
        f"difference {after - before:+.3f} "
        f"({found.low:+.3f} to {found.high:+.3f}) on the {found.shared_patients:,} patients "
        f"({found.shared_records:,} images) of both"
    )


def _line(
    workspace: Workspace,
    params: Params,
    earlier: Workspace,
    then: Params,
    site: str,
    role: Role,
    revision: str,
) -> str:
    if then.sites.get(site) != role:
        return f"new as a {role} since {revision}"
    if not is_current(workspace, site, role):
        return f"no result now; dvc repro adapt@{site}"
    return sentence(
        change(read_results(earlier, then, site, role), read_results(workspace, params, site, role))
    )


def _settings(earlier: Workspace, revision: str) -> Params:
    try:
        return load_params(earlier)
    except Refusal as refusal:
        raise Refusal(
            *(
                Problem(
                    "params.yaml of "
                    f"{revision}{problem.where.removeprefix(str(earlier.params_file))}",
                    problem.found,
                    problem.need,
                    "compare with a revision whose settings this version reads",
                )
                for problem in refusal.problems
            )
        ) from None


def _copy(files: DVCFileSystem, file: Path, workspace: Workspace, earlier: Workspace) -> None:
    inside = file.relative_to(workspace.root)
    (earlier.root / inside).parent.mkdir(parents=True, exist_ok=True)
    files.get_file(inside.as_posix(), str(earlier.root / inside))
