"""What is finished is never decoded twice, and never taken for the pixels of anything else."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from data_prep import convert as stage
from data_prep import decode
from data_prep.running import finished
from pipeline.sites.remove import remove_site
from tests.data_prep.made_dicom import grey, ramp, volume, write
from tests.data_prep.test_convert import digest, messy, summary, workspace
from workspace.paths import Workspace

RECORDS = 9  # of `messy`
ROW = finished.CHECK + finished.KEY + 1 + 16 * 16  # bytes


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished, "SETTLED", 0.0)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of all records that are decoded from here on."""
    keys: list[str] = []
    whole = decode.decode
    monkeypatch.setattr(
        decode, "decode", lambda plan, settings: keys.append(plan.key) or whole(plan, settings)
    )
    return keys


def stored(made: Workspace) -> Path:
    """The one file of finished records."""
    [path] = made.decoded("site").iterdir()
    return path


def anew(made: Workspace) -> dict[str, str]:
    """The outputs of a conversion that starts from nothing, in a copy."""
    copy = Workspace(made.root.with_name(f"{made.root.name}-copy"))
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(made.root, copy.root, ignore=shutil.ignore_patterns("data", "decoded"))
    stage.convert(copy, "site")
    return digest(copy)


def test_a_rerun_decodes_nothing_and_gives_the_same_bytes(
    tmp_path: Path, decoded: list[str], capsys: pytest.CaptureFixture
) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    first = digest(made)
    assert len(decoded) == RECORDS and stored(made).stat().st_size == RECORDS * ROW
    shutil.rmtree(made.studies("site"))  # as DVC does before a run
    stage.convert(made, "site")
    assert len(decoded) == RECORDS and digest(made) == first
    assert "site: 9 of 9 records were decoded before\n" in capsys.readouterr().err


def test_one_new_study_costs_that_study_and_one_that_is_gone_leaves_nothing(
    tmp_path: Path, decoded: list[str]
) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    write(
        grey(ramp()[::-1], SOPInstanceUID="1.2.3.99", PatientID="ZZPHI-new"),
        made.incoming("site") / "new",
    )
    table = made.incoming("site") / "labels.csv"
    table.write_text(table.read_text() + "\n1.2.3.99,PA\n")
    decoded.clear()
    stage.convert(made, "site")
    assert len(decoded) == 1 and summary(made)["records"] == RECORDS + 1
    assert digest(made) == anew(made)
    (made.incoming("site") / "new").unlink()
    decoded.clear()
    stage.convert(made, "site")
    assert (
        not decoded and stored(made).stat().st_size == RECORDS * ROW and digest(made) == anew(made)
    )


def test_a_file_that_changed_is_decoded_anew_whatever_its_size_and_time_say(
    tmp_path: Path, decoded: list[str]
) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    path = made.incoming("site") / "ZZPHI-4" / "im"
    before, about = path.read_bytes(), path.stat()
    path.write_bytes(before[:-2] + bytes([before[-2] ^ 255, before[-1]]))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)
    decoded.clear()
    old = digest(made)
    stage.convert(made, "site")
    assert (
        len(decoded) == 1
        and digest(made)["pixels.npy"] != old["pixels.npy"]
        and digest(made) == anew(made)
    )


def test_another_file_under_the_same_name_is_not_taken_for_the_first(
    tmp_path: Path, decoded: list[str]
) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    path = made.incoming("site") / "ZZPHI-4" / "im"
    about, other = path.stat(), tmp_path / "other"
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    os.replace(other, path)
    decoded.clear()
    stage.convert(made, "site")
    assert len(decoded) == 1


