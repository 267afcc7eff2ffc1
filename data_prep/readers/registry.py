"""All readers: what a file is, and who reads it. A reader's file needs no entry anywhere."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from data_prep import readers
from data_prep.exports import kinds
from data_prep.readers.base import Reader
from data_prep.readers.image_file import ImageFile, Pixels


@cache
def all_readers() -> tuple[Reader, ...]:
    """Those that the modules beside this one name in READERS, in the order in which they look."""
    found: list[Reader] = []
    for name in sorted(module.name for module in iter_modules(readers.__path__)):
        module = import_module(f"data_prep.readers.{name}")
        found += getattr(module, "READERS", ())
    return tuple(sorted(found, key=lambda reader: reader.rank))


def recognised(head: bytes) -> tuple[str, Reader | None]:
    """The kind of a file that starts with `head`, and its reader; none of what is no image."""
    container = kinds.sniff(head)
    if container is not kinds.Kind.OTHER:
        return container, None
    for reader in all_readers():
        if kind := reader.sniff(head):
            return kind, reader
    return container, None


@cache
def _by_kind() -> dict[str, Reader]:
    return {kind: reader for reader in all_readers() for kind in reader.kinds}


def read_pixels(images: Sequence[ImageFile]) -> list[Pixels]:
    """The pixels of images that all lie in one file. Raises Rejected."""
    return _by_kind()[images[0].header.kind].pixels(images)


@cache
def image_endings() -> tuple[str, ...]:
    return tuple(ending for reader in all_readers() for ending in reader.endings)
