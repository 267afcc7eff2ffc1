"""What a root may be, links, depth, and files that a DICOMDIR names and nobody sent."""

import os
import shutil
import sys
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from data_prep.exports import walk as walking
from data_prep.exports.walk import walk
from data_prep.readers.examine import examine
from tests.data_prep.made_exports import make_tar, make_zip, names, problem
from workspace.errors import Refusal


def disc(root: Path) -> Path:
    """pydicom's test disc: a DICOMDIR, and the files that it names in three folders."""
    shutil.copytree(
        Path(get_testdata_file("DICOMDIR")).parent,
        root,
        ignore=shutil.ignore_patterns("DICOMDIR?*", "TINY_ALPHA"),
    )
    return root


def missing(root: Path) -> list[str]:
    return [found.name for found in walk(root) if found.problem == "missing_file"]


def test_a_real_folder_or_file_goes_before_links_to_it(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1").write_bytes(b"x")
    os.symlink(tmp_path / "m", tmp_path / "a")
    os.symlink(tmp_path / "m", tmp_path / "z")
    os.symlink(tmp_path / "m" / "1", tmp_path / "0")
    assert names(tmp_path) == ["m/1"]


def test_a_file_outside_is_taken_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "x").write_bytes(b"x")
    for name in "ab":
        os.symlink(tmp_path / "x", tmp_path / "export" / name)
    assert names(tmp_path / "export") == ["a"]


def test_a_link_to_itself_is_unreadable(tmp_path: Path) -> None:
    os.symlink(tmp_path / "x", tmp_path / "x")
    assert problem(tmp_path) == "unreadable"


def test_folders_that_are_too_deep_refuse_the_export(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 100)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    assert len(walk(tmp_path)) == 1
    (deep / "d").mkdir()
    with pytest.raises(Refusal, match="1 folders more than 100 deep"):
        walk(tmp_path)


def test_too_many_files_refuse_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    monkeypatch.setattr(walking, "MAX_FILES", 2)
    with pytest.raises(Refusal, match="more than 2 files"):
        walk(tmp_path)


def test_a_list_names_files_folders_and_archives_from_its_own_folder_each_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "d").mkdir()
    for name in ("d/1", "d/2", "x", "not listed"):
        (tmp_path / name).write_bytes(b"x")
    make_zip(tmp_path / "a", {"m": b"x"})
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfx\r\n./x\r\n\r\na\r\nd/1\r\nd\r\n")
    assert names(tmp_path / "list") == ["a/m", "d/1", "d/2", "x"]


def test_paths_of_a_list_with_nothing_there_are_counted_and_never_quoted(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "list").write_text("x\nZZPHI/1\nZZPHI/2\n")
    with pytest.raises(Refusal, match="the list: found 2 of 3 paths with nothing there") as refusal:
        walk(tmp_path / "list")
    assert "ZZPHI" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"\n\n", bytes(128) + b"DICM"])
def test_a_file_that_is_no_archive_and_no_list_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(
        Refusal,
        match="a file that is no archive and no list; need a folder, a zip, a tar or a text file",
    ):
        walk(tmp_path / "x")


@pytest.mark.parametrize("change", [str, str.lower])
def test_a_whole_disc_lacks_nothing_and_its_directory_is_no_image(
    tmp_path: Path, change: object
) -> None:
    root = disc(tmp_path / "disc")
    for path in sorted(root.rglob("*"), reverse=True):
        path.rename(path.with_name(change(path.name)))
    assert missing(root) == []
    directory = examine(next(found for found in walk(root) if found.name.upper() == "DICOMDIR"))
    assert directory.reason == "no_pixels" and not directory.image


def test_files_that_a_dicomdir_names_and_that_are_not_there_are_rejected_one_by_one(
    tmp_path: Path,
) -> None:
    root = disc(tmp_path / "disc")
    whole = names(root)
    gone = sorted(path for path in (root / "77654033").rglob("*") if path.is_file())[:3]
    for path in gone:
        path.unlink()
    assert missing(root) == [str(path.relative_to(root)) for path in gone]
    assert names(root) == whole
    shutil.copy(root / "DICOMDIR", root / "dicomdir")
    assert len(missing(root)) == 3
    assert all(examine(found).reason == "missing_file" for found in walk(root) if found.problem)


def test_a_dicomdir_inside_an_archive_is_held_against_that_archive(tmp_path: Path) -> None:
    directory = Path(get_testdata_file("DICOMDIR")).read_bytes()
    make_tar(tmp_path / "a", {"cd/DICOMDIR": directory}, "w:gz")
    make_zip(tmp_path / "b", {"cd/DICOMDIR": directory, "cd/77654033/CR1/6154": b"x"})
    lacking = missing(tmp_path)
    assert "a/cd/77654033/CR1/6154" in lacking and "b/cd/77654033/CR1/6154" not in lacking


@pytest.mark.parametrize("undefined_length", [False, True])
def test_a_dicomdir_that_cannot_be_read_whole_is_told(
    tmp_path: Path, undefined_length: bool
) -> None:
    data = pydicom.dcmread(get_testdata_file("DICOMDIR"))
    data["DirectoryRecordSequence"].is_undefined_length = undefined_length
    data.save_as(tmp_path / "DICOMDIR")
    directory = (tmp_path / "DICOMDIR").read_bytes()
    assert len(missing(tmp_path)) > 20
    for content in (directory[:-20], directory[:2000], directory[:500], b"", b"hello"):
        (tmp_path / "DICOMDIR").write_bytes(content)
        assert problem(tmp_path) == "damaged_directory"


def test_records_of_a_dicomdir_that_are_no_longer_in_use_ask_for_nothing(tmp_path: Path) -> None:
    data = pydicom.dcmread(get_testdata_file("DICOMDIR"))
    for record in data.DirectoryRecordSequence:
        record.RecordInUseFlag = 0
    data.save_as(tmp_path / "DICOMDIR")
    assert missing(tmp_path) == []


def test_a_name_that_is_no_utf8_is_kept(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("this system has no such names")
    (tmp_path / os.fsdecode(b"M\xfcller")).touch()
    (tmp_path / "list").write_bytes(b"M\xfcller\n")
    assert names(tmp_path / "list") == [os.fsdecode(b"M\xfcller")]


def test_a_picture_of_a_datalad_data_set_has_its_own_name_and_not_that_of_the_store(
    tmp_path: Path,
) -> None:
    """Every annexed file is a link into .git/annex/objects (git-annex, internals). DVC sees nothing of .git, .hg and .dvc."""
    key = ".git/annex/objects/7X/q0/MD5E-s3--900150983cd24fb0d6963f7d28e17f72.nii.gz/MD5E-s3--900150983cd24fb0d6963f7d28e17f72.nii.gz"
    for name in (
        key,
        ".dvc/cache/files/md5/90/0150",
        ".hg/store/data",
        "sub-01/anat/.git/hidden",
        "labels.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "sub-01/anat/sub-01_T1w.nii.gz").symlink_to(f"../../{key}")
    assert names(tmp_path) == ["labels.csv", "sub-01/anat/sub-01_T1w.nii.gz"]