def test_a_file_that_changed_this_moment_is_decoded_again(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished, "SETTLED", 60.0)
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    stage.convert(made, "site")
    assert len(decoded) == 2 * RECORDS and stored(made).stat().st_size == 0


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda made: edit(made.params_file, "workers: 1", "workers: 1, repeats: each"), 0),
        (lambda made: edit(made.incoming("site") / "labels.csv", "1.2.3.8,PA", "1.2.3.8,AP"), 0),
        (lambda made: edit(made.params_file, "workers: 1", "workers: 1, channels: 3"), RECORDS),
        (
            lambda made: edit(
                made.site_file("site"), "max_rejected", "crop: [{keep: [0, 0, 8, 8]}]\nmax_rejected"
            ),
            RECORDS,
        ),
        (lambda made: edit(made.secret_file, made.secret_file.read_text(), "5e" * 32), RECORDS),
    ],
    ids=["records", "labels", "channels", "crop", "secret"],
)
def test_what_pixels_depend_on_has_them_decoded_anew_and_nothing_else_does(
    tmp_path: Path, decoded: list[str], change: Callable[[Workspace], None], again: int
) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    shutil.rmtree(made.studies("site"))
    decoded.clear()
    change(made)
    stage.convert(made, "site")
    assert len(decoded) == again and digest(made) == anew(made)
    assert len(list(made.decoded("site").iterdir())) == 1  # what other settings left is gone


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_another_version_of_the_code_starts_anew(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    monkeypatch.setattr(finished, "conversion_mark", lambda: "another")
    stage.convert(made, "site")
    assert len(decoded) == 2 * RECORDS and stored(made).stat().st_size == RECORDS * ROW


def test_rows_that_are_cut_or_damaged_are_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    first, content = digest(made), bytearray(stored(made).read_bytes())
    content[2 * ROW + 100] ^= 1
    stored(made).write_bytes(content[:-5])
    decoded.clear()
    stage.convert(made, "site")
    assert (
        len(decoded) == 2 and digest(made) == first and stored(made).stat().st_size == RECORDS * ROW
    )


def test_what_is_kept_holds_nothing_of_a_patient_and_goes_with_its_site(tmp_path: Path) -> None:
    made = messy(tmp_path / "a")
    stage.convert(made, "site")
    kept = stored(made)
    hashes = [
        bytes.fromhex(key)
        for key in pd.read_parquet(made.studies("site") / "records.parquet")["record"]
    ]
    assert not any(value in kept.read_bytes() for value in (b"ZZPHI", b"1.2.3.", *hashes))
    assert made.private.stat().st_mode & 0o077 == 0 and kept.is_relative_to(made.private)
    remove_site(made, "site")
    assert not made.decoded("site").exists()


def test_members_of_an_archive_are_kept_until_the_archive_changes(
    tmp_path: Path, decoded: list[str]
) -> None:
    made = messy(tmp_path / "a")
    export = made.incoming("site").rename(tmp_path / "export")
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "tar", export))
    edit(made.site_file("site"), "root: x", f"root: {archive}")
    made.incoming("site").symlink_to(archive)
    for again in (RECORDS, 0):
        decoded.clear()
        stage.convert(made, "site")
        assert len(decoded) == again
    shutil.make_archive(str(tmp_path / "packed"), "tar", export)
    stage.convert(made, "site")
    assert len(decoded) == RECORDS


def test_a_run_that_is_killed_goes_on_from_the_last_record_that_it_finished(tmp_path: Path) -> None:
    labels = "{file: labels.csv, match: SeriesInstanceUID, class: view}"
    made, series = (
        workspace(tmp_path / "a", labels, size="[8, 8, 8]"),
        [f"1.2.{number}" for number in range(10, 22)],
    )
    for number, name in enumerate(series):
        for place, data in enumerate(volume(6, name, seed=number)):
            write(data, made.incoming("site") / name / str(place))
    (made.incoming("site") / "labels.csv").write_text(
        "\n".join(["SeriesInstanceUID,view", *(f"{name},AP" for name in series)])
    )
    notes, row = tmp_path / "decoded", finished.CHECK + finished.KEY + 1 + 8**3
    start = [sys.executable, "-m", "tests.data_prep.slow_convert", str(made.root)]
    there = {
        "cwd": tmp_path,
        "stderr": subprocess.DEVNULL,
        "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    }
    for killed in (1, 2):
        process = subprocess.Popen(start, **there)
        while len(lines(notes)) < 4 * killed:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert not made.studies("site").exists()
    kept, begun = stored(made).stat().st_size // row, lines(notes)
    assert kept >= 6 and len(begun) <= kept + 2  # each kill loses the record in work and no other
    subprocess.run(start, check=True, **there)
    assert len(lines(notes)) - len(begun) == len(series) - kept
    assert digest(made) == anew(made) and summary(made)["records"] == len(series)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []
