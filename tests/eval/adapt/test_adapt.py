"""The stages from converted studies to predictions, on a workspace written by hand: four sites of
striped images.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from data_prep.split import main as split
from data_prep.store.duplicates import perceptual_hash
from data_prep.store.records import COLUMNS, pixel_hash, write_records
from data_prep.tasks import main as tasks
from eval.adapt.__main__ import main as adapt
from eval.adapt.methods import Candidate
from eval.adapt.predictions import predictions
from eval.adapt.protocol import read_protocol
from eval.current import is_current
from models.method import Method
from models.train import main as train
from workspace.errors import Refusal
from workspace.outputs import digest
from workspace.paths import Workspace

PARAMS = """
sites: {north: source, east: source, west: target, south: target}
convert: {size: [24, 24]}
tasks: {shots: [0, 1, 2, 40], draws: 3}
encoder: {width: 8}
train: {learners: [supervised, prototypical, maml], device: cpu, threads: 1, seeds: [0, 1]}
learners:
  supervised: {steps: 12, validate_every: 6, batch: 24}
  prototypical: {steps: 6, shot: 2, query: 2, validate_every: 3, validation_episodes: 2}
  maml:
    {steps: 2, shot: 2, query: 2, tasks: 2, inner_steps: 1, adapt_steps: 2, validate_every: 2,
     validation_episodes: 2}
adapt:
  methods: [majority, source_only, nearest_centroid, linear_probe, fine_tuning, prototypical, maml]
  fine_tuning: {steps: 3}
  bootstrap: 100
