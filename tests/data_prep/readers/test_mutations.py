"""Damaged files of every kind: a reject or pixels of the promised shape, in little time and memory, and not a name on the terminal."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from data_prep.readers.dicom.pixels.codestream import JPEG_PIXELS
from tests.data_prep.mutants import Mutant, mutants, sound_files

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="memory is measured by Linux's /proc"
)
ROOT = Path(__file__).parents[3]
# Beyond twice an honest file's bytes: working copies of pixels while they are resized, at most 0.6 MB for the sound files here,
# and the heap's own growth. What the interpreter and its libraries take was measured before and taken off.
ALLOWANCE = 2 * 2**20
AS_NEEDED = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
VISIBLE_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
}  # freed memory goes back at once


class Reader:
    """A child process that reads exports; a new one takes over when it dies."""

    def __init__(self, folder: Path):
        self.folder, self.count = folder, 0
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.data_prep.reading_child"],
            cwd=ROOT,
            text=True,
            env=os.environ | VISIBLE_MEMORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for kind, sound in sound_files().items():  # all that libraries import and keep at first use
            self.read(kind, sound.file, limited=False)

    def read(self, kind: str, content: bytes, limited: bool = True) -> dict:
        self.count += 1  # readers keep archives open, so no path is used twice
        folder, sound = self.folder / str(self.count), sound_files()[kind]
        folder.mkdir()
        (folder / sound.name).write_bytes(content)
        (folder / "labels.csv").write_text(
            "file,view\n" + "".join(f"{name},A\n" for name in sound.names)
        )
        task = {
            "root": str(folder / sound.name if kind == "npz" else folder),
            "by_array": kind == "npz",
            "limited": limited,
        }
        print(json.dumps(task), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        shutil.rmtree(folder)
        if answer:
            return json.loads(answer)
        died = self.process.wait()
        self._start()
        return {"died": died}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = Reader(tmp_path_factory.mktemp("mutants"))
    yield made
    made.process.stdin.close()
    made.process.wait()


def assert_harmless(reader: Reader, mutant: Mutant) -> None:
    answer = reader.read(mutant.kind, mutant.content)
    assert "died" not in answer and "escaped" not in answer, (
        answer
    )  # by a signal: SIGALRM after ten seconds
    sound, size = sound_files()[mutant.kind], len(mutant.content)
    # Nothing but decoding tells how much less than its header promises a JPEG holds: it may be all that its bytes can, as float32.
    honest = max(
        sound.pixels,
        len(sound.file),
        size,
        4 * JPEG_PIXELS * size if mutant.kind.startswith("JPEG") else 0,
    )
    assert answer["grew"] <= 2 * honest + ALLOWANCE, answer
    shown = answer["printed"] + "".join(answer["outcomes"])
    assert (
        "ZZPHI" not in shown
        and "MemoryError" not in shown
        and "Warning" not in shown
        and "reader_fault" not in shown
    ), answer


@pytest.mark.parametrize("kind", sorted(sound_files()))
def test_a_sound_file_is_read_within_the_limits(reader: Reader, kind: str) -> None:
    assert_harmless(reader, Mutant(kind, sound_files()[kind].file))
    outcomes = reader.read(kind, sound_files()[kind].file)["outcomes"]
    assert {outcome.partition(":")[0] for outcome in outcomes} <= {
        "shape",
        "not_an_image",
        "is_a_volume",
        "not_a_volume",
    }
    assert any(outcome.startswith("shape") for outcome in outcomes)


@settings(AS_NEEDED, max_examples=100)
@given(mutant=mutants())
def test_a_damaged_file_harms_nothing(reader: Reader, mutant: Mutant) -> None:
    assert_harmless(reader, mutant)


@pytest.mark.slow
@settings(AS_NEEDED, max_examples=2000)
@given(mutant=mutants())
def test_two_thousand_damaged_files_harm_nothing(reader: Reader, mutant: Mutant) -> None:
    assert_harmless(reader, mutant)
