"""Archives are told by content, listed whole or rejected whole, unpacked within limits, and nothing in them leads out."""

import bz2
import gzip
import os
import resource
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from data_prep.exports import archives, sources
from data_prep.exports import walk as walking
from data_prep.exports.walk import walk
from data_prep.readers.examine import examine
from data_prep.rejects import Rejected
from tests.data_prep.made_exports import content, make_tar, make_zip, names, problem
from workspace.errors import Refusal

MODES = ["w", "w:gz", "w:bz2", "w:xz"]


def as_bytes(root: Path, make: object, *arguments: object) -> bytes:
    """The bytes of an archive that `make` writes."""
    path = make(root.parent / f"{root.name}-inner", *arguments)
    return path.read_bytes()


@pytest.mark.parametrize("mode", MODES)
def test_a_tar_is_read_whatever_its_name_compression_and_place(tmp_path: Path, mode: str) -> None:
    make_tar(tmp_path / "export.data", {"./z/1": b"one", "y": b"two" * 5000}, mode)
    assert names(tmp_path) == ["export.data/y", "export.data/z/1"]
    assert content(tmp_path, "export.data/z/1") == b"one"
    assert content(tmp_path, "export.data/y") == b"two" * 5000
    assert names(tmp_path / "export.data") == ["y", "z/1"]


def test_a_plain_tar_and_a_zip_are_read_in_place_and_a_compressed_tar_is_unpacked_once(
    tmp_path: Path,
) -> None:
    make_tar(tmp_path / "a", {"1": b"one", "2": b"two"})
    make_zip(tmp_path / "b", {"1": b"one"})
    make_tar(tmp_path / "c", {"1": b"one", "2": b"two"}, "w:gz")
    places = [found.path for found in walk(tmp_path)]
    assert places[:3] == [tmp_path / "a", tmp_path / "a", tmp_path / "b"]
    assert places[3] == places[4] == walk(tmp_path)[3].path != tmp_path / "c"
    assert stat.S_IMODE(places[3].parent.stat().st_mode) == 0o700 and "c" not in names(
        places[3].parent
    )


def test_the_copy_of_a_changed_archive_is_made_anew(tmp_path: Path) -> None:
    make_tar(tmp_path / "a", {"1": b"one"}, "w:gz")
    assert content(tmp_path, "a/1") == b"one"
    make_tar(tmp_path / "a", {"1": b"two"}, "w:gz")
    os.utime(tmp_path / "a", (1, 1))
    assert content(tmp_path, "a/1") == b"two"


def test_copies_go_when_the_process_ends(tmp_path: Path) -> None:
    make_tar(tmp_path / "a", {"1": b"one"}, "w:gz")
    (tmp_path / "temporary").mkdir()
    code = f"from pathlib import Path; from data_prep.exports.walk import walk; print(walk(Path({str(tmp_path / 'a')!r}))[0].path)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout).is_relative_to(tmp_path / "temporary") and not list(
        (tmp_path / "temporary").iterdir()
    )


@pytest.mark.parametrize("inner", [make_zip, make_tar])
@pytest.mark.parametrize("outer", [make_zip, make_tar])
def test_an_archive_inside_an_archive_is_read_and_one_deeper_is_rejected(
    tmp_path: Path, inner: object, outer: object
) -> None:
    deepest = as_bytes(tmp_path, inner, {"x": b"deep"})
    middle = as_bytes(tmp_path, inner, {"d/1": b"one", "in": deepest})
    outer(tmp_path / "a", {"m": middle, "n": b"two"})
    assert names(tmp_path) == ["a/m/d/1", "a/m/in", "a/n"]
    assert content(tmp_path, "a/m/d/1") == b"one"
    assert [examine(found).reason for found in walk(tmp_path)] == [
        "not_an_image",
        "nested_archive",
        "not_an_image",
    ]


def test_a_compressed_tar_inside_a_zip_and_a_compressed_zip_are_read(tmp_path: Path) -> None:
    make_zip(tmp_path / "a", {"m": as_bytes(tmp_path, make_tar, {"1": b"one"}, "w:xz")})
    (tmp_path / "b").write_bytes(gzip.compress(as_bytes(tmp_path, make_zip, {"1": b"two"})))
    assert (content(tmp_path, "a/m/1"), content(tmp_path, "b/1")) == (b"one", b"two")


def test_what_is_compressed_twice_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(bz2.compress(b"x")))
    assert examine(walk(tmp_path)[0]).reason == "nested_archive"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..\\x", "d/" * 100 + "x"])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_member_whose_path_leads_out_or_too_deep_is_not_read(
    tmp_path: Path, name: str, make: object
) -> None:
    make(tmp_path / "a", {name: b"x"})
    assert problem(tmp_path) == "unsafe_member"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_a_link_or_device_in_a_tar_is_not_read(tmp_path: Path, kind: bytes) -> None:
    make_tar(tmp_path / "a", {"x": b""}, x=kind)
    assert problem(tmp_path) == "unsafe_member"


