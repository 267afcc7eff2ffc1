"""Pixels of the source sites in memory, on the device that the model is on; a batch is gathered by index in one call."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from data_prep.meta_split import MetaSplit
from data_prep.records import pixel_hash, read_studies
from workspace.errors import Problem, refuse_if
from workspace.paths import Workspace


@dataclass(frozen=True)
class Images:
    """`stored`: the pixels as converted; `first_row`: site -> where its records begin in it."""

    stored: UInt8[Tensor, "record channel *space"]
    first_row: dict[str, int]

    def gather(self, rows: Int[Tensor, "batch"]) -> Float[Tensor, "batch channel *space"]:
        """The images at `rows`, in [0, 1]."""
        return as_float(self.stored[rows])


def as_float(stored: UInt8[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Stored pixels in [0, 1]."""
    return stored.float() / torch.iinfo(stored.dtype).max


def load_images(workspace: Workspace, meta: MetaSplit, device: torch.device) -> Images:
    """Load every record of the meta split, in its order, and hold each to the pixel hash that the split promised.

    Raises Refusal where data/studies changed since the split: DVC ties training to meta_split.json, not to the pixels.
    """
    arrays, first_row, start = [], {}, 0
    changed = []
    for name, site in meta.sites.items():
        pixels = read_studies(workspace.studies(name)).pixels
        rows = site.records["row"].to_numpy()
        fits = len(rows) == 0 or rows.max() < len(pixels)
        taken = np.ascontiguousarray(pixels[rows]) if fits else None
        if taken is None or [pixel_hash(row) for row in taken] != site.records["pixel_hash"].to_list():
            changed.append(Problem(f"site {name}", "pixels other than those that were split", "data/studies as `split` saw it",
                                   "dvc repro split"))
            continue
        arrays.append(taken)
        first_row[name] = start
        start += len(rows)
    refuse_if(changed)
    return Images(torch.from_numpy(np.concatenate(arrays)).to(device), first_row)
