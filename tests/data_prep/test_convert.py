"""The convert stage: every file accounted for, nothing of a patient in any output, whole outputs or none."""

import hashlib
import json
import os
import shutil
import zipfile
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import RLELossless

from data_prep import convert as stage
from data_prep.decode import Decoded
from data_prep.index import COLUMNS as INDEX
from data_prep.privacy.deidentify import new_secret
from data_prep.rejects import REASONS
from data_prep.running.parallel import in_order
from data_prep.scan import count_classes, locate, scan
from data_prep.settings import load_params
from data_prep.site_file import load_site
from data_prep.store.records import COLUMNS, pixel_hash, read_studies
from tests.data_prep.made_dicom import as_bytes, colour, enhanced, grey, ramp, volume, write
from workspace.errors import Refusal
from workspace.paths import Workspace

CLASSES = "classes: {AP: [AP], PA: [PA]}\nignore: [lateral]\n"
HOSTILE = "<script>alert(1)</script>"


def workspace(
    root: Path,
    labels: str,
    size: str = "[16, 16]",
    extra: str = "max_rejected: 0.5",
    workers: int = 1,
) -> Workspace:
    """A workspace with one site, whose export is root/incoming/site."""
    (root / "sites").mkdir(parents=True)
    (root / "sites" / "site.yaml").write_text(
        f"root: x\ntask: view\nlabels: {labels}\n{CLASSES}{extra}\n"
    )
    (root / "params.yaml").write_text(
        f"sites: {{site: source}}\nconvert: {{size: {size}, workers: {workers}}}\ntrain: {{learners: [prototypical]}}\n"
        "adapt: {methods: [prototypical]}\nreport: {method: prototypical}\n"
    )
    (root / "incoming" / "site").mkdir(parents=True)
    return Workspace(root)


def messy(root: Path, workers: int = 1) -> Workspace:
    """Ten images of five patients, labelled by SOP Instance UID, and one of every planted mess."""
    made = workspace(
        root, "{file: labels.csv, match: SOPInstanceUID, class: view}", workers=workers
    )
    export = made.incoming("site")
    rows = ["SOPInstanceUID,view"]
    for number in range(10):
        sop = f"1.2.3.{number}"
        data = grey(
            np.roll(ramp(), number),
            SOPInstanceUID=sop,
            PatientID=f"ZZPHI-{number // 2}",
            Manufacturer=HOSTILE,
            Modality="CR",
            StudyDescription="ZZPHI text",
            PhotometricInterpretation=f"MONOCHROME{1 + (number > 2)}",
        )
        write(data, export / f"ZZPHI-{number}" / "im")
        rows.append(f"{sop},{'AP' if number < 6 else 'PA' if number < 9 else 'lateral'}")
    (export / "copy").write_bytes((export / "ZZPHI-0" / "im").read_bytes())
    (export / "cut").write_bytes((export / "ZZPHI-1" / "im").read_bytes()[:-50])
    (export / "EMPTY").touch()
    (export / "README.txt").write_text("hello")
    (export / "page.dcm").write_text("<!DOCTYPE html>")
    write(grey(ramp(), SOPInstanceUID="1.2.4", PatientID="ZZPHI-x"), export / "unlabelled")
    write(grey(ramp(), SOPInstanceUID="1.2.5", BurnedInAnnotation="YES"), export / "burned")
    (export / "labels.csv").write_text("\n".join([*rows, "9.9.9,AP"]))
    return made


def summary(made: Workspace) -> dict:
    return json.loads((made.studies("site") / "summary.json").read_text())


def digest(made: Workspace) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made.studies("site").iterdir()
    }


