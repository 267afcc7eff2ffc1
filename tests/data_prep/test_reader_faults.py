"""What nobody foresaw: a damaged file is told from a fault of fewsite, which is counted apart and fails the tests."""

import traceback
from pathlib import Path

import numpy as np
import pytest

from data_prep import rejects
from data_prep.decode import Planned, read
from data_prep.exports.sources import Found
from data_prep.readers.dicom import file as dicom
from data_prep.readers.dicom import frames
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Reject, not_decodable
from tests.data_prep.made_dicom import as_bytes, enhanced

PIXELS = np.arange(3 * 16, dtype=np.uint16).reshape(3, 4, 4)
NAME = "ZZPHI^Doe"


def found(path: Path) -> Found:
    path.write_bytes(as_bytes(enhanced(PIXELS, [0.0, 2.0, 4.0])))
    return Found(path.name, path, path.stat().st_size)


def failing(*_: object) -> None:
    """As if this line were one of the module that calls it."""
    exec(compile(f"raise TypeError('{NAME}')", frames.__file__, "exec"))


def test_a_fault_in_a_header_is_that_files_and_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader_faults: list[str]
) -> None:
    monkeypatch.setattr(frames, "_functional_groups", failing)
    outcome = examine(found(tmp_path / "a"))
    assert isinstance(outcome, Reject) and outcome.image and outcome.counts
    assert (outcome.reason, outcome.found) == ("reader_fault", "TypeError in frames.py, line 1")
    assert len(reader_faults) == 1
    reader_faults.clear()


@pytest.mark.parametrize("place", [(frames, "_functional_groups"), (dicom, "place_of")])
def test_a_fault_outside_of_any_guard_is_counted_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader_faults: list[str],
    place: tuple[object, str],
) -> None:
    monkeypatch.setattr(*place, failing)
    assert examine(found(tmp_path / "a")).reason == "reader_fault"
    reader_faults.clear()


def test_a_fault_in_decoding_is_that_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader_faults: list[str]
) -> None:
    image = examine(found(tmp_path / "a"))
    assert isinstance(image, ImageFile)
    monkeypatch.setattr(dicom, "values_of", failing)
    outcome = read(Planned("", tuple(image.slices), {}, np.eye(4)), windowed=False)
    assert {reject.reason for reject in outcome} == {"reader_fault"}
    reader_faults.clear()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise ValueError", "not_decodable"),
        ("b''[3]", "reader_fault"),
        ("{}['x']", "reader_fault"),
        ("None + 1", "reader_fault"),
        ("int('x')", "not_decodable"),
        ("1 / 0", "reader_fault"),
    ],
)
def test_ours_are_faults_but_for_values(line: str, reason: str, reader_faults: list[str]) -> None:
    try:
        exec(compile(line, frames.__file__, "exec"))
    except Exception as error:
        assert not_decodable(error).reason == reason
    reader_faults.clear()


def test_whatever_a_library_raises_is_of_the_file(reader_faults: list[str]) -> None:
    for line in ("None + 1", "{}['x']"):
        try:
            exec(compile(line, np.__file__, "exec"))
        except Exception as error:
            assert not_decodable(error).reason == "not_decodable"
    assert not reader_faults


def test_the_tests_notice(reader_faults: list[str]) -> None:
    rejects.reader_fault(TypeError(), traceback.FrameSummary("x.py", 1, "x"))
    assert len(reader_faults) == 1
    reader_faults.clear()
