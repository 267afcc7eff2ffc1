"""Exports are walked in one order and read within limits."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.exports import archives, sources
from data_prep.exports.sources import opened
from data_prep.exports.walk import walk
from data_prep.readers.registry import recognised
from data_prep.rejects import Rejected
from tests.data_prep.made_exports import content, make_tar, make_zip, names, problem
from workspace.errors import Refusal


def test_folders_and_zips_inside_them_are_walked_in_sorted_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2").write_bytes(b"two")
    make_zip(tmp_path / "a.data", {"z/1": b"one", "y": b"three"})
    assert names(tmp_path) == ["a.data/y", "a.data/z/1", "b/2"]
    assert content(tmp_path, "a.data/z/1") == b"one"


def test_a_root_may_itself_be_a_zip(tmp_path: Path) -> None:
    assert names(make_zip(tmp_path / "export", {"x/1": b"one"})) == ["x/1"]


def test_a_link_loop_ends_and_each_folder_is_entered_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_bytes(b"x")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    os.symlink(tmp_path / "a", tmp_path / "again")
    assert sum(name.endswith("1") for name in names(tmp_path)) == 1


def test_a_link_to_nowhere_is_unreadable(tmp_path: Path) -> None:
    os.symlink(tmp_path / "nowhere", tmp_path / "x")
    assert problem(tmp_path) == "unreadable"


def test_a_folder_that_may_not_be_read_refuses_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    real = os.scandir

    def closed(path: Path) -> object:
        if path.name == "a":
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(Refusal, match="1 folders that may not be read"):
        walk(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..\\x"])
def test_a_member_that_leads_out_of_its_zip_is_not_read(tmp_path: Path, name: str) -> None:
    make_zip(tmp_path / "a.zip", {name: b"x"})
    assert problem(tmp_path) == "unsafe_member"


def test_a_zip_that_unpacks_to_more_than_deflate_can_hold_is_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_zip(tmp_path / "a.zip", {"x": bytes(2**20)})
    monkeypatch.setattr(archives, "MAX_RATIO", 100)
    assert problem(tmp_path) == "archive_bomb"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_all_rejected_since_which_is_meant_cannot_be_told(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in (("x", b"1"), ("x", b"2"), ("y", b"3")):
            archive.writestr(name, content)
    assert [(found.name, found.problem) for found in walk(tmp_path)] == [
        ("a.zip/x", "damaged_archive"),
        ("a.zip/x", "damaged_archive"),
        ("a.zip/y", None),
    ]


def test_a_damaged_zip_is_one_rejected_file(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + bytes(50))
    assert problem(tmp_path) == "damaged_archive"


def test_a_member_that_fails_its_checksum_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x", b"hello world")
    path.write_bytes(path.read_bytes().replace(b"hello", b"jello"))
    with pytest.raises(Rejected, match="damaged_member"):
        content(tmp_path, "a.zip/x")


def test_gzip_is_undone_and_its_damage_noticed(tmp_path: Path) -> None:
    whole = gzip.compress(b"hello" * 1000, mtime=0)
    (tmp_path / "x").write_bytes(whole)
    assert content(tmp_path, "x") == b"hello" * 1000
    (tmp_path / "x").write_bytes(whole[:-12])
    with pytest.raises(Rejected, match="truncated"):
        content(tmp_path, "x")
    (tmp_path / "x").write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])
    with pytest.raises(Rejected, match="damaged_member"):
        content(tmp_path, "x")


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_bzip2_and_xz_are_undone_and_their_damage_noticed(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    whole = compress(b"hello" * 1000)
    (tmp_path / "x").write_bytes(whole)
    assert content(tmp_path, "x") == b"hello" * 1000
    (tmp_path / "x").write_bytes(whole[:-6])
    with pytest.raises(Rejected, match="truncated"):
        content(tmp_path, "x")
    (tmp_path / "x").write_bytes(whole[:30] + bytes([whole[30] ^ 255]) + whole[31:])
    with pytest.raises(Rejected, match="damaged_member"):
        content(tmp_path, "x")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_stops_at_the_limit_whether_read_or_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "x").write_bytes(compress(bytes(10_000)))
    (found,) = walk(tmp_path)
    with opened(found) as stream:
        assert stream.seek(0, io.SEEK_END) == 10_000
        assert (stream.seek(9_990), stream.read()) == (9_990, bytes(10))
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 9_999)
    for use in (lambda stream: stream.read(), lambda stream: stream.seek(0, io.SEEK_END)):
        with pytest.raises(Rejected, match="too_large"), opened(found) as stream:
            use(stream)


@pytest.mark.parametrize("wrap", ["file", "gzip", "tar"])
def test_asking_for_gigabytes_takes_no_more_memory_than_the_file(tmp_path: Path, wrap: str) -> None:
    whole = os.urandom(3 * 2**20)
    if wrap == "tar":
        make_tar(tmp_path / "x", {"y": whole})
    else:
        (tmp_path / "x").write_bytes(gzip.compress(whole) if wrap == "gzip" else whole)
    (found,) = walk(tmp_path)
    with opened(found) as stream:
        tracemalloc.start()
        try:
            assert stream.read(2**32) == whole
            assert tracemalloc.get_traced_memory()[1] < 4 * len(whole)
        finally:
            tracemalloc.stop()


def test_a_zip_member_that_claims_gigabytes_takes_no_more_memory_than_the_file(
    tmp_path: Path,
) -> None:
    member = os.urandom(2**20)
    whole = bytearray(make_zip(tmp_path / "x", {"y": member}).read_bytes())
    struct.pack_into(
        "<I", whole, whole.index(b"PK\1\2") + 20, 2**31 - 1
    )  # PKWARE APPNOTE 4.3.12: its packed size
    (tmp_path / "x").write_bytes(whole)
    tracemalloc.start()
    try:
        assert content(tmp_path, "x/y") == member  # the packed data says itself where it ends
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_file_larger_than_the_limit_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 10)
    with pytest.raises(Rejected, match="too_large"):
        sources.read_all(io.BytesIO(bytes(11)))
    assert sources.read_all(io.BytesIO(bytes(10))) == bytes(10)


def oldest_tar() -> bytes:
    """A header without magic, as tars were before POSIX."""
    head = tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT)[:257].ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % (sum(head) - sum(head[148:156]) + 8 * ord(" ")) + head[156:]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (bytes(128) + b"DICM", "dicom"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"II*\0", "tiff"),
        (b"PK\x03\x04", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (tarfile.TarInfo("x").tobuf(), "tar"),
        (oldest_tar(), "tar"),
        (bytes(512), "other"),
        (bytes(100) + b"\x80\x80" + bytes(410), "other"),
        (b"<!DOCTYPE html>", "other"),
        (b"a,b\n1,2\n", "other"),
        (b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100", "dicom"),
        ((348).to_bytes(4, "little") + bytes(340) + b"n+1\0", "nifti"),
        ((348).to_bytes(4, "big") + bytes(340) + b"ni1\0", "nifti_pair"),
        ((540).to_bytes(4, "little") + b"n+2\0\r\n\x1a\n", "nifti"),
    ],
)
def test_a_kind_is_told_by_content(head: bytes, kind: str) -> None:
    assert recognised(head)[0] == kind
