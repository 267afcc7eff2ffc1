"""MedMNIST-style files: every image a record with its own label, nothing unpickled, nothing promised believed."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from data_prep import convert as stage
from data_prep.privacy.deidentify import Keys
from data_prep.scan import locate
from data_prep.site_file import Labels, load_site
from data_prep.store.groups import group_of
from data_prep.store.records import read_studies
from data_prep.targets import arrays as targets_arrays
from workspace.errors import Refusal
from workspace.paths import Workspace

SHAPES = {"grey": (16, 16), "colour": (16, 16, 3), "volume": (8, 8, 8)}
COUNTS = {"train": 6, "val": 2, "test": 3}
CLASSES = 'classes: {normal: ["0"], other: ["1"]}\nignore: ["2"]\n'


def arrays(kind: str = "grey", **changes: np.ndarray | None) -> dict[str, np.ndarray]:
    """Eleven images, labelled 0 and 1 in turn; a change of None takes an array away."""
    draw = np.random.default_rng(0)
    made = {
        f"{part}_images": draw.integers(0, 255, (count, *SHAPES[kind]), np.uint8)
        for part, count in COUNTS.items()
    }
    made |= {
        f"{part}_labels": (np.arange(count) % 2).astype(np.uint8)[:, None]
        for part, count in COUNTS.items()
    }
    return {name: array for name, array in (made | changes).items() if array is not None}


def site(
    root: Path,
    content: dict[str, np.ndarray],
    kind: str = "grey",
    packed: bool = True,
    workers: int = 1,
) -> Workspace:
    """A workspace whose one site is one .npz with `content`."""
    size, channels = (
        ("[8, 8, 8]", 1) if kind == "volume" else ("[16, 16]", 3 if kind == "colour" else 1)
    )
    (root / "sites").mkdir()
    (root / "incoming").mkdir()
    file = root / "some.npz"
    (np.savez_compressed if packed else np.savez)(file, **content)
    (root / "sites" / "site.yaml").write_text(
        f"root: {file}\ntask: t\nlabels: {{match: npz}}\n{CLASSES}"
    )
    (root / "params.yaml").write_text(
        f"sites: {{site: source}}\nconvert: {{size: {size}, channels: {channels}, workers: {workers}}}\n"
        "train: {learners: [prototypical]}\nadapt: {methods: [prototypical]}\nreport: {method: prototypical}\n"
    )
    (root / "incoming" / "site").symlink_to(file)
    return Workspace(root)


def summary(made: Workspace) -> dict:
    return json.loads((made.studies("site") / "summary.json").read_text())


def refusal(made: Workspace) -> str:
    with pytest.raises(Refusal) as caught:
        stage.convert(made, "site")
    assert not made.studies("site").exists()
    return str(caught.value)


@pytest.mark.parametrize("kind", SHAPES)
def test_grey_arrays_are_not_taken_for_hounsfield_units(tmp_path: Path, kind: str) -> None:
    made = site(tmp_path, arrays(kind), kind)
    made.site_file("site").write_text(made.site_file("site").read_text() + "modality: CT\n")
    if kind == "colour":
        stage.convert(made, "site")
        assert summary(made)["records"] == 11
    else:
        assert "no_rescale 11" in refusal(made)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", SHAPES)
def test_every_image_becomes_a_record_with_its_label(
    tmp_path: Path, kind: str, packed: bool
) -> None:
    content = arrays(kind)
    made = site(tmp_path, content, kind, packed)
    stage.convert(made, "site")
    told, studies = summary(made), read_studies(made.studies("site"))
    assert (
        told["files"],
        told["used"],
        told["rejected"],
        told["not_images"],
        told["patients"],
    ) == (14, 11, 0, 3, 11)
    assert told["classes"]["normal"]["records"] == 6 and told["labels"] == {
        "rows": 11,
        "matched": 11,
        "unmatched_rows": 0,
        "unlabelled_images": 0,
    }
    assert told["photometric"] == {"RGB" if kind == "colour" else "MONOCHROME2": 11} and told[
        "transfer_syntaxes"
    ] == {"NPZ": 11}
    keys = Keys(made.secret_file.read_text().strip(), "site", "site")
    row = studies.records.set_index("record").index.get_loc(keys.record("val_images/1"))
    assert studies.records["label"][row] == "other"
    expected = content["val_images"][1]
    if kind == "colour":
        assert np.array_equal(studies.pixels[row], expected.transpose(2, 0, 1))
    else:
        assert (
            np.corrcoef(studies.pixels[row, 0].ravel(), expected.ravel())[0, 1] > 0.99
        )  # stretched by percentiles


def test_the_same_bytes_come_out_of_several_processes(tmp_path: Path) -> None:
    content = arrays(
        train_images=np.random.default_rng(1).integers(0, 255, (300, 16, 16), np.uint8),
        train_labels=np.arange(300) % 2,
    )
    made = site(tmp_path, content, workers=2)
    stage.convert(made, "site")
    two = (made.studies("site") / "pixels.npy").read_bytes()
    made.params_file.write_text(made.params_file.read_text().replace("workers: 2", "workers: 1"))
    stage.convert(made, "site")
    assert (made.studies("site") / "pixels.npy").read_bytes() == two


def test_an_image_that_is_there_twice_stays_on_one_side_of_a_split(tmp_path: Path) -> None:
    content = arrays()
    content["test_images"][0] = content["train_images"][0]
    made = site(tmp_path, content)
    stage.convert(made, "site")
    records = read_studies(made.studies("site")).records
    assert records["patient"].nunique() == 11 and group_of(records).nunique() == 10


def test_images_that_cannot_be_used_are_rejected_one_by_one_and_can_be_traced(
    tmp_path: Path,
) -> None:
    images = arrays()["train_images"].astype(np.float32)
    images[1], images[2, 3, 3] = 7, np.nan
    made = site(tmp_path, arrays(train_images=images, test_labels=np.array([0, 1, 2])))
    made.site_file("site").write_text(made.site_file("site").read_text() + "max_rejected: 0.5\n")
    stage.convert(made, "site")
    assert summary(made)["rejects"] == {
        "constant_image": 1,
        "label_ignored": 1,
        "not_an_image": 3,
        "not_finite": 1,
    }
    lines = (made.studies("site") / "rejects.csv").read_text().splitlines()
    file = next(line for line in lines if "constant_image" in line).split(",")[0]
    assert locate(made, "site", load_site(made, "site"), file) == ["train_images/1"]


def test_a_volume_needs_a_size_of_three_numbers(tmp_path: Path) -> None:
    assert "is_a_volume 11" in refusal(site(tmp_path, arrays("volume"), "grey"))


def test_a_label_that_no_class_names_is_refused(tmp_path: Path) -> None:
    message = refusal(site(tmp_path, arrays(val_labels=np.array([[0], [9]]))))
    assert (
        "site npz: found 1 labels under neither classes nor ignore (the first is val_images/1's)"
        in message
    )


class Planted:
    """Unpickled, it would leave a file behind."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("unpickled"),)


