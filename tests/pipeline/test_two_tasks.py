"""Two tasks of one hospital: one key a patient, and nobody who is asked in one task trains in the other."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from data_prep import split, tasks
from data_prep.convert import convert
from data_prep.episodes.draw import site_pools
from data_prep.episodes.images import Images
from data_prep.episodes.meta_split import MetaSplit, read_meta_split
from data_prep.store.records import read_studies
from eval.adapt.protocol import read_protocol, refuse_overlap
from models.checkpoint import ModelCard, trained_on
from pipeline.sites.add import add_site
from tests.data_prep.made_dicom import grey, write
from workspace.errors import Refusal
from workspace.outputs import private_folder
from workspace.paths import Workspace

PATIENTS = 120
PARAMS = """sites: {{west_view: source, west_finding: {role}}}
convert: {{size: [8, 8], workers: 1}}
tasks: {{shots: [0, 1], draws: 2, min_query: 1}}
train: {{learners: [prototypical]}}
adapt: {{methods: [prototypical]}}
report: {{method: prototypical, shots: 1}}
"""
SITES = {
    "west_view": "task: view\nlabels: {file: views.csv, match: SOPInstanceUID, class: view}\nclasses: {AP: [AP], PA: [PA]}\n",
    "west_finding": "task: finding\nlabels: {file: findings.csv, match: StudyInstanceUID, class: finding}\nclasses: {healthy: [h], ill: [i]}\n",
}


@pytest.fixture
def west(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A hospital whose every fourth patient has a picture in common with the next, in the task view alone."""
    export = tmp_path / "export"
    views, findings = ["SOPInstanceUID,view"], ["StudyInstanceUID,finding"]
    rng = np.random.default_rng(0)
    for patient in range(PATIENTS):
        shared = rng.integers(0, 999, (9, 9)).astype(np.uint16) if patient % 4 != 1 else shared
        for number, pixels in enumerate((shared, rng.integers(0, 999, (9, 9)).astype(np.uint16))):
            uid = f"1.2.{patient}.{number}"
            write(
                grey(
                    pixels,
                    SOPInstanceUID=uid,
                    StudyInstanceUID=f"{uid}.1",
                    SeriesInstanceUID=f"{uid}.2",
                    PatientID=f"ZZPHI{patient}",
                ),
                export / f"{patient}" / f"{number}.dcm",
            )
        views.append(f"1.2.{patient}.0,{'AP' if patient % 2 else 'PA'}")
        findings.append(f"1.2.{patient}.1.1,{'i' if patient % 3 else 'h'}")
    (export / "views.csv").write_text("\n".join(views))
    (export / "findings.csv").write_text("\n".join(findings))
    workspace = Workspace(tmp_path)
    (tmp_path / "sites").mkdir()
    for name, text in SITES.items():
        workspace.site_file(name).write_text(f"root: {export}\npatient_namespace: west\n{text}")
    (tmp_path / "incoming").mkdir()
    for name in SITES:
        workspace.incoming(name).symlink_to(export)
    private_folder(workspace)
    workspace.secret_file.write_text(
        "17" * 32
    )  # a fixed one, so that the same patients are on the same sides in every run
    workspace.secret_file.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return workspace


def prepared(workspace: Workspace, role: str) -> MetaSplit:
    """What training may read, with west_finding in `role`, which as a target it got after it was converted: convert refuses two roles."""
    workspace.params_file.write_text(PARAMS.format(role="source"))
    for name in SITES:
        convert(workspace, name)
    workspace.params_file.write_text(PARAMS.format(role=role))
    for name in SITES:
        tasks.main(name, "source" if name == "west_view" else role)
    split.main()
    return read_meta_split(workspace)


def splits(workspace: Workspace, role: str) -> dict[str, pd.DataFrame]:
    return {
        name: pd.read_parquet(
            workspace.tasks("source" if name == "west_view" else role, name) / "splits.parquet"
        )
        for name in SITES
    }


def test_a_patient_has_one_key_in_both_tasks(west: Workspace) -> None:
    prepared(west, "source")
    one, other = (set(read_studies(west.studies(name)).records["patient"]) for name in SITES)
    assert one == other and len(one) == PATIENTS


def test_nobody_who_is_asked_in_one_task_trains_in_the_other_though_ties_may_part_him(
    west: Workspace,
) -> None:
    meta = prepared(west, "source")
    tables = splits(west, "source")
    sides = pd.concat(tables).groupby("patient")["split"].nunique()
    assert 0 < (sides > 1).sum() < PATIENTS / 4, (
        "only who is tied to another in one of the tasks can stand on another side"
    )
    asked = pd.concat(tables).query("split == 'query'")
    for name, site in meta.sites.items():
        assert not set(site.records["patient"]) & set(asked["patient"]), name
        assert {"train", "validation"} == set(site.records["split"])
    parts = pd.concat([site.records for site in meta.sites.values()])
    assert parts.groupby("patient")["split"].nunique().max() == 1, (
        "nor does anyone train in one and validate in the other"
    )
    assert parts.groupby("patient")["group"].nunique().max() == 1


