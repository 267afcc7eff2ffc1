"""Keys say nothing without the secret, and only values that look harmless get through."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_prep import deidentify
from data_prep.deidentify import Keys
from workspace.errors import Refusal
from workspace.paths import Workspace

SECRET = "ab" * 32


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = deidentify.read_secret(workspace)
    assert deidentify.read_secret(workspace) == first and len(first) == 64
    assert stat.S_IMODE(workspace.secret_file.stat().st_mode) == 0o600
    assert [path.name for path in workspace.private.iterdir()] == ["secret"]


def test_stages_that_start_at_once_share_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: deidentify.read_secret(Workspace(tmp_path)), range(64)))) == 1


def test_a_damaged_secret_is_refused_without_being_shown(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.private.mkdir()
    workspace.secret_file.write_text("half-a-secret")
    with pytest.raises(Refusal, match="64 hexadecimal digits") as caught:
        deidentify.read_secret(workspace)
    assert "half-a-secret" not in str(caught.value)


def test_a_patient_has_one_key_in_a_namespace_and_others_elsewhere() -> None:
    here, there = Keys(SECRET, "a", "a"), Keys(SECRET, "b", "b")
    shared = [Keys(SECRET, site, "group") for site in "ab"]
    assert here.patient("17") != there.patient("17")
    assert shared[0].patient("17") == shared[1].patient("17")
    assert shared[0].record("17") != shared[1].record("17")
    assert here.patient("17") != Keys("cd" * 32, "a", "a").patient("17")
    assert len({here.patient("x"), here.study("x"), here.series("x"), here.record("x"), here.file("x")}) == 5
    assert len(here.patient("17")) == 20 and "17" not in here.patient("ZZPHI-17")


def test_the_fingerprint_tells_secrets_apart_and_not_sites() -> None:
    assert Keys(SECRET, "a", "a").fingerprint == Keys(SECRET, "b", "b").fingerprint != Keys("cd" * 32, "a", "a").fingerprint


@pytest.mark.parametrize(("value", "identifying", "kept"), [
    ("SIEMENS", ["Doe^Jane"], "SIEMENS"), (" Apex CT 64/2 (b) ", [""], "Apex CT 64/2 (b)"), ("<script>", [], None),
    ("GE\nMEDICAL", [], None), ("x" * 41, [], None), ("Scanner Doe", ["Doe^Jane"], None), ("ScannerDOE1", ["doe^jane"], None),
    ("Unit ZZPHI7", ["ZZPHI7"], None), ("GE", ["GE Clinic"], "GE"), ("", [], None), ("'; DROP TABLE", [], None),
])
def test_a_makers_name_passes_only_if_plain_and_no_ones_name(value: str, identifying: list[str], kept: str | None) -> None:
    assert deidentify.equipment(value, identifying) == kept


@pytest.mark.parametrize(("age", "birth", "study", "years"), [
    ("065Y", "", "", 65.0), ("006M", "", "", 0.5), ("010D", "", "", 0.0), ("026W", "", "", 0.5), ("097Y", "", "", 90.0),
    ("", "19500101", "20190615", 69.0), ("", "19000101", "20190615", 90.0), ("", "2020", "20190615", None),
    ("999Y", "", "", None), ("ZZPHI", "", "", None), ("", "", "20190615", None),
])
def test_an_age_is_in_years_and_capped(age: str, birth: str, study: str, years: float | None) -> None:
    assert deidentify.age_from_dicom(age, birth, study) == years


@pytest.mark.parametrize(("cell", "years"), [
    ("80.0", 80.0), ("80,5", 80.5), ("95", 90.0), ("-1", None), ("nan", None), ("old", None), ("", None),
])
def test_an_age_in_a_table_is_a_number_or_missing(cell: str, years: float | None) -> None:
    assert deidentify.age_from_years(cell) == years


def test_vocabularies_are_closed() -> None:
    assert (deidentify.modality("CT"), deidentify.modality("JANE")) == ("CT", "OT")
    assert (deidentify.sex("female"), deidentify.sex("M"), deidentify.sex("Jane")) == ("F", "M", None)
    assert [deidentify.study_year(date) for date in ("20190615", "00010101", "Jane")] == [2019, None, None]