def test_a_link_in_a_zip_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert problem(tmp_path) == "unsafe_member"


def test_a_tar_with_holes_is_not_read(tmp_path: Path) -> None:
    make_tar(tmp_path / "a", {"x": b"\0" * 512}, x=tarfile.GNUTYPE_SPARSE)
    assert problem(tmp_path) == "sparse_member"


def test_two_members_of_one_name_are_both_rejected(tmp_path: Path) -> None:
    make_tar(tmp_path / "a", {"x": b"1", "./x": b"2", "y": b"3"})
    assert [found.problem for found in walk(tmp_path)] == [
        "damaged_archive",
        "damaged_archive",
        None,
    ]


def test_a_tar_that_ends_early_or_is_damaged_anywhere_is_rejected_whole(tmp_path: Path) -> None:
    whole = as_bytes(tmp_path, make_tar, {"1": b"one" * 300, "2": b"two" * 300})
    two = whole.index(b"2\0\0\0")
    for broken in (
        whole[: two + 600],
        whole[:two],
        whole[: two + 1536],
        whole[:two] + b"3" + whole[two + 1 :],
        whole + whole,
    ):
        (tmp_path / "a").write_bytes(broken)
        assert problem(tmp_path) == "damaged_archive"
    (tmp_path / "a").write_bytes(gzip.compress(whole)[:-20])
    assert examine(walk(tmp_path)[0]).reason == "truncated"
    (tmp_path / "a").write_bytes(
        as_bytes(tmp_path, make_tar, {"1": os.urandom(2**20)}, "w:gz")[:-2000]
    )
    assert problem(tmp_path) == "truncated"


@pytest.mark.parametrize("size", [-512, -1024])
def test_a_tar_header_that_leads_back_is_damaged(tmp_path: Path, size: int) -> None:
    first, info = tarfile.TarInfo("w"), tarfile.TarInfo("x")
    info.size = size
    (tmp_path / "a").write_bytes(first.tobuf() + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert problem(tmp_path) == "damaged_archive"


def test_a_tar_header_that_would_fill_the_memory_is_damaged(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("x"))
        archive.addfile(tarfile.TarInfo("y" * (2**20 + 1)))
    assert problem(tmp_path) == "damaged_archive"


def test_a_compressed_tar_may_be_larger_than_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tar(tmp_path / "a", {"x": os.urandom(90_000), "y": b"y" * 90_000}, "w:gz")
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 100_000)
    assert content(tmp_path, "a/y") == b"y" * 90_000


def test_an_archive_of_nothing_is_an_empty_file(tmp_path: Path) -> None:
    make_zip(tmp_path / "a", {})
    assert problem(tmp_path) == "empty_file"


@pytest.mark.parametrize("mode", MODES[1:])
def test_a_tar_that_unpacks_to_more_than_the_ratio_or_the_total_is_a_bomb_and_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    make_tar(tmp_path / "a", {"x": bytes(2**20)}, mode)
    before = os.listdir(archives._copies().name)
    monkeypatch.setattr(archives, "MAX_RATIO", 50)
    assert problem(tmp_path) == "archive_bomb"
    monkeypatch.setattr(archives, "MAX_RATIO", 10**9)
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 2**20)
    assert problem(tmp_path) == "archive_bomb"
    assert os.listdir(archives._copies().name) == before


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_an_archive_of_too_many_files_is_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    make(tmp_path / "a", {"x": b"", "y": b"", "z": b""})
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    assert problem(tmp_path) == "archive_bomb"


def test_archives_that_unpack_to_too_much_together_refuse_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_zip(tmp_path / "a", {"m": as_bytes(tmp_path, make_zip, {"x": bytes(600)})})
    make_tar(tmp_path / "b", {"x": bytes(600)})
    monkeypatch.setattr(walking, "MAX_UNPACKED_BYTES", 1200)
    assert len(walk(tmp_path)) == 2
    monkeypatch.setattr(walking, "MAX_UNPACKED_BYTES", 1199)
    with pytest.raises(Refusal, match="archives that unpack to more than 1199 bytes"):
        walk(tmp_path)


def test_no_room_for_a_copy_is_refused_with_what_to_do(tmp_path: Path) -> None:
    make_tar(tmp_path / "a", {"x": os.urandom(3 * 2**20)}, "w:gz")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, hard))
    try:
        with pytest.raises(
            Refusal, match="temporary files: found the system's answer .*; do set TMPDIR"
        ):
            walk(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_tar_that_shrank_since_it_was_listed_is_told(tmp_path: Path) -> None:
    make_tar(tmp_path / "a", {"x": b"1" * 9000})
    (found,) = walk(tmp_path)
    os.truncate(tmp_path / "a", 5000)
    with pytest.raises(Rejected, match="file_changed"), sources.opened(found) as stream:
        stream.read()


def test_a_member_larger_than_a_file_may_be_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tar(tmp_path / "a", {"x": bytes(11)})
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 10)
    with pytest.raises(Rejected, match="too_large"):
        content(tmp_path, "a/x")
