"""Nothing of a patient gets into Git, in whatever order a workspace and its repository are made, and the audit finds what did."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import marks
from pipeline.audit.command import audit_workspace
from pipeline.audit.git_objects import repository_of
from pipeline.init import init_workspace
from pipeline.inspect import inspect_path
from pipeline.out_of_git import KEPT_OUT, keep_out_of_git
from pipeline.sites.add import add_site
from pipeline.sites.link import link_site, link_sites
from pipeline.sites.params_file import edited
from pipeline.sites.remove import remove_site
from workspace.errors import Refusal
from workspace.paths import Workspace

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdef" * 4
IDENTIFIER = "Quvenzhia_774120"
SITE = """root: {root}
task: cells
labels: {{file: labels.csv, match: file, class: kind, patient: who}}
classes: {{round: [r], long: [l]}}
"""
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def run(folder: Path, *command: str) -> bytes:
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **ENVIRONMENT},
    )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital") / "NIGHTLY-DUMP"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = ["file,kind,who"]
    for at in range(40):
        Image.fromarray(rng.integers(0, 255, (24, 24), np.uint8)).save(
            folder / f"{IDENTIFIER}_{at}.png"
        )
        rows.append(f"{IDENTIFIER}_{at}.png,{'rl'[at % 2]},{IDENTIFIER}-{at}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def init(workspace: Workspace) -> None:
    init_workspace(workspace)
    workspace.secret_file.write_text(SECRET)
    workspace.secret_file.chmod(0o600)


def add(workspace: Workspace, export: Path) -> None:
    with edited(workspace) as content:
        content["sites"]["west"] = "target"
        content["convert"].update({"size": [16, 16], "workers": 1})
        content["tasks"].update({"shots": [0, 1], "draws": 1, "min_query": 1})
        content["report"]["shots"] = 1
    workspace.site_file("west").write_text(SITE.format(root=export))
    link_site(workspace, "west", export)


def git_first(folder: Path) -> None:
    folder.mkdir()
    run(folder, "git", "init", "--quiet")
    init(Workspace(folder))


def git_last(folder: Path) -> None:
    init(Workspace(folder))
    run(folder, "git", "init", "--quiet")


def inside_a_repository(folder: Path) -> None:
    run(folder.parent, "git", "init", "--quiet")
    init(Workspace(folder))


def objects(folder: Path) -> bytes:
    return run(folder, "git", "cat-file", "--batch-all-objects", "--batch")


@pytest.mark.parametrize("make", [git_first, git_last, inside_a_repository])
def test_add_all_and_commit_takes_no_pixel_no_identifier_and_no_secret(
    make: Callable, tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "study"
    make(folder)
    monkeypatch.chdir(folder)
    workspace = Workspace()
    add(workspace, export)
    marks.main()  # what DVC's first stage finds done already: in a process of its own it imports torch
    run(folder, "dvc", "repro", "tasks@west")
    inspect_path(workspace, export, folder / "view")
    for place in (
        workspace.results("target", "west"),
        workspace.report("west"),
        workspace.root / ".dvc" / "tmp",
    ):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(export / f"{IDENTIFIER}_0.png", place / "picture.png")
    kept = [path for path in (folder / ".dvc" / "cache").rglob("*") if path.is_file()]
    assert len(kept) > 5, "DVC's cache holds the pixels"
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "all")
    held = objects(folder)
    for row in np.load(workspace.studies("west") / "pixels.npy"):
        assert row.tobytes() not in held
    for value in (IDENTIFIER, SECRET, export.name):
        assert value.encode() not in held.replace(
            str(export).encode(), b""
        )  # the root in sites/west.yaml is what a person wrote
    assert (export / f"{IDENTIFIER}_0.png").read_bytes() not in held
    committed = run(folder, "git", "ls-files").decode().split()
    assert {
        "dvc.lock",
        "dvc.yaml",
        "params.yaml",
        "sites/west.yaml",
        "reviews/decisions.md",
        ".gitignore",
        ".dvc/config",
    } <= set(committed)
    assert not any(
        name.startswith(tuple(line.strip("/") for line in KEPT_OUT)) for name in committed
    )


def test_every_workspace_of_this_repository_keeps_the_same_out():
    for folder in (ROOT, *(ROOT / "examples").iterdir()):
        assert set(KEPT_OUT) <= set((folder / ".gitignore").read_text().splitlines()), folder


def test_an_older_workspace_is_mended_by_link_and_what_it_ignored_stays(tmp_path: Path):
    workspace = Workspace(tmp_path)
    shutil.copy(ROOT / "params.yaml", workspace.params_file)
    with edited(workspace) as content:
        content["sites"].clear()
    (tmp_path / ".gitignore").write_text("*.bak\n/data")
    link_sites(workspace)
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert (
        lines[:2] == ["*.bak", "/data"]
        and set(KEPT_OUT) <= set(lines)
        and lines.count("/data") == 1
    )
    before = (tmp_path / ".gitignore").stat().st_mtime_ns
    keep_out_of_git(workspace)
    assert (tmp_path / ".gitignore").stat().st_mtime_ns == before


def test_a_place_moved_to_another_disk_stays_out_though_it_is_a_link(tmp_path: Path):
    run(tmp_path, "git", "init", "--quiet")
    keep_out_of_git(Workspace(tmp_path))
    for place in ("data", "incoming"):
        (tmp_path / place).symlink_to(tmp_path.parent)
    assert run(tmp_path, "git", "status", "--short", "--untracked-files=all").split() == [
        b"??",
        b".gitignore",
    ]


@pytest.fixture
def committed(tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in Git with a site that was linked, and nothing wrong yet."""
    workspace = Workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    shutil.copy(ROOT / "params.yaml", workspace.params_file)
    (tmp_path / "sites").mkdir()
    with edited(workspace) as content:
        content["sites"].clear()
        content["phantom"]["hospitals"].clear()
    add(workspace, export)
    keep_out_of_git(workspace)
    workspace.private.mkdir()
    workspace.secret_file.write_text(SECRET)
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "git", "add", "--all")
    run(
        tmp_path,
        "git",
        "commit",
        "--quiet",
        "--message",
        "Start\n\nSigned-off-by: A <a@example.org>",
    )
    return workspace