def test_every_file_is_used_or_rejected_for_its_reason_or_no_image(tmp_path: Path) -> None:
    made = messy(tmp_path)
    stage.convert(made, "site")
    told = summary(made)
    assert told["rejects"] == {
        "burned_in_annotation": 1,
        "duplicate_instance": 1,
        "empty_file": 1,
        "label_ignored": 1,
        "no_label": 1,
        "not_an_image": 2,
        "not_what_its_name_says": 1,
        "truncated": 1,
    }
    assert (told["files"], told["used"], told["rejected"], told["not_images"]) == (18, 9, 7, 2)
    assert told["files"] == told["used"] + told["rejected"] + told["not_images"]
    assert told["labels"] == {
        "rows": 11,
        "matched": 10,
        "unmatched_rows": 1,
        "unlabelled_images": 1,
    }
    assert told["classes"] == {
        "AP": {"records": 6, "patients": 3},
        "PA": {"records": 3, "patients": 2},
    }
    assert (told["inverted"], told["patients"], told["records"]) == (3, 5, 9)
    rejects = pd.read_csv(made.studies("site") / "rejects.csv")
    assert (
        len(rejects) == told["rejected"] + told["not_images"]
        and rejects["file"].is_monotonic_increasing
    )


def test_records_and_pixels_keep_their_contract(tmp_path: Path) -> None:
    made = messy(tmp_path)
    stage.convert(made, "site")
    studies = read_studies(made.studies("site"))
    assert (
        list(studies.records.columns) == list(COLUMNS)
        and studies.records["record"].is_monotonic_increasing
    )
    assert studies.pixels.shape == (9, 1, 16, 16) and studies.pixels.dtype == np.uint8
    for row, pixels in zip(studies.records.itertuples(), studies.pixels, strict=True):
        assert row.pixel_hash == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert studies.records["manufacturer"].isna().all()


def test_the_index_holds_a_row_for_every_file_and_agrees_with_the_other_outputs(
    tmp_path: Path,
) -> None:
    made = messy(tmp_path)
    stage.convert(made, "site")
    index, told = pd.read_parquet(made.studies("site") / "index.parquet"), summary(made)
    assert (
        list(index.columns) == list(INDEX)
        and index["file"].is_monotonic_increasing
        and index["file"].is_unique
    )
    assert index["outcome"].value_counts().to_dict() == {
        "used": told["used"],
        "rejected": told["rejected"],
        "no_image": told["not_images"],
    }
    assert len(index) == told["files"]
    rejects = pd.read_csv(made.studies("site") / "rejects.csv")
    lost = index[index["outcome"] != "used"]
    assert (
        lost[["file", "kind", "reason"]].to_numpy().tolist()
        == rejects[["file", "kind", "reason"]].to_numpy().tolist()
    )
    used = index[index["outcome"] == "used"].merge(
        read_studies(made.studies("site")).records, on="record"
    )
    assert (
        len(used) == told["records"] and (used["place"] == 0).all() and (used["records"] == 1).all()
    )
    assert all(
        (used[f"{name}_x"] == used[f"{name}_y"]).all() for name in ("patient", "study", "series")
    )
    unlabelled = index[index["reason"] == "no_label"].iloc[0]
    assert unlabelled["patient"] not in set(used["patient_x"]) and unlabelled["series"] in set(
        used["series_x"]
    )
    assert index.set_index("reason").loc["truncated", "series"] == unlabelled["series"]


def test_nothing_of_a_patient_is_in_any_output_or_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = messy(tmp_path)
    stage.convert(made, "site")
    printed = "".join(capfd.readouterr()).encode()
    tables = [
        pd.read_parquet(made.studies("site") / name).to_csv().encode()
        for name in ("records.parquet", "index.parquet")
    ]
    for content in [
        printed,
        *tables,
        *(path.read_bytes() for path in made.studies("site").iterdir()),
    ]:
        for secret in (b"ZZPHI", b"1.2.3.", b"20190615", b"script", str(tmp_path).encode()):
            assert secret not in content


