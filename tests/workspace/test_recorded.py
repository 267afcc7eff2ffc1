"""What DVC will record of a stage is what its outputs were made of, or there are no outputs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from workspace.errors import Refusal, refuse_moved_inputs
from workspace.outputs import whole_folder
from workspace.recorded import begin, listing

STAGES = """stages:
  convert:
    foreach: ${sites}
    do:
      cmd: python -m data_prep.convert ${key}
      params: [convert.size, {'sites/${key}.yaml': null}]
      deps: [marks/convert.json, 'incoming/${key}']
      outs: ['data/${key}']
  train:
    matrix: {learner: [maml], seed: [0]}
    cmd: python -m models.train ${item.learner} ${item.seed}
    params: ['learners.${item.learner}']
    deps: [data]
    outs: ['runs/${item.learner}/${item.seed}']
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workspace.recorded._begun", None)
    for name, content in {
        "dvc.yaml": STAGES,
        "params.yaml": "convert: {size: [8, 8]}\nlearners: {maml: {steps: 1}, mann: {steps: 1}}\n",
        "sites/west.yaml": "root: a  # as mounted\n",
        "sites/east.yaml": "root: b\n",
        "marks/convert.json": "1\n",
        "export/a/1": "x",
        "export/labels.csv": "y",
        "elsewhere/2": "z",
        "data/3": "w",
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    os.symlink("../elsewhere", "export/far")
    Path("incoming").mkdir()
    os.symlink("../export", "incoming/west")
    return tmp_path


def late(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_text("late")


def retime(path: str) -> Callable[[], object]:
    """Other bytes of the same length, with the old modification time put back."""

    def change() -> None:
        about = os.stat(path)
        Path(path).write_text("q")
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))

    return change


def settings(text: str, file: str = "params.yaml") -> Callable[[], object]:
    return lambda: Path(file).write_text(text)


CONVERT, TRAIN = ("data_prep.convert", ["west"]), ("models.train", ["maml", "0"])
FILES, VALUE = (
    "files that came, went or changed while the stage ran",
    "another value than when the stage began",
)


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        (CONVERT, late("export/a/4"), f"incoming/west: found {FILES}"),
        (CONVERT, late("export/new"), f"incoming/west: found {FILES}"),
        (CONVERT, late("elsewhere/4"), f"incoming/west: found {FILES}"),
        (CONVERT, late("export/labels.csv"), f"incoming/west: found {FILES}"),
        (CONVERT, retime("export/a/1"), f"incoming/west: found {FILES}"),
        (CONVERT, retime("elsewhere/2"), f"incoming/west: found {FILES}"),
        (CONVERT, lambda: os.remove("export/a/1"), f"incoming/west: found {FILES}"),
        (CONVERT, lambda: os.rename("export/a/1", "export/a/5"), f"incoming/west: found {FILES}"),
        (CONVERT, lambda: os.symlink("../data", "export/another"), f"incoming/west: found {FILES}"),
        (CONVERT, lambda: os.remove("incoming/west"), f"incoming/west: found {FILES}"),
        (CONVERT, late("marks/convert.json"), "marks/convert.json: found"),
        (CONVERT, settings("root: c\n", "sites/west.yaml"), f"sites/west.yaml: found {VALUE}"),
        (CONVERT, lambda: os.remove("sites/west.yaml"), f"sites/west.yaml: found {VALUE}"),
        (
            CONVERT,
            settings("convert: {size: [9, 8]}\n"),
            f"params.yaml convert.size: found {VALUE}",
        ),
        (CONVERT, settings("convert: ["), f"params.yaml convert.size: found {VALUE}"),
        (
            TRAIN,
            settings("learners: {maml: {steps: 2}}\n"),
            f"params.yaml learners.maml: found {VALUE}",
        ),
        (TRAIN, late("data/4"), f"data: found {FILES}"),
    ],
)
def test_what_moves_while_a_stage_runs_is_refused_and_the_earlier_outputs_stay(
    here: Path, stage, change, message
):
    Path("out").mkdir()
    Path("out/earlier").touch()
    begin(*stage)
    with pytest.raises(Refusal, match=message), whole_folder(Path("out")):
        change()
    assert [path.name for path in here.glob("out*/*")] == ["earlier"] and not Path(
        ".out.partial"
    ).exists()


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        (CONVERT, lambda: None),
        (CONVERT, late("data/4")),
        (CONVERT, settings("root: z\n", "sites/east.yaml")),
        (CONVERT, settings("root: a  # seen from here\n", "sites/west.yaml")),
        (CONVERT, settings("convert: {size: [8, 8]}\nlearners: {}\nreport: {}\n")),
        (CONVERT, lambda: Path("export/a/1").read_text()),
        (CONVERT, lambda: (Path("export/.git").mkdir(), Path("export/.git/index").touch())),
        (TRAIN, settings("learners: {maml: {steps: 1}, mann: {steps: 2}}\n")),
        (TRAIN, late("export/late")),
        (("data_prep.unknown", []), late("export/late")),
    ],
)
def test_what_is_not_of_the_stage_may_change(here: Path, stage, change):
    begin(*stage)
    with whole_folder(Path("out")):
        change()
    assert Path("out").is_dir()


def test_where_nothing_records_nothing_is_refused(here: Path):
    os.remove("dvc.yaml")
    begin(*CONVERT)
    late("export/late")()
    refuse_moved_inputs()


def test_a_listing_ends_though_links_lead_in_circles_and_notices_what_cannot_be_read(
    tmp_path: Path,
):
    os.symlink(".", tmp_path / "again")
    before = listing(tmp_path)
    os.symlink("nowhere", tmp_path / "gone")
    assert before != listing(tmp_path)
    (tmp_path / "nowhere").touch()
    with_target = listing(tmp_path)
    shutil.rmtree(tmp_path)
    assert listing(tmp_path) not in (before, with_target)