def refused(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(
        Refusal,
        match=r"fewsite audit: found \d+ identifiers or files of patients in \d+ objects of Git; need none; do push nothing",
    ) as found:
        audit_workspace(workspace)
    printed = capsys.readouterr().out + str(found.value)
    assert IDENTIFIER not in printed and SECRET not in printed
    return printed


def test_a_clean_repository_is_clean_and_the_audit_says_what_it_searched(
    committed: Workspace, capsys: pytest.CaptureFixture[str]
):
    audit_workspace(committed)
    printed = capsys.readouterr().out
    assert (
        "searched in Git's objects" in printed
        and "3 blobs, 1 commits, 2 trees" in printed
        and printed.endswith("nothing found\n")
    )


def text(folder: Path, export: Path) -> None:
    (folder / "note.txt").write_text(f"ask about {IDENTIFIER}_7\n")


def secret(folder: Path, export: Path) -> None:
    shutil.copy(folder / ".fewsite" / "secret", folder / "key.txt")


def file_name(folder: Path, export: Path) -> None:
    (folder / f"{IDENTIFIER}_7.txt").write_text("nothing\n")


def export_file(folder: Path, export: Path) -> None:
    shutil.copy(export / f"{IDENTIFIER}_7.png", folder / "logo.png")


def array(folder: Path, export: Path) -> None:
    np.save(folder / "a.npy", np.zeros((4, 4), np.uint8))


def cached(folder: Path, export: Path) -> None:
    (folder / ".gitignore").unlink()
    (folder / ".dvc" / "cache" / "files").mkdir(parents=True)
    (folder / ".dvc" / "cache" / "files" / "ab").write_bytes(b"\1\2\3")


@pytest.mark.parametrize(
    ("leak", "kind"),
    [
        (text, "file or folder name"),
        (secret, "workspace's secret"),
        (file_name, "file or folder name"),
        (export_file, "a file of the export"),
        (array, "a file of the kind npy"),
        (cached, "a file of .dvc/cache"),
    ],
)
@pytest.mark.parametrize("state", ["deleted in the next commit", "staged, never committed"])
def test_what_git_took_in_is_found_though_the_file_is_gone(
    committed: Workspace, export: Path, capsys, leak: Callable, kind: str, state: str
):
    folder = Path.cwd()
    before = {path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts}
    leak(folder, export)
    run(folder, "git", "add", "--all")
    if state.startswith("deleted"):
        run(folder, "git", "commit", "--quiet", "--message", "oops")
    for path in folder.rglob("*"):
        if (
            path.is_file()
            and ".git" not in path.parts
            and path not in before
            and leak is not cached
        ):
            path.unlink()
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--allow-empty", "--message", "as if nothing had been")
    if leak is file_name and state.startswith("staged"):
        audit_workspace(committed)  # a name is kept by the index and by commits alone
        return
    assert kind in refused(committed, capsys)


def test_a_name_that_is_staged_is_found_before_it_is_committed(
    committed: Workspace, export: Path, capsys: pytest.CaptureFixture[str]
):
    file_name(Path.cwd(), export)
    run(Path.cwd(), "git", "add", "--all")
    assert "Git's index: file or folder name" in refused(committed, capsys)


def test_an_identifier_in_a_message_is_found(
    committed: Workspace, capsys: pytest.CaptureFixture[str]
):
    run(
        Path.cwd(),
        "git",
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        f"Without {IDENTIFIER}-7",
    )
    assert "Git's commit" in refused(committed, capsys)


def test_a_published_secret_is_none(committed: Workspace, capsys: pytest.CaptureFixture[str]):
    shutil.copy(committed.secret_file, committed.published_secret)
    run(Path.cwd(), "git", "add", "--all")
    run(Path.cwd(), "git", "commit", "--quiet", "--message", "published")
    audit_workspace(committed)
    assert capsys.readouterr().out.endswith("nothing found\n")


def test_a_repository_that_git_does_not_open_is_refused_and_none_is_none(tmp_path: Path):
    assert repository_of(tmp_path) is None
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(Refusal, match="found a Git repository that git does not open; need git"):
        repository_of(tmp_path)


def test_remove_takes_page_pictures_and_results_away_and_says_what_stays(
    committed: Workspace, capsys: pytest.CaptureFixture[str]
):
    gone = [
        committed.report("west"),
        committed.results("target", "west"),
        committed.results("source", "west"),
        committed.decoded("west"),
    ]
    stays = [committed.studies("west"), committed.tasks("target", "west")]
    for folder in (*gone, *stays):
        folder.mkdir(parents=True)
        (folder / "picture.png").write_bytes(b"pixels")
    committed.pdf("west").write_bytes(b"page")
    remove_site(committed, "west")
    printed = capsys.readouterr().err
    assert not any(folder.exists() for folder in (*gone, committed.pdf("west")))
    assert all(folder.exists() for folder in stays)
    assert (
        "rm -r data/studies/west data/tasks/target/west\n" in printed
        and "DVC's cache keeps" in printed
    )


def test_an_export_in_the_workspace_stays_out_and_one_beside_it_in_the_repository_is_refused(
    tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    inside_a_repository(folder)
    monkeypatch.chdir(folder)
    workspace = Workspace()
    inside = folder / "from [west] 1"
    shutil.copytree(export, inside)
    shutil.copytree(export, tmp_path / "beside")
    with edited(workspace) as content:
        content["convert"].update({"size": [16, 16], "workers": 1})
        content["tasks"].update({"shots": [0, 1], "draws": 1, "min_query": 1})
        content["report"]["shots"] = 1
    for root, found in (
        (tmp_path / "beside", "a place that git add takes"),
        (tmp_path, "a folder in which the workspace lies"),
    ):
        workspace.site_file("west").write_text(SITE.format(root=root))
        with pytest.raises(Refusal, match=f"root: found {found}; .* do move"):
            add_site(workspace, workspace.site_file("west"), "target", check=True)
    workspace.site_file("west").write_text(SITE.format(root=f"'{inside}'"))
    add_site(workspace, workspace.site_file("west"), "target", check=False)
    run(folder, "git", "add", "--all")
    assert (
        "west" in run(folder, "git", "ls-files").decode()
        and IDENTIFIER not in run(folder, "git", "ls-files").decode()
    )


def test_what_dvc_leaves_where_it_is_run_and_what_it_plots_stays_out(tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet")
    keep_out_of_git(Workspace(tmp_path))
    for place in ("sites/.fewsite/dvc/repo/cache.db", "dvc_plots/index.html"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(IDENTIFIER)
    assert run(tmp_path, "git", "status", "--short", "--untracked-files=all").split() == [
        b"??",
        b".gitignore",
    ]


def test_what_inspect_writes_stays_out_though_it_was_killed(
    tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        assert (tmp_path / ".view.partial" / ".gitignore").read_text() == "*\n"
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.inspect.write_nifti", killed)
    with pytest.raises(KeyboardInterrupt):
        inspect_path(Workspace(tmp_path), export, tmp_path / "view")