def test_the_same_bytes_come_out_whatever_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = messy(tmp_path / "one"), messy(tmp_path / "two", workers=2)
    two.private.mkdir()
    stage.convert(one, "site")
    shutil.copy(one.secret_file, two.secret_file)
    monkeypatch.setattr("data_prep.scan.in_order", partial(in_order, chunk=3))
    monkeypatch.setattr(stage, "CHUNK", 3)
    stage.convert(two, "site")
    assert digest(one) == digest(two)


def test_a_folder_an_archive_and_a_list_of_the_same_files_give_the_same_bytes(
    tmp_path: Path,
) -> None:
    plain = messy(tmp_path / "plain")
    stage.convert(plain, "site")
    for form in ("zip", "tar", "gztar", "xztar", "list"):
        made = messy(tmp_path / form, workers=1 + (form == "gztar"))
        made.private.mkdir()
        shutil.copy(plain.secret_file, made.secret_file)
        export = made.incoming("site").rename(tmp_path / form / "export")
        if form == "list":
            made.incoming("site").write_text("\n".join(os.listdir(export)))
            for path in export.iterdir():
                path.rename(made.incoming(path.name))
        else:
            os.symlink(
                shutil.make_archive(str(tmp_path / form / "packed"), form, export),
                made.incoming("site"),
            )
            text = made.site_file("site").read_text()
            made.site_file("site").write_text(
                text.replace("root: x", f"root: {made.incoming('site').resolve()}")
            )
        stage.convert(made, "site")
        assert digest(made) == digest(plain), form


def test_a_file_that_a_dicomdir_names_and_that_is_missing_counts_as_rejected_and_is_never_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = messy(tmp_path)
    shutil.copy(get_testdata_file("DICOMDIR"), made.incoming("site"))
    made.site_file("site").write_text(
        made.site_file("site").read_text().replace("max_rejected: 0.5", "max_rejected: 1")
    )
    stage.convert(made, "site")
    told = summary(made)
    missing = told["rejects"]["missing_file"]
    assert (missing, told["files"], told["used"], told["not_images"]) == (31, 18 + 1 + 31, 9, 3)
    assert told["files"] == told["used"] + told["rejected"] + told["not_images"]
    rejects = pd.read_csv(made.studies("site") / "rejects.csv")
    gone = rejects[rejects["reason"] == "missing_file"]["file"]
    assert locate(made, "site", load_site(made, "site"), gone.iloc[0])[0].startswith(
        ("77654033/", "98892001/", "98892003/")
    )
    assert (
        "77654033"
        not in "".join(capfd.readouterr()) + (made.studies("site") / "rejects.csv").read_text()
    )


def test_a_hash_can_be_traced_by_someone_with_the_secret(tmp_path: Path) -> None:
    made = messy(tmp_path)
    stage.convert(made, "site")
    rejects = pd.read_csv(made.studies("site") / "rejects.csv").set_index("reason")
    assert locate(made, "site", load_site(made, "site"), rejects.loc["truncated", "file"]) == [
        "cut"
    ]


def test_a_cut_copy_never_displaces_the_whole_file(tmp_path: Path) -> None:
    made = workspace(tmp_path, "{file: labels.csv, match: SOPInstanceUID, class: view}")
    export = made.incoming("site")
    whole = as_bytes(grey(ramp(), pydicom_deflated(), SOPInstanceUID="1.2.3.0"))
    (export / "a").write_bytes(whole[:-20])
    (export / "b").write_bytes(whole)
    (export / "labels.csv").write_text("SOPInstanceUID,view\n1.2.3.0,AP\n")
    stage.convert(made, "site")
    assert summary(made)["records"] == 1


def pydicom_deflated() -> str:
    return "1.2.840.10008.1.2.1.99"


