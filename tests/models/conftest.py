"""A small meta split with learnable images: each class is a pattern of stripes, each site adds an offset."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from data_prep.episodes.draw import site_pools
from data_prep.episodes.images import Images
from data_prep.episodes.meta_split import MetaSplit, SourceSite, write_meta_split
from data_prep.store.records import pixel_hash
from models.augmentation.settings import Augment
from models.training.source import Source, Variation
from workspace.paths import Workspace

CLASSES = {"a": ("x", "y", "z"), "b": ("x", "y"), "c": ("p", "q")}
TASK = {"a": "one", "b": "one", "c": "two"}
PATIENTS = 12
VARIATION = Variation(Augment(rotate=5, brightness=0.05, contrast=0.1), {})


def meta_split(images_a_patient: int = 2) -> tuple[MetaSplit, Images]:
    rng = np.random.default_rng(0)
    sites, pixels, first_row, start = {}, [], {}, 0
    for at, (site, classes) in enumerate(CLASSES.items()):
        rows = [
            (f"{site}-{label}-{patient}", label, "train" if patient < 8 else "validation", place)
            for place, label in enumerate(classes)
            for patient in range(PATIENTS)
            for _ in range(images_a_patient)
        ]
        stripes = [
            100 + 8 * at + 60 * np.sin((1 + 2 * place) * np.linspace(0, 6.3, 16))
            for *_, place in rows
        ]
        pixels.append(
            (np.array(stripes)[:, None, None] + rng.normal(0, 12, (len(rows), 1, 16, 16)))
            .clip(0, 255)
            .astype(np.uint8)
        )
        table = pd.DataFrame([row[:3] for row in rows], columns=["patient", "label", "split"])
        table = table.assign(
            group=table["patient"],
            record=[f"{site}{i}" for i in range(len(rows))],
            row=range(len(rows)),
            pixel_hash=[pixel_hash(image) for image in pixels[-1]],
            perceptual_hash="",
        )
        sites[site] = SourceSite(TASK[site], classes, table)
        first_row[site] = start
        start += len(rows)
    return MetaSplit(sites, "secret"), Images(torch.from_numpy(np.concatenate(pixels)), first_row)


def write_sources(workspace: Workspace) -> None:
    """What training reads besides its settings: the meta split, and the pixels and records that it names."""
    meta, images = meta_split()
    write_meta_split(meta, workspace)
    for name, site in meta.sites.items():
        first = images.first_row[name]
        folder = workspace.studies(name)
        folder.mkdir(parents=True)
        np.save(folder / "pixels.npy", images.stored[first : first + len(site.records)].numpy())


@pytest.fixture
def sources() -> tuple[Source, Source]:
    meta, images = meta_split()
    return tuple(
        Source(site_pools(meta, images, split), images, (0, stream), VARIATION)
        for stream, split in enumerate(("train", "validation"))
    )


@pytest.fixture
def study(tmp_path, monkeypatch) -> Callable[..., Workspace]:
    """A workspace with this split and these pixels; call it with the sections of params.yaml that matter."""
    monkeypatch.chdir(tmp_path)
    write_sources(Workspace())

    def write(**sections) -> Workspace:
        (tmp_path / "params.yaml").write_text(
            json.dumps(
                {
                    "sites": dict.fromkeys(CLASSES, "source"),
                    "convert": {"size": [16, 16]},
                    "adapt": {"methods": ["majority"]},
                    "report": {"method": "majority"},
                    "train": {
                        "learners": ["supervised", "prototypical"],
                        "device": "cpu",
                        "checkpoint_every": 2,
                    },
                    "encoder": {"name": "resnet10", "width": 8},
                    **sections,
                }
            )
        )
        return Workspace()

    return write
