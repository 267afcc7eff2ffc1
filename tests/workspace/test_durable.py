"""Whole outputs when the power goes, or a run is stopped, between any two steps."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

from workspace import durable, outputs
from workspace.outputs import replace_whole, whole_folder, write_whole

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="which file is synced is read from /proc"
)
OLD, NEW = {"a.txt": "old", "deep/b.txt": "old"}, {"a.txt": "new", "deep/c.txt": "new"}


def write(folder: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def read(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def no_swap(one: Path, other: Path) -> bool:
    return False


def replace_old_by_new(target: Path) -> None:
    with whole_folder(target) as folder:
        write(folder, NEW)


def stopped_after(steps: int, target: Path) -> bool:
    """In a child process, which ends at once before step number `steps`; whether it came there."""
    child = os.fork()
    if child == 0:
        taken = 0

        def counted(real):
            def step(*given, **named):
                nonlocal taken
                if taken == steps:
                    os._exit(9)
                taken += 1
                return real(*given, **named)

            return step

        try:
            for name in ("sync", "swap"):
                setattr(outputs, name, counted(getattr(outputs, name)))
            durable.sync = counted(durable.sync)
            os.rename, os.replace = counted(os.rename), counted(os.replace)
            shutil.rmtree = counted(shutil.rmtree)
            replace_old_by_new(target)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("swaps", [True, False], ids=["swap", "no swap"])
def test_wherever_a_run_is_killed_the_next_one_finds_the_old_or_the_new(
    tmp_path, monkeypatch, swaps
):
    if not swaps:
        monkeypatch.setattr(outputs, "swap", no_swap)
    target, seen, steps = tmp_path / "out", [], 0
    while True:
        shutil.rmtree(tmp_path)
        target.mkdir(parents=True)
        write(target, OLD)
        if not stopped_after(steps, target):
            break
        there = read(target)
        assert there in (OLD, NEW) or (not swaps and not target.exists())
        with pytest.raises(ZeroDivisionError), whole_folder(target):  # the next run, which fails
            raise ZeroDivisionError
        assert read(target) == (there or OLD)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        seen.append(read(target))
        steps += 1
    assert seen == sorted(seen, key=(OLD, NEW).index) and OLD in seen and NEW in seen
    assert read(target) == NEW


@pytest.fixture
def order(monkeypatch) -> list[tuple[str, ...]]:
    """What reaches the disk and what gets another name, in their order."""
    taken: list[tuple[str, ...]] = []
    real_sync = os.fsync

    def fsync(opened: int) -> None:
        taken.append(("sync", Path(os.readlink(f"/proc/self/fd/{opened}")).name))
        real_sync(opened)

    def noted(what, real):
        def step(one, other):
            done = real(one, other)
            if done is not False:
                taken.append((what, Path(one).name, Path(other).name))
            return done

        return step

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", noted("rename", os.rename))
    monkeypatch.setattr(os, "replace", noted("rename", os.replace))
    monkeypatch.setattr(outputs, "swap", noted("swap", outputs.swap))
    return taken


@pytest.fixture
def target(tmp_path) -> Path:
    """A finished folder in a folder named `here`."""
    target = tmp_path / "here" / "out"
    target.mkdir(parents=True)
    write(target, OLD)
    return target


WRITTEN = [("sync", "c.txt"), ("sync", "deep"), ("sync", "a.txt"), ("sync", ".out.partial")]


def test_all_is_on_the_disk_before_two_folders_swap_and_the_swap_before_the_old_one_goes(
    target, order, monkeypatch
):
    real = shutil.rmtree

    def noted(path: Path, **named: bool) -> None:
        if path.is_dir():
            order.append(("remove", path.name))
        real(path, **named)

    monkeypatch.setattr(shutil, "rmtree", noted)
    replace_old_by_new(target)
    swapped = [("swap", ".out.partial", "out"), ("sync", "here"), ("remove", ".out.partial")]
    assert order == WRITTEN + swapped
    assert read(target) == NEW


def test_where_nothing_swaps_the_old_folder_is_kept_until_the_new_one_is_on_the_disk(
    target, order, monkeypatch
):
    monkeypatch.setattr(outputs, "swap", no_swap)
    replace_old_by_new(target)
    renamed = [("rename", "out", ".out.kept"), ("sync", "here"), ("rename", ".out.partial", "out")]
    assert order == [*WRITTEN, *renamed, ("sync", "here")]
    assert read(target) == NEW


def test_a_new_folder_is_on_the_disk_and_so_are_those_made_for_it(tmp_path, order):
    (tmp_path / "here").mkdir()
    replace_old_by_new(tmp_path / "here" / "above" / "out")
    assert order == [
        ("sync", "here"),
        *WRITTEN,
        ("rename", ".out.partial", "out"),
        ("sync", "above"),
    ]


def test_a_rename_that_fails_brings_the_old_folder_back_at_once(target, monkeypatch):
    real = os.rename

    def rename(one: Path, other: Path) -> None:
        if other.name == "out" and one.name == ".out.partial":
            raise OSError(errno.EIO, "fails")
        real(one, other)

    monkeypatch.setattr(outputs, "swap", no_swap)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="fails"):
        replace_old_by_new(target)
    assert read(target) == OLD and list(target.parent.iterdir()) == [target]


def test_content_that_does_not_reach_the_disk_never_becomes_the_output(target, monkeypatch):
    def fsync(opened: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="full"):
        replace_old_by_new(target)
    with pytest.raises(OSError, match="full"):
        write_whole(target / "a.txt", "new")
    monkeypatch.undo()
    assert read(target)["a.txt"] == "old"


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_the_name_after(tmp_path, order):
    (tmp_path / "here").mkdir()
    write_whole(tmp_path / "here" / "b.txt", "one")
    renamed = [("sync", ".b.txt.partial"), ("rename", ".b.txt.partial", "b.txt"), ("sync", "here")]
    assert order == renamed
    (tmp_path / "here" / "made").write_text("two")
    order.clear()
    replace_whole(tmp_path / "here" / "made", tmp_path / "here" / "b.txt")
    assert order == [("sync", "made"), ("rename", "made", "b.txt"), ("sync", "here")]
    assert (tmp_path / "here" / "b.txt").read_text() == "two"


def test_a_file_system_that_cannot_sync_folders_is_no_failure(target, monkeypatch):
    real = os.fsync

    def fsync(opened: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{opened}"):
            raise OSError(errno.EINVAL, "no folders")
        real(opened)

    monkeypatch.setattr(os, "fsync", fsync)
    replace_old_by_new(target)
    assert read(target) == NEW


def test_what_links_lead_to_is_not_synced(tmp_path, order):
    (tmp_path / "export").mkdir()
    with whole_folder(tmp_path / "out") as folder:
        (folder / "folder").symlink_to(tmp_path / "export")
        (folder / "nowhere").symlink_to(tmp_path / "no file")
    assert ("sync", "export") not in order and ("sync", ".out.partial") in order


def test_this_system_swaps_two_folders_in_one_step(tmp_path):
    for name, content in (("one", OLD), ("other", NEW)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, content)
    assert durable.swap(tmp_path / "one", tmp_path / "other")
    assert read(tmp_path / "one") == NEW and read(tmp_path / "other") == OLD
    assert not durable.swap(tmp_path / "one", tmp_path / "none")