def test_too_many_rejected_files_refuse_the_site_and_leave_what_was_there(tmp_path: Path) -> None:
    made = messy(tmp_path)
    stage.convert(made, "site")
    before = digest(made)
    made.site_file("site").write_text(
        made.site_file("site").read_text().replace("max_rejected: 0.5", "max_rejected: 0.05")
    )
    with pytest.raises(
        Refusal, match=r"4 of 16 image files rejected \(burned_in_annotation 1, empty_file 1, "
    ):
        stage.convert(made, "site")
    assert digest(made) == before and [
        path.name for path in made.studies("site").parent.iterdir()
    ] == ["site"]


def test_what_a_killed_run_left_is_never_taken_for_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = messy(tmp_path)
    monkeypatch.setattr(
        stage, "write_rejects", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        stage.convert(made, "site")
    assert not made.studies("site").exists()


def test_a_missing_export_says_what_to_do(tmp_path: Path) -> None:
    made = workspace(tmp_path, "{file: labels.csv, match: file, class: view}")
    made.incoming("site").rmdir()
    with pytest.raises(Refusal, match="incoming/site: found nothing; need .*; do fewsite link"):
        stage.convert(made, "site")


def test_labels_that_match_nothing_refuse_the_site(tmp_path: Path) -> None:
    made = messy(tmp_path)
    (made.incoming("site") / "labels.csv").write_text("SOPInstanceUID,view\nZZPHI,AP\n")
    with pytest.raises(Refusal, match="1 rows and 12 images that never match"):
        stage.convert(made, "site")


def test_pictures_in_a_zip_are_grouped_by_the_tables_patient(tmp_path: Path) -> None:
    made = workspace(
        tmp_path,
        "{file: labels.csv, match: file, class: view, patient: lesion, age: age}",
        extra="",
    )
    made.incoming("site").rmdir()
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for number in range(4):
            path = tmp_path / "x.png"
            Image.fromarray(
                np.random.default_rng(number).integers(0, 255, (20, 20, 3), np.uint8)
            ).save(path)
            archive.write(path, f"in/{number}.png")
        archive.writestr(
            "labels.csv",
            "file;lesion;view;age\n0.png;a;AP;95\n1.png;a;AP;40\n2.png;b;PA;\nin/3.png;;PA;1\n",
        )
    os.symlink(tmp_path / "export.zip", made.incoming("site"))
    text = made.site_file("site").read_text()
    made.site_file("site").write_text(text.replace("root: x", f"root: {tmp_path}"))
    with pytest.raises(
        Refusal,
        match="incoming/site: found a link to another place than root; need .*; do fewsite link",
    ):
        stage.convert(made, "site")
    made.site_file("site").write_text(text.replace("root: x", f"root: {tmp_path / 'export.zip'}"))
    with pytest.raises(Refusal, match="no_patient 1"):
        stage.convert(made, "site")
    made.site_file("site").write_text(made.site_file("site").read_text() + "max_rejected: 0.5\n")
    stage.convert(made, "site")
    records = read_studies(made.studies("site")).records
    assert summary(made)["classes"] == {
        "AP": {"records": 2, "patients": 1},
        "PA": {"records": 1, "patients": 1},
    }
    assert sorted(records["age"].dropna()) == [40, 90]


def test_scanning_with_a_borrowed_secret_writes_nothing_and_samples_pixels(tmp_path: Path) -> None:
    made = messy(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = scan(
        made,
        "site",
        load_site(made, "site"),
        load_params(made),
        root=made.incoming("site"),
        secret=new_secret(),
    )
    classes = count_classes(found.site, (plan.row for plan in found.plans))
    assert classes == {"AP": {"records": 6, "patients": 3}, "PA": {"records": 3, "patients": 2}}
    assert [
        isinstance(outcome, Decoded) for _, outcome in stage.read_pixels(found, found.plans[:4])
    ] == [True] * 4
    assert sorted(tmp_path.rglob("*")) == before


def series_site(root: Path) -> Workspace:
    """Two whole series, one with a gap, one with a cut slice, and a single image."""
    labels = "{file: labels.csv, match: SeriesInstanceUID, class: view}"
    made = workspace(root, labels, size="[8, 8, 8]", extra="max_rejected: 0.9")
    export = made.incoming("site")
    for name, slices in {
        "1.2.10": volume(9, "1.2.10"),
        "1.2.11": volume(7, "1.2.11", seed=1),
        "1.2.12": volume(9, "1.2.12")[:4] + volume(9, "1.2.12")[5:],
        "1.2.13": volume(6, "1.2.13"),
    }.items():
        for number, data in enumerate(slices):
            write(data, export / name / f"{number}")
    cut = export / "1.2.13" / "5"
    cut.write_bytes(cut.read_bytes()[:-30])
    write(
        colour(np.zeros((9, 9, 3), np.uint8), SOPInstanceUID="1.2.14", SeriesInstanceUID="1.2.14"),
        export / "photo",
    )
    (export / "labels.csv").write_text(
        "SeriesInstanceUID,view\n1.2.10,AP\n1.2.11,PA\n1.2.12,AP\n1.2.13,AP\n1.2.14,AP\n"
    )
    return made


def test_series_become_volumes_and_broken_ones_are_rejected_whole(tmp_path: Path) -> None:
    made = series_site(tmp_path)
    stage.convert(made, "site")
    told = summary(made)
    assert told["rejects"] == {
        "missing_slice": 8,
        "not_a_volume": 1,
        "not_an_image": 1,
        "sibling_rejected": 5,
        "truncated": 1,
    }
    assert (told["records"], told["used"], told["files"]) == (2, 16, 32)
    index = pd.read_parquet(made.studies("site") / "index.parquet")
    assert [sorted(places) for _, places in index.groupby("record")["place"]] in (
        [[*range(7)], [*range(9)]],
        [[*range(9)], [*range(7)]],
    )
    studies = read_studies(made.studies("site"))
    assert studies.pixels.shape == (2, 1, 8, 8, 8)
    assert sorted(studies.records["slices"]) == [7, 9] and set(studies.records["spacing"]) == {
        "2x0.7x0.5"
    }
    assert all(
        np.all(np.diff(pixels[0].mean((1, 2))) > 0) for pixels in studies.pixels
    )  # made brighter towards the head


def test_doubtful_records_are_used_and_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made = workspace(
        tmp_path,
        "{file: labels.csv, match: SeriesInstanceUID, class: view}",
        size="[8, 8, 8]",
        extra="",
    )
    for series, largest in (("1.2.10", 9999), ("1.2.11", 500)):
        for place, data in enumerate(volume(6, series)):
            data.SmallestImagePixelValue, data.LargestImagePixelValue = 0, largest
            data.compress(RLELossless, generate_instance_uid=False)
            write(data, made.incoming("site") / f"{series}.{place}")
    (made.incoming("site") / "labels.csv").write_text(
        "SeriesInstanceUID,view\n1.2.10,AP\n1.2.11,PA\n"
    )
    stage.convert(made, "site")
    records = read_studies(made.studies("site")).records
    assert summary(made)["doubtful"] == records["record"][records["label"] == "PA"].tolist()
    assert (
        "site: 1 records have values outside the range that their files state"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(("repeats", "records", "later"), [("first", 3, 6), ("each", 5, 0)])
def test_of_echoes_and_time_points_the_first_is_used_or_each(
    tmp_path: Path, repeats: str, records: int, later: int
) -> None:
    made = workspace(
        tmp_path,
        "{file: labels.csv, match: SeriesInstanceUID, class: view}",
        size="[8, 8, 8]",
        extra="",
    )
    made.params_file.write_text(
        made.params_file.read_text().replace("[8, 8, 8]", f"[8, 8, 8], repeats: {repeats}")
    )
    export = made.incoming("site")
    for time in range(2):
        for place, data in enumerate(volume(6, "1.2.10", seed=time, AcquisitionNumber=time)):
            data.SOPInstanceUID = f"1.2.10.{time}.{place}"
            write(data, export / f"{time}{place}")
    frames = np.random.default_rng(9).integers(0, 99, (12, 12, 10)).astype(np.uint16)
    heights = [2.0 * place for place in range(6)]
    for name, place in {"echoes": heights * 2, "one": [2.0 * place for place in range(12)]}.items():
        data = enhanced(
            frames, place, EffectiveEchoTime=[4.0] * 6 + [8.0 if name == "echoes" else 4.0] * 6
        )
        data.SeriesInstanceUID = data.SOPInstanceUID = f"1.2.{'11' if name == 'echoes' else '12'}"
        write(data, export / name)
    (export / "labels.csv").write_text("SeriesInstanceUID,view\n1.2.10,AP\n1.2.11,PA\n1.2.12,PA\n")
    stage.convert(made, "site")
    told, studies = summary(made), read_studies(made.studies("site"))
    assert (told["records"], told["rejects"].get("later_repeat", 0)) == (records, later)
    assert told["files"] == told["used"] + told["rejected"] + told["not_images"] == 15
    assert told["left_out_frames"] == (
        {"later_repeat": 6} if repeats == "first" else {}
    )  # of the file of two echoes
    index = pd.read_parquet(made.studies("site") / "index.parquet")
    assert sorted(index["records"]) == (
        [0] * 7 + [1] * 8 if repeats == "first" else [0] + [1] * 13 + [2]
    )
    held = index[index["records"] == 1].groupby("record")["place"].apply(sorted)
    assert sum(list(places) == list(range(6)) for places in held) == (
        1 if repeats == "first" else 2
    )  # of the series of two time points
    assert sorted(set(studies.records["slices"])) == [6, 12] and studies.records["record"].is_unique


def test_a_volume_of_frames_in_a_flat_site_is_refused_as_one(tmp_path: Path) -> None:
    made = workspace(tmp_path, "{file: labels.csv, match: SOPInstanceUID, class: view}")
    write(enhanced(np.zeros((3, 12, 10), np.uint16), [0, 1, 2]), made.incoming("site") / "volume")
    write(grey(ramp(), SOPInstanceUID="1.2.5"), made.incoming("site") / "image")
    (made.incoming("site") / "labels.csv").write_text("SOPInstanceUID,view\n1.2.3.1,AP\n1.2.5,PA\n")
    stage.convert(made, "site")
    assert summary(made)["rejects"] == {"is_a_volume": 1, "not_an_image": 1}


def test_a_volume_whose_pixels_fail_is_rejected_with_all_its_slices(tmp_path: Path) -> None:
    made = series_site(tmp_path)
    for data in volume(7, "1.2.11", seed=1)[3:4]:
        data.RescaleSlope, data.RescaleIntercept = 0, 0
        write(data, made.incoming("site") / "1.2.11" / "3")
    stage.convert(made, "site")
    assert (
        summary(made)["rejects"]["bad_rescale"] == 1
        and summary(made)["rejects"]["sibling_rejected"] == 11
    )


def test_a_volume_in_a_flat_study_and_conflicting_labels_are_rejected(tmp_path: Path) -> None:
    made = series_site(tmp_path)
    site_file = made.site_file("site")
    site_file.write_text(
        site_file.read_text().replace("match: SeriesInstanceUID", "match: SOPInstanceUID")
    )
    (made.incoming("site") / "labels.csv").write_text(
        "SOPInstanceUID,view\n1.2.10.1,AP\n1.2.10.2,PA\n1.2.11.3,PA\n"
    )
    stage.convert(made, "site")
    assert summary(made)["rejects"]["conflicting_labels"] == 9 and summary(made)["records"] == 1


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "dcm"])
def test_a_window_in_physical_units_needs_a_file_that_says_what_its_grey_values_mean(
    tmp_path: Path, kind: str
) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for modality, grey_records in {"CT": 0, "MR": 1}.items():
        made = workspace(
            tmp_path / modality,
            "{file: labels.csv, match: file, class: view}",
            extra=f"modality: {modality}\nmax_rejected: 0.5",
        )
        export = made.incoming("site")
        if kind == "dcm":
            write(grey(pixels, Modality=modality), export / "grey.dcm")
            write(
                colour(np.stack([pixels] * 3, axis=-1), Modality=modality, SOPInstanceUID="1.2.9"),
                export / "colour.dcm",
            )
        else:
            Image.fromarray(pixels).save(export / f"grey.{kind}")
            Image.fromarray(np.stack([pixels] * 3, axis=-1)).save(export / f"colour.{kind}")
        (export / "labels.csv").write_text(f"file,view\ngrey.{kind},AP\ncolour.{kind},PA\n")
        stage.convert(made, "site")
        assert (
            summary(made)["records"] == 1 + grey_records
            and summary(made)["rejects"].get("no_rescale", 0) == 1 - grey_records
        )


@pytest.mark.parametrize(("repeats", "records"), [("first", 2), ("each", 6)])
def test_of_a_4d_nifti_the_first_volume_is_used_or_each_and_the_index_counts_its_records(
    tmp_path: Path, repeats: str, records: int
) -> None:
    made = workspace(
        tmp_path, "{file: labels.csv, match: file, class: view}", size="[8, 8, 8]", extra=""
    )
    made.params_file.write_text(
        made.params_file.read_text().replace("[8, 8, 8]", f"[8, 8, 8], repeats: {repeats}")
    )
    values = np.random.default_rng(0).integers(0, 99, (10, 12, 6, 5)).astype(np.int16)
    nibabel.save(
        nibabel.Nifti1Image(values, np.diag([-0.5, -0.7, 2, 1])),
        made.incoming("site") / "series.nii",
    )
    nibabel.save(
        nibabel.Nifti1Image(values[..., 0], np.diag([-0.5, -0.7, 2, 1])),
        made.incoming("site") / "one.nii.gz",
    )
    (made.incoming("site") / "labels.csv").write_text("file,view\nseries.nii,AP\none.nii.gz,PA\n")
    stage.convert(made, "site")
    told, studies = summary(made), read_studies(made.studies("site"))
    assert (told["records"], told["patients"], told["used"], told["rejected"]) == (records, 2, 2, 0)
    assert (
        told["left_out_frames"] == ({"later_repeat": 4} if repeats == "first" else {})
        and told["files"] == 3
    )  # with the table
    assert studies.records["record"].is_unique and set(studies.records["slices"]) == {6}
    assert (
        studies.records["pixel_hash"].nunique() == records - 1
    )  # the first volume is the one that lies beside it
    assert studies.records["pixel_hash"].to_list() == [pixel_hash(row) for row in studies.pixels]
    assert sorted(pd.read_parquet(made.studies("site") / "index.parquet")["records"]) == [
        0,
        1,
        records - 1,
    ]  # 0: the table


def test_settings_that_mean_nothing_are_refused_together(tmp_path: Path) -> None:
    made = workspace(
        tmp_path, "{file: labels.csv, match: PatientNames, class: view}", extra="modality: ct"
    )
    with pytest.raises(Refusal) as caught:
        stage.convert(made, "site")
    assert (
        "labels.match: found PatientNames, no keyword or tag of the DICOM dictionary; need file, folder, npz, or"
        in str(caught.value)
    )
    assert "modality: found ct" in str(caught.value)
    made.params_file.write_text(
        made.params_file.read_text().replace("workers", "intensity: {Mr: {zscore: 3}}, workers")
    )
    with pytest.raises(
        Refusal, match="params.yaml convert.intensity.Mr: found Mr; need one of AR, BI"
    ):
        stage.convert(made, "site")


def test_every_reason_says_what_it_means_and_what_to_do() -> None:
    assert all(reason.means and reason.do for reason in REASONS.values())
