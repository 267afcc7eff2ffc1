"""Pixels of the source sites: on the device that the model is on, or mapped in their files; a batch
is gathered by index in one call.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from data_prep.episodes.meta_split import MetaSplit
from data_prep.store.records import pixel_hash, read_pixels
from workspace.errors import Problem, refuse_if
from workspace.paths import Workspace

GIB = 2**30


@dataclass(frozen=True)
class Images:
    """`stored`: the pixels as converted; `first_row`: site -> where its records begin in it."""

    stored: UInt8[Tensor, "record channel *space"]
    first_row: dict[str, int]

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.stored.device

    def __len__(self) -> int:
        return len(self.stored)

    def gather(self, rows: Int[np.ndarray, "batch"]) -> Float[Tensor, "batch channel *space"]:
        """The images at `rows`, in [0, 1]."""
        return as_float(self.stored.index_select(0, torch.from_numpy(rows).to(self.device)))


@dataclass(frozen=True)
class MappedImages:
    """The same of pixels that stay in their files: what a batch needs is read when it is asked for,
    and held to its hash then.
    """

    files: list[np.ndarray]  # of each site, memory-mapped
    rows: list[Int[np.ndarray, "_"]]  # of each site's records in its file
    hashes: list[np.ndarray]  # of each site's records
    first_row: dict[str, int]
    device: torch.device

    def __len__(self) -> int:
        return sum(map(len, self.rows))

    def gather(self, rows: Int[np.ndarray, "batch"]) -> Float[Tensor, "batch channel *space"]:
        """The images at `rows`, in [0, 1].

        Raises Refusal where a picture is not the one that was split.
        """
        shape = self.files[0].shape[1:]
        batch = torch.empty(
            (len(rows), *shape), dtype=torch.uint8, pin_memory=self.device.type == "cuda"
        )
        starts = np.array(list(self.first_row.values()))
        sites = np.searchsorted(starts, rows, side="right") - 1
        for site in np.unique(sites):
            at = np.flatnonzero(sites == site)
            records = rows[at] - starts[site]
            batch.numpy()[at] = self.files[site][self.rows[site][records]]
            refuse_if(
                [_changed(list(self.first_row)[site])]
                if [pixel_hash(batch[i].numpy()) for i in at] != list(self.hashes[site][records])
                else []
            )
        return as_float(batch.to(self.device, non_blocking=True))


Stored = Images | MappedImages  # pixels that a batch is gathered from


def as_float(stored: UInt8[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Stored pixels in [0, 1]."""
    return stored.float().div_(torch.iinfo(stored.dtype).max)


def open_images(
    workspace: Workspace, meta: MetaSplit, device: torch.device, most: float, shape: tuple[int, ...]
) -> Stored:
    """The pixels of every record of the meta split, in its order: on the device if they are `most`
    GiB or less, else mapped.

    Each is held to the pixel hash that the split promised: DVC ties training to the meta split, not
    to the pixels. Raises Refusal where data/studies changed since, or where records are not of
    `shape` (channel, *space), as settings that changed since say.
    """
    files, rows, hashes, first_row, start, changed = [], [], [], {}, 0, []
    for name, site in meta.sites.items():
        pixels, own = read_pixels(workspace.studies(name)), site.records["row"].to_numpy()
        if pixels.shape[1:] != shape:
            had, need = ("x".join(map(str, sides)) for sides in (pixels.shape[1:], shape))
            changed.append(
                Problem(
                    f"site {name}",
                    f"pixels of {had} (channels, then sides)",
                    f"{need}, as convert says",
                    "correct convert.size, or dvc repro",
                )
            )
        elif len(own) and own.max() >= len(pixels):
            changed.append(_changed(name))
        files.append(pixels)
        rows.append(own)
        hashes.append(site.records["pixel_hash"].to_numpy())
        first_row[name] = start
        start += len(own)
    refuse_if(changed)
    if sum(len(own) * file[:1].nbytes for own, file in zip(rows, files, strict=True)) > most * GIB:
        return MappedImages(files, rows, hashes, first_row, device)
    taken = [np.ascontiguousarray(file[own]) for file, own in zip(files, rows, strict=True)]
    refuse_if(
        _changed(name)
        for name, own, due in zip(first_row, taken, hashes, strict=True)
        if [pixel_hash(row) for row in own] != list(due)
    )
    return Images(torch.from_numpy(np.concatenate(taken)).to(device), first_row)


def _changed(site: str) -> Problem:
    return Problem(
        f"site {site}",
        "pixels other than those that were split",
        "data/studies as `split` saw it",
        "dvc repro split",
    )
