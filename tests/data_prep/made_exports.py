"""Small exports, made for tests, and questions about them."""

import io
import tarfile
import zipfile
from pathlib import Path

from data_prep.exports.sources import opened
from data_prep.exports.walk import walk


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w", **kinds: bytes) -> Path:
    """`kinds`: a member's name -> its type, such as tarfile.SYMTYPE."""
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.size = kinds.get(name, tarfile.REGTYPE), len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def names(root: Path) -> list[str]:
    return [found.name for found in walk(root)]


def problem(root: Path) -> str | None:
    (found,) = walk(root)
    return found.problem


def content(root: Path, name: str) -> bytes:
    with opened(next(found for found in walk(root) if found.name == name)) as stream:
        return stream.read()
