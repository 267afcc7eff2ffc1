"""Decoded records that outlive a run, so that none is decoded twice: one file a site, outside the
outputs, which DVC deletes before a run.

All rows are of one length: SHA-256 of what follows, keyed hash of all that the pixels depend on,
doubt, pixels. They are appended one by one, so a run that is killed leaves all that it finished; a
row that was cut short, or does not agree with its SHA-256, is none.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data_prep.decode import Decoded, Planned
from data_prep.privacy.deidentify import HEX_DIGITS, Keys
from data_prep.rejects import Reject
from data_prep.running.code_mark import conversion_mark
from data_prep.settings import Convert
from data_prep.store.duplicates import perceptual_hash
from data_prep.store.records import pixel_hash
from workspace.outputs import digest, private_folder, to_json
from workspace.paths import Workspace
from workspace.progress import say

Outcome = tuple[Planned, Decoded | list[Reject]]

CHECK = hashlib.sha256().digest_size
KEY = HEX_DIGITS // 2
NOT_OF_PIXELS = {
    "workers",
    "scheduler",
    "repeats",
}  # settings that say how records are made, or which
# seconds, as coarse as file times get (FAT's): a file that changed since may change again and bear
# the same time
SETTLED = 2.0


@contextmanager
def finished_records(
    workspace: Workspace, name: str, convert: Convert, keys: Keys
) -> Iterator["Finished"]:
    """What earlier runs of a site left under the same settings and code; what others left is
    removed.

    Where the block ends well, only what it took or added is left, so that the file grows no larger
    than the site's pixels.
    """
    private_folder(workspace)
    folder = workspace.decoded(name)
    folder.mkdir(parents=True, exist_ok=True)
    settings = to_json(convert.model_dump(mode="json", exclude=NOT_OF_PIXELS))
    path = folder / digest((conversion_mark() + settings).encode())
    for other in set(folder.iterdir()) - {path}:
        other.unlink()
    with path.open("a+b") as file:
        finished = Finished(path, file, (convert.channels, *convert.size), keys)
        yield finished
        finished.drop_unused()


class Finished:
    """The rows of one site.

    A hit is as good as decoding: the same pixels, and the hashes are made of them anew.
    """

    def __init__(self, path: Path, file: BinaryIO, shape: tuple[int, ...], keys: Keys):
        self._path, self._file, self._shape, self._keys = path, file, shape, keys
        self._length = CHECK + KEY + 1 + math.prod(shape)
        self._places: dict[str, int] = {}  # key -> row
        self._used: set[str] = set()
        file.seek(0)
        for place, row in enumerate(iter(lambda: file.read(self._length), b"")):
            if len(row) == self._length and hashlib.sha256(row[CHECK:]).digest() == row[:CHECK]:
                self._places[row[CHECK : CHECK + KEY].hex()] = place
        self._rows = file.tell() // self._length
        file.truncate(self._rows * self._length)

    def resume(
        self, plans: Sequence[Planned], decode: Callable[[list[Planned]], Iterator[Outcome]]
    ) -> Iterator[Outcome]:
        """Each plan with its pixels or its rejects, in their order.

        `decode` gives those that are not here yet; from now on they are.
        """
        keys = [self._key(plan) for plan in plans]
        here = [key in self._places for key in keys]
        if any(here):
            say(f"{self._keys.site}: {sum(here)} of {len(plans)} records were decoded before")
        decoded = decode([plan for plan, known in zip(plans, here, strict=True) if not known])
        for plan, key, known in zip(plans, keys, here, strict=True):
            outcome = self._read(key) if known and key else next(decoded)[1]
            if key and not known and isinstance(outcome, Decoded):
                self._add(key, outcome)
            yield plan, outcome
        next(decoded, None)  # there is no other: this lets its processes go

    def drop_unused(self) -> None:
        """Leave only what `resume` took or added."""
        if len(self._used) == self._rows:
            return
        aside = self._path.with_suffix(".partial")
        with aside.open("wb") as file:
            for key in sorted(self._used, key=self._places.__getitem__):
                file.write(self._row(key))
        os.replace(aside, self._path)

    def _key(self, plan: Planned) -> str | None:
        """Keyed hash of all that decoding is given, and of each file's size, times and inode, so
        that a changed file has another.

        None where a file is gone, or changed so lately that its next change might not show. This is
        asked before the file is read: a change meanwhile leaves a row that nothing asks for.
        """
        try:
            files = [(path, os.stat(path)) for path in sorted(plan.paths)]
        except OSError:
            return None
        if any(time.time() - max(about.st_mtime, about.st_ctime) < SETTLED for _, about in files):
            return None
        versions = [
            (path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
            for path, about in files
        ]
        affine = None if plan.affine is None else plan.affine.tolist()
        return self._keys.pixels(
            repr((versions, plan.files, plan.row["modality"], affine, plan.spacing, plan.lean))
        )

    def _row(self, key: str) -> bytes:
        self._file.seek(self._places[key] * self._length)
        return self._file.read(self._length)

    def _read(self, key: str) -> Decoded:
        self._used.add(key)
        row = self._row(key)
        array = np.frombuffer(row, np.uint8, offset=CHECK + KEY + 1).reshape(self._shape)
        return Decoded(array, pixel_hash(array), perceptual_hash(array), bool(row[CHECK + KEY]))

    def _add(self, key: str, decoded: Decoded) -> None:
        row = bytes.fromhex(key) + bytes([decoded.doubtful]) + decoded.array.tobytes()
        self._file.write(hashlib.sha256(row).digest() + row)
        self._file.flush()  # to the system, which keeps it when this process is killed
        self._places[key], self._rows = self._rows, self._rows + 1
        self._used.add(key)