@pytest.mark.parametrize("name", ["train_images", "train_labels"])
def test_objects_are_refused_and_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(site(tmp_path, arrays(**{name: np.array([Planted()] * 6, object)})))
    assert (
        f"site npz {name}.npy: found an array of objects, or damage" in message
        and not Path("unpickled").exists()
    )


def test_all_wrong_shapes_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(
        site(
            tmp_path,
            arrays(
                train_images=np.zeros((6, 256), np.uint8),
                val_images=np.zeros((2, 16, 16, 3), np.float32),
                val_labels=np.zeros((2, 14), np.uint8),
                test_labels=np.zeros(4, np.uint8),
            ),
        )
    )
    assert (
        "train_images.npy: found uint8 of shape 6x256; need (n, h, w), uint8 (n, h, w, 3) or (n, d, h, w)"
        in message
    )
    assert (
        "val_images.npy: found float32 of shape 2x16x16x3" in message
        and "val_labels.npy: found uint8 of shape 2x14" in message
    )
    assert (
        "test_labels.npy: found uint8 of shape 4; need one whole number for each of 3 images"
        in message
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"train_labels": None}, "no train_labels.npy"),
        ({"test_images": None}, "no test_images.npy"),
        (
            {f"{part}_{what}": None for part in COUNTS for what in ("images", "labels")}
            | {"x": np.zeros(3)},
            "no array of images",
        ),
        ({"train_labels": np.zeros(6, np.float32)}, "train_labels.npy: found float32 of shape 6"),
    ],
)
def test_an_array_that_is_missing_or_of_another_kind_is_refused(
    tmp_path: Path, changes: dict, found: str
) -> None:
    assert found in refusal(site(tmp_path, arrays(**changes)))