def test_both_tasks_keep_their_patients_to_draw_episodes_from(west: Workspace) -> None:
    meta = prepared(west, "source")
    sizes = [len(site.records) for site in meta.sites.values()]
    first_row = dict(zip(meta.sites, np.cumsum([0, *sizes]).tolist(), strict=False))
    images = Images(torch.zeros(sum(sizes), 1, 1, 1, dtype=torch.uint8), first_row)
    for pool in site_pools(meta, images, "train"):
        assert min(map(len, pool.patients.values())) >= 10, pool.site


def test_who_trained_in_one_task_is_refused_as_a_targets_patient_in_the_other(
    west: Workspace,
) -> None:
    meta = prepared(west, "target")
    card = ModelCard("prototypical", 0, {}, {}, trained_on(west), meta.secret, 0, 0.0, 0, [])
    with pytest.raises(
        Refusal,
        match=r"site west_finding, runs/prototypical/0: found \d+ patients, 0 pictures and 0 nearly identical ones that it was trained on at west_view",
    ):
        refuse_overlap(read_protocol(west, "west_finding", "target"), [card])


def test_a_second_task_without_the_namespace_is_refused_before_it_is_read(west: Workspace) -> None:
    west.params_file.write_text(PARAMS.format(role="source"))
    file = west.site_file("west_finding")
    file.write_text(file.read_text().replace("patient_namespace: west\n", ""))
    message = (
        r"sites/west_finding.yaml patient_namespace: found 'west_finding', where sites/west_view.yaml reads the same export with 'west'; "
        "need one name in both: with two keys"
    )
    with pytest.raises(Refusal, match=message):
        convert(west, "west_finding")
    with pytest.raises(Refusal, match=message):
        add_site(west, file, "source", check=True)
    file.write_text(
        file.read_text().replace(
            f"root: {west.root / 'export'}", f"root: {west.root / 'export' / '1'}"
        )
    )
    with pytest.raises(
        Refusal, match="reads the same export"
    ):  # a folder within it is the same hospital too
        add_site(west, file, "source", check=True)


def test_a_second_task_that_names_the_patient_by_another_column_is_refused_before_it_is_read(
    west: Workspace,
) -> None:
    west.params_file.write_text(PARAMS.format(role="source"))
    file = west.site_file("west_finding")
    file.write_text(
        file.read_text().replace("class: finding}", "class: finding, patient: subject}")
    )
    message = (
        r"sites/west_finding.yaml labels.patient: found 'subject', where sites/west_view.yaml tells the same export's patients by 'PatientID'; "
        "need one name in both: with two keys"
    )
    with pytest.raises(Refusal, match=message):
        convert(west, "west_finding")
    file.write_text(
        file.read_text().replace("patient: subject", "patient: PatientID")
    )  # what the other takes by default
    convert(west, "west_finding")


def test_a_role_that_was_changed_by_hand_is_refused_before_the_export_is_read(
    west: Workspace,
) -> None:
    west.params_file.write_text(PARAMS.format(role="target"))
    for name, other in (("west_view", "west_finding"), ("west_finding", "west_view")):
        with pytest.raises(
            Refusal,
            match=rf"params.yaml sites.{other}: found '\w+', where {name} reads the same export as a \w+; need one role",
        ):
            convert(west, name)


def test_the_first_sites_name_serves_as_the_namespace_of_the_second(west: Workspace) -> None:
    file = west.site_file("west_view")
    file.write_text(file.read_text().replace("patient_namespace: west\n", ""))
    file = west.site_file("west_finding")
    file.write_text(
        file.read_text().replace("patient_namespace: west\n", "patient_namespace: west_view\n")
    )
    assert set(prepared(west, "source").sites) == set(SITES)


def test_a_second_task_in_another_role_is_refused_when_it_is_added(west: Workspace) -> None:
    west.params_file.write_text(PARAMS.format(role="source").replace(", west_finding: source", ""))
    with pytest.raises(
        Refusal,
        match=r"params.yaml sites.west_view: found 'source', where west_finding reads the same export as a target; need one role",
    ):
        add_site(west, west.site_file("west_finding"), "target", check=True)
    add_site(west, west.site_file("west_finding"), "source", check=True)


def test_a_site_whose_settings_cannot_be_read_stops_no_other(west: Workspace) -> None:
    west.params_file.write_text(PARAMS.format(role="source"))
    west.site_file("west_view").write_text("root: [")
    convert(west, "west_finding")
    assert (
        json.loads((west.studies("west_finding") / "summary.json").read_text())["records"]
        == PATIENTS
    )