report: {method: maml, shots: 2}
"""
SITE = (
    "root: .\ntask: {task}\nlabels: {{file: l.csv, match: file, class: "
    "c}}\nclasses: {{x: [x], y: [y], z: [z]}}\n"
)
CLASSES = ("x", "y", "z")


def write_site(
    workspace: Workspace, site: str, seed: int, task: str = "stripes", patients: int = 90
) -> None:
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(3), patients // 3).repeat(2)
    waves = np.stack([np.sin((1 + 2 * at) * np.linspace(0, 6.3, 24)) for at in label])[
        :, None, None
    ]
    pixels = (
        (120 + 40 * waves + rng.normal(0, 40, (len(label), 1, 24, 24)))
        .clip(0, 255)
        .astype(np.uint8)
    )
    folder = workspace.studies(site)
    folder.mkdir(parents=True)
    np.save(folder / "pixels.npy", pixels)
    keys = [digest(f"{site}{i // 2}".encode())[:20] for i in range(len(label))]
    table = pd.DataFrame({name: None for name in COLUMNS}, index=range(len(label))).assign(
        record=[f"{site}{i:04}" for i in range(len(label))],
        site=site,
        task=task,
        patient=keys,
        study=keys,
        series=keys,
        label=[CLASSES[at] for at in label],
        slices=1,
        pixel_hash=[pixel_hash(row) for row in pixels],
        perceptual_hash=[perceptual_hash(row) for row in pixels],
    )
    write_records(table, folder / "records.parquet")
    (folder / "summary.json").write_text('{"secret": "one"}')
    workspace.site_file(site).parent.mkdir(exist_ok=True)
    workspace.site_file(site).write_text(SITE.format(task=task))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Workspace:
    root = tmp_path_factory.mktemp("adapt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        workspace = Workspace()
        workspace.params_file.write_text(PARAMS)
        for seed, site in enumerate(("north", "east", "west", "south")):
            write_site(workspace, site, seed, task="elsewhere" if site == "south" else "stripes")
            tasks(site, "source" if seed < 2 else "target")
        split()
        for name in ("supervised", "prototypical", "maml"):
            for seed in (0, 1):
                train(name, seed)
        for site, role in (("west", "target"), ("north", "source"), ("south", "target")):
            adapt(site, role)
        torch.use_deterministic_algorithms(False)
    return Workspace(root)


def table(workspace: Workspace, site: str = "west") -> pd.DataFrame:
    return pd.read_parquet(
        workspace.results("source" if site == "north" else "target", site) / "predictions.parquet"
    )


def test_every_method_answers_for_every_draw_and_the_whole_query_set(trained):
    answers = table(trained)
    splits = pd.read_parquet(trained.tasks("target", "west") / "splits.parquet")
    query = sorted(splits.loc[splits["split"] == "query", "record"])
    for (method, seed, k, draw), rows in answers.groupby(["method", "seed", "k", "draw"]):
        assert rows["record"].tolist() == query, (method, seed, k, draw)
    pairs = answers.groupby("method")[["seed", "k", "draw"]].apply(
        lambda rows: set(map(tuple, rows.drop_duplicates().to_numpy().tolist()))
    )
    both = {(seed, k, draw) for seed in (0, 1) for k in (1, 2) for draw in range(3)}
    for method in ("nearest_centroid", "linear_probe", "fine_tuning", "prototypical", "maml"):
        assert pairs[method] == both
    assert pairs["majority"] == {pair for pair in both if pair[0] == 0}
    assert pairs["source_only"] == {(0, 0, 0), (1, 0, 0)}


def test_probabilities_sum_to_one_and_rows_are_sorted(trained):
    answers = table(trained)
    assert np.allclose(answers[[f"p_{name}" for name in CLASSES]].sum(axis=1), 1, atol=1e-5)
    keys = ["method", "seed", "k", "draw", "record"]
    pd.testing.assert_frame_equal(answers, answers.sort_values(keys, ignore_index=True))


def test_a_k_that_no_pool_can_fill_is_absent(trained):
    assert 40 not in set(table(trained)["k"])


def test_no_supported_patient_is_asked(trained):
    folder = trained.tasks("target", "west")
    splits = pd.read_parquet(folder / "splits.parquet").set_index("record")
    draws = pd.read_parquet(folder / "draws.parquet")
    assert not set(splits.loc[draws["record"], "patient"]) & set(table(trained)["patient"])


def test_a_site_with_a_task_of_its_own_has_no_zero_shot_answer_and_all_else(trained):
    assert set(table(trained, "south")["method"]) == {
        "majority",
        "nearest_centroid",
        "linear_probe",
        "fine_tuning",
        "prototypical",
        "maml",
    }


def test_the_query_set_of_a_source_trained_nothing(trained):
    card = json.loads((trained.run("maml", 0) / "model.json").read_text())
    assert set(card["trained_on"]) == {"north", "east"}
    assert not set(table(trained, "north")["patient"]) & set(
        card["trained_on"]["north"]["patients"]
    )


def test_running_again_gives_the_same_bytes(trained, monkeypatch):
    monkeypatch.chdir(trained.root)
    files = (
        "predictions.parquet",
        "held_out.parquet",
        "cohort.parquet",
        "embeddings.npy",
        "performance.csv",
        "metrics.json",
        "provenance.json",
    )
    before = [(trained.results("target", "west") / name).read_bytes() for name in files]
    adapt("west", "target")
    assert [(trained.results("target", "west") / name).read_bytes() for name in files] == before


@pytest.mark.parametrize(
    ("tie", "listed", "counts"),
    [
        ("patient", "patients", "1 patients, 0 pictures and 0 nearly identical ones"),
        ("pixel_hash", "pixel_hashes", "0 patients, 1 pictures and 0 nearly identical ones"),
        (
            "perceptual_hash",
            "perceptual_hashes",
            "0 patients, 0 pictures and 1 nearly identical ones",
        ),
    ],
)
def test_a_patient_or_picture_of_training_is_refused_at_a_target(
    trained, monkeypatch, tie, listed, counts
):
    monkeypatch.chdir(trained.root)
    file = trained.tasks("target", "west") / "splits.parquet"
    kept = file.read_bytes()
    seen = json.loads((trained.run("maml", 0) / "model.json").read_text())["trained_on"]["north"]
    try:
        splits = pd.read_parquet(file)
        at = splits.index[splits["split"] == "query"][0]
        splits.loc[at, tie] = seen[listed][0]
        splits.to_parquet(file)
        with pytest.raises(
            Refusal,
            match=rf"site west, runs/maml/0: found {counts} that it was trained on at "
            rf"north; need none; do ",
        ):
            adapt("west", "target")
    finally:
        file.write_bytes(kept)


def test_supports_hold_k_images_of_each_class_in_the_order_of_the_classes(trained):
    protocol = read_protocol(trained, "west", "target")
    for draw in range(3):
        labels = protocol.records["label"].iloc[protocol.support(draw, 2)]
        assert labels.tolist() == ["x", "x", "y", "y", "z", "z"]
        assert set(protocol.support(draw, 1)) < set(protocol.support(draw, 2))


def test_no_method_sees_the_labels_of_the_query(trained):
    """A method that could cheat is given the chance: what it is handed holds no query label, and
    one task at a time.
    """
    protocol = read_protocol(trained, "west", "target")
    seen = []

    class Spy(Method):
        def adapt(self, support):
            seen.append((len(support.inputs), tuple(support.labels[0].tolist())))
            return None

        def predict(self, adapted, query):
            return torch.zeros(len(query), query.shape[1], 3)

    predictions(
        protocol, torch.zeros(len(protocol.records), 1, 24, 24), iter([Candidate("spy", 0, Spy())])
    )
    assert set(seen) == {(1, (0, 1, 2)), (1, (0, 0, 1, 1, 2, 2))}


def test_keys_made_under_another_secret_are_refused(trained, monkeypatch):
    monkeypatch.chdir(trained.root)
    file = trained.tasks("target", "west") / "task.json"
    kept = file.read_text()
    try:
        file.write_text(kept.replace('"secret": "one"', '"secret": "two"'))
        with pytest.raises(
            Refusal,
            match="site west, runs/maml/0: found keys made under another secret; need "
            "one secret for all sites",
        ):
            adapt("west", "target")
    finally:
        file.write_text(kept)


def test_results_of_another_split_or_role_are_not_current(trained):
    assert is_current(trained, "west", "target")
    assert not is_current(trained, "west", "source")
    file = trained.tasks("target", "west") / "draws.parquet"
    kept = file.read_bytes()
    try:
        file.write_bytes(kept + b"x")
        assert not is_current(trained, "west", "target")
    finally:
        file.write_bytes(kept)


def test_labelled_cases_beyond_k_are_answered_by_a_model_that_did_not_see_them(trained):
    left_over = pd.read_parquet(trained.results("target", "west") / "held_out.parquet")
    draws = pd.read_parquet(trained.tasks("target", "west") / "draws.parquet").set_index(
        ["draw", "label", "position"]
    )["record"]
    assert (left_over["position"] >= left_over["k"]).all() and set(left_over["position"]) == {0, 1}
    for row in left_over[left_over["method"].isin(["maml", "source_only"])].itertuples():
        assert draws[(row.draw, row.label, row.position)] == row.record
    zero = left_over[(left_over["method"] == "source_only") & (left_over["seed"] == 1)]
    assert len(zero) == 3 * 3 * 2 and set(zero["k"]) == {0}
    # at the largest k none is left
    assert set(left_over.loc[left_over["method"] == "maml", "k"]) == {1}


def test_the_cohort_has_every_record_and_features_of_those_that_were_used(trained):
    table = pd.read_parquet(trained.results("target", "west") / "cohort.parquet")
    features = np.load(trained.results("target", "west") / "embeddings.npy")
    splits = pd.read_parquet(trained.tasks("target", "west") / "splits.parquet")
    used = set(splits.loc[splits["split"] == "query", "record"]) | set(
        pd.read_parquet(trained.results("target", "west") / "held_out.parquet")["record"]
    )
    assert sorted(table["record"]) == sorted(splits["record"]) and used <= set(
        table.loc[table["embedding"].notna(), "record"]
    )
    assert (
        sorted(table["embedding"].dropna()) == list(range(len(features)))
        and np.isfinite(features).all()
    )


def test_where_one_k_is_tried_no_case_is_left_over(trained):
    protocol = replace(read_protocol(trained, "west", "target"), shots=[2])

    class Even(Method):
        def adapt(self, support):
            return None

        def predict(self, adapted, query):
            return torch.zeros(len(query), query.shape[1], 3)

    answers, left_over = predictions(
        protocol,
        torch.zeros(len(protocol.records), 1, 24, 24),
        iter([Candidate("even", 0, Even())]),
    )
    assert (
        len(answers)
        and left_over.empty
        and list(left_over.columns[:7])
        == ["method", "seed", "k", "draw", "position", "record", "label"]
    )
