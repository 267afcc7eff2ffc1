"""Two processes on one machine, over gloo: the same training as in one."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import models.train
import models.training.processes
import models.training.recipe
from data_prep.settings import Convert
from models.build import build_learner, settings_class
from models.encoders.encoder import build_encoder
from models.encoders.settings import Encoder
from models.settings import Train
from models.training.processes import bound_together, launch, uneven_shares
from models.training.state import save_state
from tests.models.conftest import CLASSES, write_sources
from tests.models.training.training_child import precisely
from workspace.errors import Refusal
from workspace.paths import Workspace

ROOT = Path(__file__).parents[3]
TASKS = {"one": ["x", "y", "z"], "two": ["p", "q"]}
STEP = {"steps": 6, "validate_every": 1, "validation_episodes": 2, "rate": 5e-3}
EPISODIC = {"shot": 1, "query": 2, "tasks": 4, **STEP}
LEARNERS = {
    "supervised": {"batch": 4, **STEP},
    "prototypical": EPISODIC,
    "mann": {"slots": 8, "cell": 4, "heads": 2, "controller": 8, **EPISODIC},
    "maml": {"inner_steps": 2, "adapt_steps": 2, "chunk": 1, **EPISODIC},
    "siamese": EPISODIC,
    "relation": {**EPISODIC, "tasks": 3},
}

RESNET = Encoder(name="resnet10", width=8)


def write_workspace(folder: Path) -> Path:
    """What training reads."""
    write_sources(Workspace(folder))
    (folder / "params.yaml").write_text(
        json.dumps(
            {
                "sites": dict.fromkeys(CLASSES, "source"),
                "convert": {"size": [16, 16]},
                "adapt": {"methods": ["majority"]},
                "report": {"method": "majority"},
                "encoder": {"name": "resnet10", "width": 8},
                "learners": LEARNERS,
                "train": {
                    "learners": list(LEARNERS),
                    "device": "cpu",
                    "threads": 1,
                    "checkpoint_every": 2,
                },
            }
        )
    )
    return folder


def two_processes(folders: list[Path], *learners: str) -> tuple[list[str], str]:
    """What each process printed, and what torchrun reports of those that failed."""
    logs = folders[0].parent / f"logs of {' '.join(learners)}"
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        "--redirects=3",
        f"--log-dir={logs}",
    ]
    done = subprocess.run(
        [*torchrun, Path(__file__).with_name("training_child.py"), *folders, *learners],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    return [
        next(logs.glob(f"*/attempt_0/{rank}/stderr.log")).read_text() for rank in (0, 1)
    ], done.stdout + done.stderr


def refused(torchrun: str) -> bool:
    """Whether every process exited with 2, or was ended by torchrun on its way there."""
    codes = re.findall(r"exitcode\s*: (-?\d+)", torchrun)
    return "2" in codes and set(codes) <= {"2", "-15"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The runs of one process and of two; of siamese, the two go on from a state that one left after two of its steps."""
    folder = tmp_path_factory.mktemp("processes")
    one, two = (write_workspace(folder / name) for name in ("one", "two"))

    class Cut(Exception):
        pass

    def save_then_cut(*given):
        save_state(*given)
        raise Cut

    with precisely() as patch:
        patch.chdir(one)
        for name in list(LEARNERS)[:-1]:
            models.train.main(name, 0)
        patch.chdir(two)
        patch.setattr(models.training.recipe, "save_state", save_then_cut)
        with pytest.raises(Cut):
            models.train.main("siamese", 0)
    assert (two / ".fewsite" / "resume" / "siamese" / "0" / "state.safetensors").is_file()
    return one, two, *two_processes([two, two], *LEARNERS)


@pytest.mark.parametrize("learner", list(LEARNERS)[:-1])
def test_two_processes_have_the_loss_curve_and_the_weights_of_one(trained, learner):
    one, two = (folder / "runs" / learner / "0" for folder in trained[:2])
    curves = [pd.read_csv(folder / "curve.csv") for folder in (one, two)]
    assert curves[0]["step"].tolist() == [1, 2, 3, 4, 5, 6]
    pd.testing.assert_frame_equal(*curves, rtol=1e-5, atol=1e-6)  # written with six digits
    expected, found = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-6, atol=1e-9)


