"""A patient number that a de-identifier gave to all: stated by add, check, convert and where the split is refused, with the cure."""

from pathlib import Path

import numpy as np
import pytest

from data_prep import convert as stage
from data_prep.settings import load_params
from data_prep.store.records import read_studies
from data_prep.targets.one_number import is_doubtful, most_studies
from data_prep.tasks import make_tasks
from pipeline.check import check_site
from tests.data_prep.made_dicom import grey, write
from tests.data_prep.test_convert import summary, workspace
from workspace.errors import Refusal
from workspace.paths import Workspace

SAID = "12 of 12 studies have one patient number"
CURE = "name the column or DICOM element that tells them apart as labels.patient"


def site(root: Path, patient: object, labels: str = "") -> Workspace:
    """Twelve radiographs, each a study. `patient`: number -> Patient ID."""
    made = workspace(root, f"{{file: labels.csv, match: SOPInstanceUID, class: view{labels}}}")
    rng = np.random.default_rng(1)
    rows = ["SOPInstanceUID,view,who"]
    for number in range(12):
        picture = (
            rng.integers(0, 400, (40, 40)) + np.linspace(0, 1500 + 99 * number, 40)[None]
        ).astype(np.uint16)
        write(
            grey(
                picture,
                SOPInstanceUID=f"1.2.{number}",
                StudyInstanceUID=f"1.3.{number}",
                SeriesInstanceUID=f"1.4.{number}",
                Modality="CR",
                PatientID=patient(number),
            ),
            made.incoming("site") / f"{number}",
        )
        rows.append(f"1.2.{number},{('AP', 'PA')[number % 2]},w{number}")
    (made.incoming("site") / "labels.csv").write_text("\n".join(rows))
    return made


def split(made: Workspace) -> None:
    params = load_params(made)
    records = read_studies(made.studies("site")).records
    make_tasks("site", "source", "view", ["AP", "PA"], records, params.tasks, params.seed)


def test_one_number_for_all_is_said_everywhere_with_its_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made = site(tmp_path, lambda number: "ANON")
    stage.convert(made, "site")
    assert summary(made)["most_studies"] == {"of_one_patient": 12, "of_all": 12}
    stated = capsys.readouterr().err
    assert SAID in stated and CURE in stated and "ANON" not in stated
    with pytest.raises(Refusal) as refused:
        split(made)
    assert SAID in str(refused.value) and CURE in str(refused.value)
    with pytest.raises(Refusal) as refused:
        check_site(made, "site")
    assert SAID in capsys.readouterr().out and CURE in str(refused.value)


@pytest.mark.parametrize("labels", [", patient: who", ", patient: StudyInstanceUID"])
def test_the_cure_works(tmp_path: Path, labels: str, capsys: pytest.CaptureFixture) -> None:
    made = site(tmp_path, lambda number: "ANON", labels)
    stage.convert(made, "site")
    assert summary(made)["patients"] == 12 and "one patient number" not in capsys.readouterr().err


def test_patients_of_their_own_are_not_doubted(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made = site(tmp_path, lambda number: f"P{number // 3}")  # three studies each
    stage.convert(made, "site")
    assert (
        summary(made)["most_studies"] == {"of_one_patient": 3, "of_all": 12}
        and "one patient number" not in capsys.readouterr().err
    )
    with pytest.raises(Refusal) as refused:
        split(made)
    assert "do add studies of" in str(refused.value)


@pytest.mark.parametrize(
    ("patients", "doubtful"),
    [
        ("a" * 30, True),
        ("a" * 28 + "bc", True),
        ("a" * 15 + "b" * 15, True),  # a number for each of two scanners
        ("aaaa", False),
        ("aaaabcde", False),
        ("abcdefgh", False),
        ("a" * 6 + "bcdefghijklmn", False),
        ("", False),
    ],
)
def test_a_number_is_doubted_where_it_holds_half_of_all_studies(
    patients: str, doubtful: bool
) -> None:
    rows = [{"patient": patient, "study": number} for number, patient in enumerate(patients)]
    assert is_doubtful(most_studies(rows)) is doubtful


def test_images_of_one_study_are_one() -> None:
    assert most_studies([{"patient": "a", "study": 1}] * 50) == {"of_one_patient": 1, "of_all": 1}
