"""Suggestions for volumes: medians and percentiles of the sources, known beforehand; targets are never opened."""

import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from ruamel.yaml import YAML

from data_prep.readers.image_file import Pixels
from data_prep.settings import Convert
from pipeline.fit import body_voxels, fit
from workspace.errors import Refusal
from workspace.paths import Workspace

OPENED: list[str] = []
WATCHING = False


def _note(event: str, values: tuple[object, ...]) -> None:
    if WATCHING and event in ("open", "os.listdir", "os.scandir"):
        OPENED.append(str(values[0]))


sys.addaudithook(_note)  # sees whatever opens a file or a folder, in any library


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The files and folders that a test opens, as far as it is in this process."""
    global WATCHING
    OPENED.clear()
    WATCHING = True
    yield OPENED
    WATCHING = False


def patient(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """HU, (columns, rows, slices): air, a body from 0 to 100 HU evenly, in it lungs of -850, and apart from it a table of 1000."""
    values = np.full(shape, -1000.0)
    columns, rows, _ = np.indices(shape)
    x, y = columns / shape[0] - 0.5, rows / shape[1] - 0.5
    body = np.hypot(x, y) < 0.4
    values[body] = np.random.default_rng(seed).uniform(0, 100, body.sum())
    values[np.hypot(x - 0.15, y) < 0.1] = -850
    values[:, -1] = 1000
    return values.astype(np.int16)


def study(root: Path) -> Workspace:
    """Two sources of two and three CT volumes, each spaced in its own way, and a target with another spacing and other values."""
    (root / "sites").mkdir(parents=True)
    spacings = {
        "north": [(1.0, 2.0, 5.0)] * 2,
        "east": [(1.5, 1.6, 2.5)] * 2 + [(1.2, 1.4, 4.0)],
        "far": [(9.0, 9.0, 9.0)] * 9,
    }
    shape = (40, 32, 12)  # columns, rows, slices
    for name, sizes in spacings.items():
        export = root / "incoming" / name
        export.mkdir(parents=True)
        rows = ["file,view"]
        for place, spacing in enumerate(sizes):
            nibabel.save(
                nibabel.Nifti1Image(
                    patient(shape, place) + (name == "far") * 500, np.diag([*spacing, 1])
                ),
                export / f"{place}.nii",
            )
            rows.append(f"{place}.nii,{'ab'[place % 2]}")
        (export / "labels.csv").write_text("\n".join(rows))
        (root / "sites" / f"{name}.yaml").write_text(
            "root: x\ntask: t\nmodality: CT\nlabels: {file: labels.csv, match: file, class: view}\n"
            "classes: {a: [a], b: [b]}\n"
        )
    (root / "params.yaml").write_text(
        "sites: {north: source, far: target, east: source}\nconvert: {size: [8, 8, 8], workers: 1}\ntrain: {learners: [prototypical]}\n"
        "adapt: {methods: [prototypical]}\nreport: {method: prototypical}\n"
    )
    return Workspace(root)


def test_the_suggestion_is_the_medians_of_the_sources_and_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(study(tmp_path))
    printed = capsys.readouterr().out
    convert = Convert(**YAML(typ="safe").load(printed)["convert"])
    assert convert.spacing == [4.0, 1.6, 1.2]  # slices, rows, columns
    assert convert.size == [12, 32, 40]  # medians of 48 x 51.2 x 48 mm
    low, high = convert.intensity_of("CT").window
    assert (low, high) == pytest.approx((-850, 99.5), abs=1)
    assert (
        "5 volumes of the source sites east (3), north (2); no target was opened" in printed
        and "body voxels of 5 volumes" in printed
    )


def test_a_volumes_size_is_that_of_what_its_crop_rule_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = study(tmp_path)
    for name in ("north", "east"):
        made.site_file(name).write_text(
            made.site_file(name).read_text() + "crop: [{keep: [4, 10, 16, 20]}]\n"
        )
    fit(made)
    assert YAML(typ="safe").load(capsys.readouterr().out)["convert"]["size"] == [
        12,
        16,
        20,
    ]  # of 12 x 32 x 40


def test_targets_are_never_opened(tmp_path: Path, opened: list[str]) -> None:
    made = study(tmp_path)
    opened.clear()
    fit(made)
    assert any("incoming/east" in name for name in opened) and any(
        "north.yaml" in name for name in opened
    )
    assert not [name for name in opened if "far" in name.removeprefix(str(tmp_path))]


def test_nothing_is_written_and_the_same_is_said_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = study(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    fit(made)
    first = capsys.readouterr().out
    fit(made)
    assert sorted(tmp_path.rglob("*")) == before and capsys.readouterr().out == first


def test_other_modalities_have_nothing_to_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = study(tmp_path)
    for name in ("north", "east"):
        made.site_file(name).write_text(
            made.site_file(name).read_text().replace("modality: CT", "modality: MR")
        )
    fit(made)
    printed = capsys.readouterr().out
    assert (
        "intensity" not in YAML(typ="safe").load(printed)["convert"]
        and "# MR: 5 volumes; percentiles and zscore are each volume's own" in printed
    )


def test_the_body_holds_its_lungs_and_no_table_and_no_padding() -> None:
    values = patient((60, 60, 8), 0).T.astype(np.float32)
    valid = np.ones(values.shape, bool)
    valid[:, :10] = False
    found = body_voxels(Pixels(values, valid))
    assert np.array_equal(
        np.unique(found), np.unique(values[valid & (values > -1000) & (values < 1000)])
    )
    assert len(found) == np.sum(valid & (values > -1000) & (values < 1000))
    assert len(body_voxels(Pixels(np.full((4, 9, 9), -1000, np.float32)))) == 0


def test_images_and_a_workspace_without_sources_are_refused_together(tmp_path: Path) -> None:
    made = study(tmp_path)
    made.params_file.write_text(
        made.params_file.read_text().replace("[8, 8, 8]", "[8, 8]").replace(": source", ": target")
    )
    with pytest.raises(Refusal) as caught:
        fit(made)
    assert "sites: found no source" in str(
        caught.value
    ) and "convert.size: found the size of images" in str(caught.value)
