"""Episodes a second against easyfsl's sampler with a DataLoader and MONAI's CacheDataset with a
DataLoader, of the same images.

    python benchmarks/episodes.py [--device cuda] [--repeats 5]

5-way 5-shot with 15 queries a class at 3 x 84 x 84: 20 classes of 100 images each, in memory on
every side. What comes out is the same on all sides: support and query in [0, 1] as float32, labels
0 to 4. easyfsl is compared where it is installed; its own EasySet reads image files, which would be
slower. Sides take turns; medians of the repeats are compared. Then the share of a training step
that waits for its batch: a prototypical network on conv4, drawing, gathering and augmenting
counted. The last line is one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Any

import monai
import numpy as np
import torch
from monai.data import CacheDataset
from monai.transforms import Compose, EnsureTyped, ScaleIntensityRanged
from torch.utils.data import DataLoader, Dataset, Sampler

from data_prep.episodes.draw import Patients, SitePool, draw_episodes
from data_prep.episodes.images import Images
from data_prep.settings import Convert
from models.augmentation.settings import Augment
from models.build import build_learner
from models.device import choose_device, repeatable
from models.encoders.settings import Encoder
from models.learners.prototypical import Settings as PrototypicalSettings
from models.settings import Episodic
from models.training.loop import take_gradient
from models.training.source import TRAINING, Source, Variation

CLASSES, EACH, SHAPE = 20, 100, (3, 84, 84)
WAY, SHOT, QUERY = 5, 5, 15
EPISODES = 50  # of one repeat


class Labelled(Dataset[tuple[torch.Tensor, int]]):
    """The images one by one, as easyfsl's loaders take them."""

    def __init__(self, images: np.ndarray, labels: list[int]):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.images[at]).float() / 255, self.labels[at]

    def get_labels(self) -> list[int]:
        """What its TaskSampler asks for."""
        return self.labels


class Tasks(Sampler[list[int]]):
    """Indices of an episode at a time, for MONAI's DataLoader, which has no sampler of episodes."""

    def __init__(self, labels: list[int]):
        self.rows = [np.flatnonzero(np.array(labels) == label) for label in range(CLASSES)]

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng(0)
        while True:
            yield np.concatenate(
                [
                    rng.choice(self.rows[c], SHOT + QUERY, replace=False)
                    for c in rng.permutation(CLASSES)[:WAY]
                ]
            ).tolist()


def by_easyfsl(images: np.ndarray, labels: list[int], device: torch.device) -> Callable[[], object]:
    from easyfsl.samplers import TaskSampler

    Sampler.__init__ = lambda self, data_source=None: (
        None
    )  # easyfsl 1.5 gives an argument that torch's no longer takes
    data = Labelled(images, labels)
    sampler = TaskSampler(data, n_way=WAY, n_shot=SHOT, n_query=QUERY, n_tasks=EPISODES)
    loader = DataLoader(data, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn)
    return lambda: [[part.to(device) for part in episode[:4]] for episode in loader]


def by_monai(images: np.ndarray, labels: list[int], device: torch.device) -> Callable[[], object]:
    scaled = Compose(
        [ScaleIntensityRanged("image", 0, 255, 0, 1), EnsureTyped("image", track_meta=False)]
    )
    data = CacheDataset(
        [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)],
        scaled,
        progress=False,
    )
    loader = DataLoader(data, batch_sampler=Tasks(labels))

    def episode(batch: dict[str, Any]) -> list[torch.Tensor]:
        parts = (
            batch["image"].to(device).unflatten(0, (WAY, -1)),
            batch["label"].to(device).unflatten(0, (WAY, -1)).unique_consecutive(dim=1),
        )
        return [parts[0][:, :SHOT].flatten(0, 1), parts[0][:, SHOT:].flatten(0, 1), parts[1]]

    return lambda: [episode(batch) for batch in islice(loader, EPISODES)]


def source(images: np.ndarray, device: torch.device) -> Source:
    pool = SitePool(
        "site",
        "task",
        {
            f"class{c:02}": Patients.of(np.arange(c * EACH, (c + 1) * EACH)[:, None])
            for c in range(CLASSES)
        },
    )
    return Source(
        [pool],
        Images(torch.from_numpy(images).to(device), {"site": 0}),
        (0, TRAINING),
        Variation(Augment(), {}),
    )


def by_fewsite(given: Source) -> Callable[[], object]:
    chosen = Episodic(way=WAY, min_way=WAY, shot=SHOT, query=QUERY)
    return lambda: [
        draw_episodes(given.pools, given.seed, index, chosen, tasks=1).gather(given.images)
        for index in range(EPISODES)
    ]


def waiting(given: Source, device: torch.device, repeats: int) -> float:
    """The share of a prototypical step on conv4 that goes by before its batch is there."""
    settings = PrototypicalSettings(way=WAY, min_way=WAY, shot=SHOT, query=QUERY)
    model = (
        build_learner(
            "prototypical",
            settings,
            Encoder(name="conv4", norm="batch", width=64),
            Convert(size=list(SHAPE[1:]), channels=3),
            {},
        )
        .to(device)
        .train()
    )
    shares = []
    for step in range(repeats + 1):
        began = time.perf_counter()
        batch = model.batch(given, step)
        there = finished(device)
        take_gradient(
            model,
            batch,
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"),
        )
        shares.append((there - began) / (finished(device) - began))
    return statistics.median(shares[1:])


def finished(device: torch.device) -> float:
    """The time when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def machine(device: torch.device) -> str:
    """What the numbers were measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    device = choose_device(given.device)
    repeatable(0, 0)
    images = np.random.default_rng(0).integers(0, 256, (CLASSES * EACH, *SHAPE), np.uint8)
    labels = np.repeat(np.arange(CLASSES), EACH).tolist()
    own = source(images, device)
    sides = {"fewsite": by_fewsite(own), "MONAI CacheDataset": by_monai(images, labels, device)}
    if find_spec("easyfsl"):
        sides["easyfsl"] = by_easyfsl(images, labels, device)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(given.repeats + 1):  # the first of each is not counted
        for name, side in sides.items():
            began = finished(device)
            side()
            times[name].append(finished(device) - began)
    seconds = {name: statistics.median(taken[1:]) / EPISODES for name, taken in times.items()}
    for name, median in seconds.items():
        print(
            f"{name}: {1 / median:.0f} episodes a second, "
            f"{median / seconds['fewsite']:.1f} times as long as fewsite's"
        )
    share = waiting(own, device, 2 * given.repeats)
    print(f"share of a training step that waits for data: {100 * share:.1f} %")
    result = {
        "benchmark": "episodes",
        "milliseconds": {name: round(1000 * median, 3) for name, median in seconds.items()},
        "ratios": {name: round(median / seconds["fewsite"], 1) for name, median in seconds.items()},
        "waiting": round(share, 4),
        "repeats": given.repeats,
        "device": machine(device),
        "torch": torch.__version__,
        "monai": monai.__version__,
    }
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
