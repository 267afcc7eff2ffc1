"""Any learner on Omniglot within a budget of minutes or steps, or by its paper's training; prints
one JSON object as its last line.

    python benchmarks/omniglot.py DATA LEARNER --way 5 --shot 1 --minutes 10

DATA: a folder with omniglot28.npz (images (character, drawing, 28, 28) uint8, classes:
alphabet/character) and the Vinyals split in train.txt, val.txt and test.txt
(alphabet/character/rotNNN). Every rotation of a character is a class of its own and every drawing a
patient of its own. Nothing is chosen on the test characters: the weights are those that validated
best.
"""

import argparse
import copy
import json
import math
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from data_prep.episodes.draw import Patients, SitePool, draw_episodes
from data_prep.episodes.images import Images
from data_prep.settings import Convert
from eval.settings import Adapt, Params, Report
from models.augmentation.settings import Augment
from models.build import build_learner, settings_class
from models.device import choose_device, repeatable
from models.encoders.encoder import network_of
from models.encoders.settings import Encoder
from models.encoders.stages import freeze
from models.learners.mann import Mann, shuffled
from models.settings import Episodic, Train
from models.training.frozen import features_once
from models.training.loop import gradient_taker, train
from models.training.processes import launch
from models.training.source import TRAINING, VALIDATION, Source, Variation
from models.training.state import TrainingState

SIDE, DRAWINGS = 28, 20
CONVERT = Convert(size=[SIDE, SIDE])
EPISODES = 600  # of the test
TEST = 2  # another stream of episodes than those of training and validation
TEST_SEED = 0  # so that every learner and every training seed is asked the same
AS_THEY_ARE = Variation(
    Augment(rotate=0, scale=0, shift=0, brightness=0, contrast=0, gamma=0, noise=0, blur=0), {}
)
# accuracy in %, by (way, shot); each from its learner's paper
PUBLISHED = {
    "prototypical": {
        (5, 1): 98.8,
        (5, 5): 99.7,
        (20, 1): 96.0,
        (20, 5): 98.9,
    },  # Snell et al. 2017, table 1
    "matching": {
        (5, 1): 98.1,
        (5, 5): 98.9,
        (20, 1): 93.8,
        (20, 5): 98.5,
    },  # Vinyals et al. 2016, table 1
    "relation": {
        (5, 1): 99.6,
        (5, 5): 99.8,
        (20, 1): 97.6,
        (20, 5): 99.1,
    },  # Sung et al. 2018, table 1
    "siamese": {
        (5, 1): 96.7,
        (5, 5): 98.4,
        (20, 1): 88.0,
        (20, 5): 96.5,
    },  # Koch et al. 2015, as Vinyals et al. 2016 measured it, table 1
    "maml": {(5, 1): 98.7, (5, 5): 99.9, (20, 1): 95.8, (20, 5): 98.9},  # Finn et al. 2017, table 1
    "mann": {
        (5, 1): 82.8,
        (5, 5): 94.9,
        # Santoro et al. 2016, table 1: the second and the fifth presentation; 5-shot here is an
        # ordered support
    },
    "meta_memory": {
        (5, 1): 98.95,
        (20, 1): 97.0,
    },  # the nearest: Meta Networks, Munkhdalai and Yu 2017, another model
    "key_value": {},  # Miller et al. 2016 measured no images
}
# What a learner trains with in a short run.
TRAINED: dict[str, dict[str, Any]] = {
    "prototypical": {"way": 20, "query": 5, "rate": 2e-3},
    "matching": {"way": 20, "query": 5, "rate": 2e-3},
    "key_value": {"way": 20, "query": 5, "rate": 2e-3},
    "meta_memory": {"way": 20, "query": 5, "rate": 2e-3},
    "relation": {"way": 5, "query": 5, "tasks": 4},
    "siamese": {"way": 30, "query": 4, "rate": 3e-3},
    "maml": {
        "way": 5,
        "query": 10,
        "tasks": 4,
        "rate": 5e-3,
        "inner_rate": 0.4,
        "inner_steps": 2,
        "adapt_steps": 3,
        "learned_rates": True,
    },
    "mann": {"way": 5, "query": 3, "tasks": 16, "rate": 3e-3, "slots": 40, "heads": 2},
}
SHORT_ENCODER: dict[str, dict[str, Any]] = {"maml": {"norm": "group", "width": 32}}
PAPER_ENCODER: dict[str, dict[str, Any]] = {"maml": {"name": "conv4-strided", "norm": "group"}}
# The papers' own training by (learner, way), but for the rate, which falls along a cosine here.
PAPER: dict[tuple[str, int], dict[str, Any]] = {
    ("prototypical", 5): {"way": 60, "query": 5, "steps": 20000},
    ("prototypical", 20): {"way": 60, "query": 5, "steps": 20000},
    # one inner step of the paper moves the body too; here the first moves the head alone, so there
    # is one more
    ("maml", 5): {
        "way": 5,
        "query": 1,
        "tasks": 32,
        "inner_rate": 0.4,
        "inner_steps": 2,
        "adapt_steps": 3,
        "steps": 60000,
    },
    ("maml", 20): {
        "way": 20,
        "query": 1,
        "tasks": 16,
        "inner_rate": 0.1,
        "inner_steps": 5,
        "adapt_steps": 5,
        "steps": 60000,
    },
}
VALIDATIONS = 4  # in a run of so many minutes


