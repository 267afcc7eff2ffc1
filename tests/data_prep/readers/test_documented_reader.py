"""docs/architecture.md holds a complete reader. It is run here as it stands there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import data_prep.readers
from data_prep import convert as stage
from data_prep.exports.sources import Found
from data_prep.privacy.identifiers import collect
from data_prep.readers import registry
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile
from data_prep.readers.registry import read_pixels
from data_prep.rejects import Reject
from data_prep.site_file import load_site
from data_prep.store.records import read_studies
from workspace.paths import Workspace

PAGE = Path(__file__).parents[3] / "docs" / "architecture.md"
IMAGE = np.random.default_rng(0).integers(0, 255, (16, 12), np.uint8)


def forget() -> None:
    for known in (registry.all_readers, registry._by_kind, registry.image_endings):
        known.cache_clear()


@pytest.fixture(autouse=True)
def added(tmp_path: Path) -> Iterator[None]:
    """The documented file among the readers."""
    folder = tmp_path / "readers"
    folder.mkdir()
    shown = re.search(r"`data_prep/readers/raw8.py`.*?```python\n(.*?)```", PAGE.read_text(), re.S)
    (folder / "raw8.py").write_text(shown[1])
    data_prep.readers.__path__.append(str(folder))
    forget()
    yield
    data_prep.readers.__path__.remove(str(folder))
    sys.modules.pop("data_prep.readers.raw8", None)
    forget()


def raw8(path: Path, image: np.ndarray = IMAGE, patient: str = "ZZPHI1") -> Found:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = f"RAW8 {image.shape[0]} {image.shape[1]} {patient}\n"
    path.write_bytes(line.encode() + image.tobytes())
    return Found(path.name, path, path.stat().st_size)


def rejected(found: Found) -> str:
    outcome = examine(found)
    assert isinstance(outcome, Reject)
    return outcome.reason


def test_its_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    image = examine(raw8(tmp_path / "a"))
    assert isinstance(image, ImageFile) and image.header.shape == IMAGE.shape
    (pixels,) = read_pixels([image])
    assert np.array_equal(pixels.values, IMAGE) and pixels.values.dtype == np.float32


def test_what_it_promises_is_held_against_what_is_there(tmp_path: Path) -> None:
    image = examine(raw8(tmp_path / "a"))
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1])
    with pytest.raises(Exception, match="truncated"):
        read_pixels([image])
    (tmp_path / "b").write_bytes(b"RAW8 99999 99999 x\n")
    assert rejected(Found("b", tmp_path / "b", 20)) == "too_large"
    (tmp_path / "c").write_bytes(b"RAW8 x\n")
    assert rejected(Found("c", tmp_path / "c", 7)) == "not_decodable"


def test_a_file_that_is_only_named_like_it_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.raw8").write_bytes(b"something else")
    assert rejected(Found("a.raw8", tmp_path / "a.raw8", 14)) == "not_what_its_name_says"


def test_an_export_of_such_files_is_converted_and_audited(tmp_path: Path) -> None:
    export = tmp_path / "export"
    rows = ["name,view"]
    for number in range(6):
        raw8(export / f"{number}.raw8", IMAGE + number, patient=f"ZZPHI{number}")
        rows.append(f"{number}.raw8,{'AB'[number % 2]}")
    (export / "labels.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "site.yaml").write_text(
        f"root: {export}\ntask: t\n"
        "labels: {file: labels.csv, match: file, column: name, class: view, patient: PatientID}\n"
        "classes: {A: [A], B: [B]}\n"
    )
    (tmp_path / "params.yaml").write_text(
        "sites: {site: source}\nconvert: {size: [16, 16], workers: 1}\n"
        "train: {learners: [prototypical]}\nadapt: {methods: [prototypical]}\n"
        "report: {method: prototypical}\n"
    )
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "site").symlink_to(export)
    workspace = Workspace(tmp_path)
    stage.convert(workspace, "site")
    studies = read_studies(workspace.studies("site"))
    assert len(studies.records) == 6 and studies.records["patient"].nunique() == 6
    assert set(studies.records["transfer_syntax"]) == {"RAW8"}
    values = collect(export, "site", load_site(workspace, "site"), workers=1).values
    assert {f"ZZPHI{number}" for number in range(6)} <= values.keys()