def forged(shape: tuple[int, ...], data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue() + data


def replaced(made: Workspace, member: str, content: bytes) -> Workspace:
    file = made.root / "some.npz"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, old in members.items():
            archive.writestr(name, content if name == member else old)
    return made


@pytest.mark.parametrize("shape", [(6, 16, 16), (10**6, 10**5, 10**5), (-1, 16, 16)])
def test_a_header_that_promises_more_than_its_member_holds_is_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    made = replaced(site(tmp_path, arrays()), "train_images.npy", forged(shape, bytes(100)))
    assert "train_images.npy: found an array of objects, or damage" in refusal(made)


def test_an_array_larger_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets_arrays, "MAX_ARRAY_BYTES", 1000)
    assert "need at most" in refusal(site(tmp_path, arrays()))


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[1,\n  2\n 3]",
        b"\0",
        b"{'descr': 1, 'fortran_order': False, 'shape': (1L,)}",
        b"(" * 9000,
    ],
)
def test_a_malformed_header_is_refused_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture, header: bytes
) -> None:
    made = site(tmp_path, arrays())
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        archive.writestr(
            "train_images.npy", b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header
        )
    assert "train_images.npy: found an array of objects, or damage" in refusal(made)
    assert capfd.readouterr() == ("", "")


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(
        0, 255, (100, 16, 16), np.uint8
    )  # more than is read along with the header
    made = site(
        tmp_path, arrays(train_images=images, train_labels=np.arange(100) % 2), packed=False
    )
    content = images.tobytes()
    (tmp_path / "some.npz").write_bytes(
        (tmp_path / "some.npz")
        .read_bytes()
        .replace(content, content[:-1] + bytes([content[-1] ^ 1]))
    )
    assert "damaged_member 100" in refusal(made)


def test_a_folder_or_another_archive_is_refused(tmp_path: Path) -> None:
    made = site(tmp_path, arrays())
    (tmp_path / "some.npz").write_bytes(b"PK\x03\x04" + bytes(50))
    assert "an archive that is damaged, encrypted or forged" in refusal(made)
    (tmp_path / "incoming" / "site").unlink()
    (tmp_path / "incoming" / "site").mkdir()
    assert "site npz: found a folder; need one .npz file; do make root the file itself" in refusal(
        made
    )


@pytest.mark.parametrize(
    ("settings", "need"),
    [
        ({"match": "npz", "file": "labels.csv"}, "match alone"),
        ({"match": "npz", "patient": "who"}, "match alone"),
        ({"match": "file"}, "file and class, unless match is npz"),
        ({"match": "file", "file": "labels.csv"}, "file and class"),
    ],
)
def test_labels_are_in_a_table_or_beside_the_images(settings: dict[str, str], need: str) -> None:
    with pytest.raises(ValidationError, match=need):
        Labels(**settings)