def test_the_first_process_alone_speaks_and_all_refuse_with_one_message(trained):
    *_, (first, second), torchrun = trained
    lines = first.splitlines()
    assert sum(line.startswith("train siamese seed 0: validation accuracy") for line in lines) == 1
    assert lines[-1] == (
        "train relation: found tasks: 3 for 2 processes; need a multiple of 2; do set its tasks to 4 in params.yaml, "
        "or start fewer processes"
    )
    assert second == "" and "Traceback" not in first
    assert refused(torchrun)


def test_what_one_process_alone_refuses_ends_all_and_the_first_says_it(tmp_path):
    machines = [write_workspace(tmp_path / name) for name in ("here", "there")]
    (machines[1] / "refuse").touch()
    (first, second), torchrun = two_processes(machines, "prototypical")
    assert first == "site b: found other pixels; need those that were split; do split anew\n"
    assert second == "" and refused(torchrun)
    assert not any((machine / "runs").exists() for machine in machines)


def fresh(name: str, encoder: Encoder = RESNET):
    torch.manual_seed(0)
    settings = settings_class(name)()
    return build_learner(
        name, type(settings)(**LEARNERS.get(name, EPISODIC)), encoder, Convert(size=[16, 16]), TASKS
    )


@pytest.mark.parametrize(
    "name",
    [
        "supervised",
        "prototypical",
        "matching",
        "relation",
        "siamese",
        "maml",
        "mann",
        "key_value",
        "meta_memory",
    ],
)
def test_processes_draw_different_episodes_that_together_are_the_step_of_one(name, sources):
    training, model = sources[0], fresh(name).train()
    processes = 3 if name == "relation" else 2
    parts = [
        model.batch(replace(training, share=(number, processes)), 5) for number in range(processes)
    ]
    whole = model.batch(training, 5)
    if name != "supervised":
        assert torch.equal(torch.cat([part.support for part in parts]), whole.support)
        assert not torch.equal(parts[0].support, parts[1].support)
    losses = []
    for batch in (whole, *parts):
        torch.manual_seed(training.step_seed(5, 1))
        losses.append(model.loss(batch))
    torch.testing.assert_close(torch.stack(losses[1:]).mean(), losses[0], rtol=1e-5, atol=1e-6)


def test_a_step_that_cannot_be_divided_evenly_is_refused():
    assert uneven_shares("prototypical", settings_class("prototypical")(), 1) == []
    assert uneven_shares("maml", settings_class("maml")(), 2) == []
    (problem,) = uneven_shares("supervised", settings_class("supervised")(), 6)
    assert str(problem) == (
        "train supervised: found batch: 64 for 6 processes; need a multiple of 6; "
        "do set its batch to 66 in params.yaml, or start fewer processes"
    )


def test_what_ties_the_images_of_a_step_together_is_refused_unless_frozen_or_alone():
    model = fresh("prototypical", Encoder(name="resnet10", width=8, norm="batch"))
    assert bound_together(model, 1) == []
    (problem,) = bound_together(model, 2)
    assert str(problem) == (
        "train: found batch norm in training, and 2 processes; need the same step in any number of processes; "
        "do set encoder.norm to group or instance, or train in one"
    )
    model.encoder.requires_grad_(False)
    assert bound_together(model, 2) == []
    (problem,) = bound_together(build_encoder(Encoder(name="efficientnet-b0"), 1, [32, 32]), 2)
    assert "found dropout in training, and 2 processes" in str(problem)


@pytest.mark.parametrize(
    ("here", "machines", "device", "stated"),
    [
        (
            2,
            1,
            "cuda",
            "torchrun: found 2 processes on a machine with 1 of cuda; need one for each process; do give --nproc_per_node 1, ",
        ),
        (
            1,
            2,
            "mps",
            "torchrun: found 2 processes that are to meet on mps; need cuda or cpu; do set train.device to cpu",
        ),
        (
            2,
            2,
            "cpu",
            "torchrun: found machines with different numbers of processes; need as many on each; do give --nproc_per_node the same",
        ),
    ],
)
def test_processes_without_a_device_each_or_unevenly_spread_are_refused(
    monkeypatch, here, machines, device, stated
):
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "LOCAL_WORLD_SIZE": here,
        "GROUP_WORLD_SIZE": machines,
        "WORLD_SIZE": 3 if device == "cpu" else here * machines,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(
        models.training.processes, "choose_device", lambda setting: torch.device(device)
    )
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(Refusal, match=stated):
        launch(Train(learners=["maml"]))