def read_sources(folder: Path, seed: int, device: torch.device) -> list[Source]:
    """Training, validation and test: one array (class * drawing, 1, side, side), ink bright, and a
    pool each of its rows.
    """
    with np.load(folder / "omniglot28.npz", allow_pickle=False) as file:
        drawn, at = (
            file["images"],
            {str(label): index for index, label in enumerate(file["classes"])},
        )
    splits = [(folder / f"{name}.txt").read_text().split() for name in ("train", "val", "test")]
    turned = [
        np.rot90(drawn[at[line.rpartition("/")[0]]], int(line[-3:]) // 90, axes=(1, 2))
        for lines in splits
        for line in lines
    ]
    images = Images(
        torch.from_numpy(np.stack(turned).reshape(-1, 1, SIDE, SIDE)).to(device), {"omniglot": 0}
    )
    rows, sources = np.arange(len(images)).reshape(-1, DRAWINGS, 1), []
    for lines, stream in zip(
        splits, ((seed, TRAINING), (seed, VALIDATION), (TEST_SEED, TEST)), strict=True
    ):
        own, rows = rows[: len(lines)], rows[len(lines) :]
        sources.append(
            Source(
                [
                    SitePool(
                        "omniglot",
                        "omniglot",
                        {
                            line: Patients.of(drawings)
                            for line, drawings in zip(lines, own, strict=True)
                        },
                    )
                ],
                images,
                stream,
                AS_THEY_ARE,
            )
        )
    return sources


def steps_within(
    seconds: float, model: Any, training: Source, validation: Source, params: Params
) -> int:
    """How many training steps fit, with VALIDATIONS validations beside them; all are timed first,
    on a copy that is then dropped.
    """
    model = copy.deepcopy(model)
    gradient = gradient_taker(model, launch(params.train))
    optimiser, times = torch.optim.AdamW(model.parameters()), []
    for step in range(10):
        start = time.perf_counter()
        optimiser.zero_grad()
        model.train()
        gradient(model.batch(training, step))
        optimiser.step()
        if training.images.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    model.eval().validate(validation)
    return max(
        1,
        math.floor(
            (seconds - VALIDATIONS * (time.perf_counter() - start)) / statistics.median(times[3:])
        ),
    )


def fit(
    learner: str,
    settings: Episodic,
    encoder: Encoder,
    training: Source,
    validation: Source,
    given: argparse.Namespace,
    minutes: float | None,
    start: nn.Module | None = None,
) -> tuple[Any, TrainingState]:
    """The model with its best validated weights, after so many minutes or `settings.steps`.
    `start`: an encoder, kept as it is but for --train-start.
    """
    began = time.perf_counter()
    repeatable(given.seed, given.threads)
    model = build_learner(learner, settings, encoder, CONVERT, {}).to(training.images.device)
    kept = start is not None and not given.train_start
    if start is not None:
        model.encoder.load_state_dict(start.state_dict())
    if kept:
        freeze(network_of(model.encoder), "all")
    with features_once(model, kept, training, validation) as sources:
        params = Params(
            sites={"omniglot": "source"},
            convert=CONVERT,
            encoder=encoder,
            adapt=Adapt(methods=[learner]),
            train=Train(learners=[learner], device=training.images.device.type),
            report=Report(method=learner),
        )
        steps = (
            steps_within(60 * minutes - (time.perf_counter() - began), model, *sources, params)
            if minutes
            else settings.steps
        )
        model.settings = settings.model_copy(
            update={"steps": steps, "validate_every": max(1, math.ceil(steps / VALIDATIONS))}
        )
        repeatable(given.seed, given.threads)
        state = train(model, *sources, params)
        model.load_state_dict(state.best)
    return model.eval(), state


def test_accuracy(model: Any, test: Source, way: int, shot: int) -> np.ndarray:
    """Accuracy of each test episode, 15 queries a class."""
    chosen = Episodic(way=way, min_way=way, shot=shot, query=15)
    right = []
    for index in range(EPISODES):
        episodes = draw_episodes(test.pools, test.seed, index, chosen, tasks=1).gather(test.images)
        with torch.no_grad():
            right.append(
                float((model.logits(episodes).argmax(-1) == episodes.query_labels).float().mean())
            )
    return np.array(right)


def by_presentation(model: Mann, test: Source, way: int, times: int = 10) -> list[float]:
    """Accuracy at the 1st, 2nd, ... presentation of a class, in sequences of `times` images of
    each.
    """
    chosen = Episodic(way=way, min_way=way, shot=1, query=times - 1)
    right: list[list[bool]] = [[] for _ in range(times)]
    torch.manual_seed(0)
    for index in range(EPISODES // 10):
        episodes = draw_episodes(test.pools, test.seed, index, chosen, tasks=10).gather(test.images)
        with torch.no_grad():
            inputs, labels = shuffled(
                torch.cat(model.embed_both(episodes), 1),
                torch.cat([episodes.support_labels, episodes.query_labels], 1),
                model.settings.way,
            )
            predicted = model.sequence(inputs, labels).argmax(-1)
        for answers, truth in zip(predicted.tolist(), labels.tolist(), strict=True):
            seen: dict[int, int] = {}
            for answer, label in zip(answers, truth, strict=True):
                right[seen.get(label, 0)].append(answer == label)
                seen[label] = seen.get(label, 0) + 1
    return [float(np.mean(part)) for part in right]


def arguments() -> argparse.Namespace:
    """What the command line gives; leaves with a message where it cannot be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("learner", choices=sorted(PUBLISHED))
    parser.add_argument("--way", type=int, default=5)
    parser.add_argument("--shot", type=int, default=1)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="of training")
    budget.add_argument("--steps", type=int, help="of training")
    budget.add_argument("--paper", action="store_true", help="the paper's own training, for a GPU")
    start = "spend so many of --minutes on this learner and keep its encoder as it is for the other"
    parser.add_argument("--start", nargs=2, metavar=("LEARNER", "MINUTES"), help=start)
    parser.add_argument(
        "--train-start", action="store_true", help="train that encoder on with the other"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    other = "another setting of the learner or, as encoder.NAME, of its encoder"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=other)
    given = parser.parse_args()
    if given.paper and (given.learner, given.way) not in PAPER:
        known = ", ".join(f"{name} {way}" for name, way in PAPER)
        parser.error(
            f"--paper: found {given.learner} at {given.way}-way; need one of {known}; "
            "do give --minutes or --steps"
        )
    if given.start and not given.minutes:
        parser.error(
            "--start: found no --minutes; need the whole budget, of which the start is a part; "
            "do give --minutes"
        )
    return given


def chosen(given: argparse.Namespace) -> tuple[Episodic, Encoder]:
    """The settings of the learner and of its encoder."""
    own: dict[str, Any] = {}
    network: dict[str, Any] = {"name": "conv4", "norm": "batch", "width": 64, "standardise": False}
    network |= (PAPER_ENCODER if given.paper else SHORT_ENCODER).get(given.learner, {})
    for item in given.set:
        name, value = item.split("=", 1)
        place = network if name.startswith("encoder.") else own
        place[name.removeprefix("encoder.")] = json.loads(value)
    usual = PAPER[given.learner, given.way] if given.paper else TRAINED[given.learner]
    settings = {**usual, "shot": given.shot, **own}
    if given.learner == "mann":
        settings["way"] = given.way  # its outputs are labels
    settings.setdefault("min_way", settings["way"])
    if given.steps:
        settings["steps"] = given.steps
    return settings_class(given.learner)(**settings), Encoder(**network)


def first_encoder(
    given: argparse.Namespace, encoder: Encoder, training: Source, validation: Source
) -> nn.Module:
    """The encoder of --start, after its minutes."""
    name, minutes = given.start
    settings = settings_class(name)(
        **{"min_way": TRAINED[name]["way"], **TRAINED[name], "shot": given.shot}
    )
    return fit(name, settings, encoder, training, validation, given, float(minutes))[0].encoder


def main() -> None:
    given = arguments()
    settings, encoder = chosen(given)
    training, validation, test = read_sources(given.data, given.seed, choose_device(given.device))
    began, start, minutes = time.perf_counter(), None, given.minutes
    if given.start:
        start = first_encoder(given, encoder, training, validation)
        minutes -= float(given.start[1])
    model, state = fit(
        given.learner, settings, encoder, training, validation, given, minutes, start
    )
    seconds = time.perf_counter() - began
    accuracy = 100 * test_accuracy(model, test, given.way, given.shot)
    result = {
        **result_of(given, accuracy),
        "minutes": round(seconds / 60, 2),
        "steps": state.step,
        "validation": round(100 * state.best_validation, 2),
        "settings": model.settings.model_dump(mode="json", exclude_defaults=True),
        "encoder": encoder.model_dump(mode="json"),
        "device": torch.cuda.get_device_name()
        if training.images.device.type == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores",
    }
    if isinstance(model, Mann):
        shares = by_presentation(model, test, given.way)
        result["by_presentation"] = [round(share, 3) for share in shares]
    print(
        f"{given.learner}, {given.way}-way {given.shot}-shot: {result['accuracy']} +- "
        f"{result['half_interval_95']} %, published {result['published'] or 'nothing'}"
    )
    print(json.dumps(result, sort_keys=True))


def result_of(given: argparse.Namespace, accuracy: np.ndarray) -> dict[str, Any]:
    """What was run, and how well it did. `accuracy`: of each test episode, in %."""
    return {
        "benchmark": "omniglot",
        "learner": given.learner,
        "way": given.way,
        "shot": given.shot,
        "accuracy": round(float(accuracy.mean()), 2),
        "half_interval_95": round(1.96 * float(accuracy.std(ddof=1)) / math.sqrt(EPISODES), 2),
        "episodes": EPISODES,
        "published": PUBLISHED[given.learner].get((given.way, given.shot)),
        "start": given.start and [*given.start, "trained on" if given.train_start else "kept"],
        "torch": torch.__version__,
        "seed": given.seed,
    }


if __name__ == "__main__":
    main()
