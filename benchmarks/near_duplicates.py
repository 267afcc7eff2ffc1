"""What the perceptual hash finds: changed copies of real pictures, and pictures of different
patients that only look alike.

    cd WORKSPACE && python benchmarks/near_duplicates.py SITE...

SITEs are converted, with their exports still there. Of 150 records a site, changed as another
export would change them, it gives the share that is still near the original; of all pairs of
different patients, within and between the sites, how many are near. Distances are in bits. The last
line is one JSON object; the chosen radius is `NEAR` of data_prep/store/duplicates.py. `usual`:
pairs that the 64 lowest of the bits alone would call near at pHash's usual radius of 10.
"""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from PIL import Image

from data_prep.decode import Decoded, Planned, decode, read
from data_prep.readers.image_file import Pixels
from data_prep.scan import scan
from data_prep.settings import Convert
from data_prep.site_file import load_site
from data_prep.store.duplicates import BITS, KEPT, NEAR, as_signs, perceptual_hash
from data_prep.store.records import read_studies
from data_prep.volumes.standardise import standardise
from eval.settings import load_params
from workspace.paths import Workspace

SAMPLE = 150  # records a site
RADII = (40, 60, NEAR, 100, 120, 140)  # bits
CLOSEST = 10
USUAL, USUAL_NEAR = (
    {2: (8, 8), 3: (4, 4, 4)},
    10,
)  # the 64 bits and the radius that pHash is mostly used with, to compare

Plane = np.ndarray  # (rows, columns) or (rows, columns, 3), uint8


def jpeg(quality: int) -> Callable[[Plane], Plane]:
    def change(plane: Plane) -> Plane:
        stream = io.BytesIO()
        Image.fromarray(plane).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

    return change


def resized(factor: float) -> Callable[[Plane], Plane]:
    def change(plane: Plane) -> Plane:
        size = [round(side * factor) for side in plane.shape[1::-1]]
        return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))

    return change


def toned(contrast: float, brightness: float) -> Callable[[Plane], Plane]:
    """`brightness` in steps of 255, after `contrast` about the middle."""
    return lambda plane: np.clip((plane - 127.5) * contrast + 127.5 + brightness, 0, 255).astype(
        np.uint8
    )


def cropped(share: float) -> Callable[[Plane], Plane]:
    """Takes `share` of the height and of the width away on either side."""

    def change(plane: Plane) -> Plane:
        rows, columns = (round(side * share) for side in plane.shape[:2])
        return plane[rows : plane.shape[0] - rows, columns : plane.shape[1] - columns]

    return change


def shifted(plane: Plane) -> Plane:
    """One pixel down and right; the edge is repeated."""
    return np.pad(plane, [(1, 0), (1, 0)] + [(0, 0)] * (plane.ndim - 2), mode="edge")[:-1, :-1]


CHANGES = {
    "8 bits instead of 12 or 16": lambda plane: plane,
    "JPEG quality 90": jpeg(90),
    "JPEG quality 70": jpeg(70),
    "resized by 0.9": resized(0.9),
    "resized by 1.1": resized(1.1),
    "brighter by 10 %": toned(1, 25.5),
    "darker by 10 %": toned(1, -25.5),
    "contrast +20 %": toned(1.2, 0),
    "contrast -20 %": toned(0.8, 0),
    "shifted by a pixel": shifted,
    "cropped by 2 % (1 % a side)": cropped(0.01),
    "cropped by 4 % (2 % a side)": cropped(0.02),
}


def changed(pixels: Pixels, change: Callable[[Plane], Plane]) -> Pixels:
    """The picture after an 8-bit export and `change`, slice by slice, in its own units again."""
    if pixels.photograph:
        return replace(pixels, values=change(pixels.values))
    low, high = float(pixels.values.min()), float(pixels.values.max())
    grey = np.rint((pixels.values - low) * (255 / (high - low))).astype(np.uint8)
    planes = (
        change(grey)
        if grey.ndim == 2
        else np.stack([change(np.ascontiguousarray(plane)) for plane in grey])
    )
    return replace(
        pixels, values=(low + planes * ((high - low) / 255)).astype(np.float32), valid=None
    )


def distances_of_changes(plans: tuple[Planned, ...], convert: Convert) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {name: [] for name in CHANGES}
    for at in np.random.default_rng(0).permutation(len(plans))[:SAMPLE]:
        plan, modality = plans[at], str(plans[at].row["modality"])
        original = decode(plan, convert)
        if not isinstance(original, Decoded):
            continue
        pixels = read(plan, windowed=convert.intensity_of(modality).window is not None)
        for name, change in CHANGES.items():
            copy = perceptual_hash(
                standardise(changed(pixels, change), convert, modality, plan.spacing)
            )
            found[name].append(
                int(distances(pd.Series([original.perceptual_hash]), pd.Series([copy]))[0, 0])
            )
    return found


def distances(
    hashes: pd.Series, others: pd.Series, bits: np.ndarray | slice = slice(None)
) -> np.ndarray:
    one, other = as_signs(hashes)[:, bits], as_signs(others)[:, bits]
    return (one.shape[1] - one @ other.T) / 2


def usual_bits(axes: int) -> np.ndarray:
    return np.ravel_multi_index(np.indices(USUAL[axes]).reshape(axes, -1), KEPT[axes])


def between(
    one: pd.DataFrame, other: pd.DataFrame, same_site: bool, axes: int
) -> dict[str, object]:
    """All pairs of different patients."""
    hashes = one["perceptual_hash"], other["perceptual_hash"]
    different = one["patient"].to_numpy(object)[:, None] != other["patient"].to_numpy(object)[None]
    different = np.triu(different, 1) if same_site else different
    found = distances(*hashes)[different]
    return {
        "pairs": len(found),
        "near": {str(radius): int((found <= radius).sum()) for radius in RADII},
        "usual": int((distances(*hashes, usual_bits(axes))[different] <= USUAL_NEAR).sum()),
        "closest": [int(value) for value in np.sort(found)[:CLOSEST]],
    }


def main(sites: list[str]) -> None:
    workspace = Workspace()
    params = load_params(workspace)
    records = {site: read_studies(workspace.studies(site)).records for site in sites}
    changes = {}
    for site in sites:
        found = distances_of_changes(
            scan(workspace, site, load_site(workspace, site), params).plans, params.convert
        )
        changes[site] = {
            name: {
                "recall": round(float(np.mean(np.array(bits) <= NEAR)), 3),
                "median": float(np.median(bits)),
                "p95": float(np.percentile(bits, 95)),
                "of": len(bits),
            }
            for name, bits in found.items()
        }
    pairs = {
        f"{one}, {other}": between(
            records[one], records[other], one == other, len(params.convert.size)
        )
        for one, other in combinations_with_replacement(sites, 2)
    }
    print(json.dumps({"bits": BITS, "near": NEAR, "changes": changes, "different patients": pairs}))


if __name__ == "__main__":
    main(sys.argv[1:])
