"""What lies on the disk stays there when the power goes, and a folder takes another's place in one
step.

A rename may reach the disk before the content of what is renamed, so content is synced first
(fsync(2)); the rename itself lasts once the folder that holds the name is synced.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path

# renameat2(2) of Linux and renamex_np(2) of macOS, where names that follow the working folder are
# AT_FDCWD, and the flag that swaps two names is 2 in both.
AT_FDCWD, SWAP = -100, 2
# What a file system says that cannot sync a folder (some that come over a network).
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def sync(path: Path) -> None:
    """Return when the file, or the folder's list of names, is on the disk. Raises OSError."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if not (path.is_dir() and error.errno in NO_SYNC):
            raise
    finally:
        os.close(opened)


def sync_all(folder: Path) -> None:
    """Sync all under a folder, and the folder last. What links lead to is left alone."""
    for inside, _, files in os.walk(folder, topdown=False):
        for path in (Path(inside, name) for name in sorted(files)):
            if path.is_file() and not path.is_symlink():
                sync(path)
        sync(Path(inside))


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that are not there, each on the disk."""
    if not folder.is_dir():
        make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def swap(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where this system or file system cannot."""
    library = ctypes.CDLL(None)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin":
        return library.renamex_np(*names, SWAP) == 0
    if not hasattr(library, "renameat2"):  # a C library without it, or another system
        return False
    return library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], SWAP) == 0
