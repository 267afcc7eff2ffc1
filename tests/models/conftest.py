"""A small meta split with learnable images: each class is a level of grey, each site adds an offset."""

import numpy as np
import pandas as pd
import pytest
import torch

from data_prep.episodes import site_pools
from data_prep.images import Images
from data_prep.meta_split import MetaSplit, SourceSite
from models.method import Source

CLASSES = {"a": ("x", "y", "z"), "b": ("x", "y"), "c": ("p", "q")}
TASK = {"a": "one", "b": "one", "c": "two"}
PATIENTS = 12


def meta_split(images_a_patient: int = 2) -> tuple[MetaSplit, Images]:
    rng = np.random.default_rng(0)
    sites, pixels, first_row, start = {}, [], {}, 0
    for at, (site, classes) in enumerate(CLASSES.items()):
        rows = [(f"{site}-{label}-{patient}", label, "train" if patient < 8 else "validation", place)
                for place, label in enumerate(classes) for patient in range(PATIENTS) for _ in range(images_a_patient)]
        grey = np.array([40 + 70 * place + 8 * at for *_, place in rows])
        pixels.append((grey[:, None, None, None] + rng.normal(0, 12, (len(rows), 1, 16, 16))).clip(0, 255).astype(np.uint8))
        table = pd.DataFrame([row[:3] for row in rows], columns=["patient", "label", "split"])
        table = table.assign(group=table["patient"], record=[f"{site}{i}" for i in range(len(rows))], row=range(len(rows)),
                             pixel_hash=[f"{site}h{i}" for i in range(len(rows))])
        sites[site] = SourceSite(TASK[site], classes, table)
        first_row[site] = start
        start += len(rows)
    return MetaSplit(sites), Images(torch.from_numpy(np.concatenate(pixels)), first_row)


@pytest.fixture
def sources() -> tuple[Source, Source]:
    meta, images = meta_split()
    return tuple(Source(site_pools(meta, images, split), images, (0, stream)) for stream, split in enumerate(("train", "validation")))
