"""Batched augmentation against MONAI's dictionary transforms, item by item, with the same
operations at the same strengths.

    python benchmarks/augment.py [--device cuda] [--repeats 5]

64 images of 3 x 224 x 224 and 8 volumes of 96^3, already in memory. Both sides run in this process,
one after the other, with all of torch's threads; the medians of the repeats are compared. The last
line is one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable

import monai
import torch
from monai.transforms import (
    Compose,
    Rand2DElasticd,
    Rand3DElasticd,
    RandAdjustContrastd,
    RandBiasFieldd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandGibbsNoised,
    RandKSpaceSpikeNoised,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSimulateLowResolutiond,
)

from models.augmentation.augment import augment
from models.augmentation.settings import Augment
from models.device import choose_device, repeatable

CASES = {"64 images of 3x224x224": (64, 3, 224, 224), "8 volumes of 96^3": (8, 1, 96, 96, 96)}
GEOMETRY = {"rotate": 10, "scale": 0.1, "shift": 0.05, "flip_all": True, "bend": 0.03}
INTENSITY = {"brightness": 0.1, "contrast": 0.2, "gamma": 0.3, "noise": 0.03, "blur": 1.0}
SCANNER = {"coarse": 2, "bias": 0.3, "gibbs": 0.4, "spike": 0.1}
RANGES = {
    "geometry and intensities": {**GEOMETRY, **INTENSITY},
    "with scanner effects": {**GEOMETRY, **INTENSITY, **SCANNER},
}


def monai_transforms(shape: tuple[int, ...], scanner: bool) -> Compose:
    """The same operations; elastic ones carry the affine part too, as MONAI offers it."""
    at, sides = "image", shape[2:]
    angle, shift = 10 * torch.pi / 180, [0.05 * side for side in sides]
    common = {
        "prob": 1.0,
        "rotate_range": angle,
        "scale_range": 0.1,
        "translate_range": shift,
        "padding_mode": "border",
    }
    bend = (
        Rand2DElasticd(at, spacing=(60, 60), magnitude_range=(0, 1), **common)
        if len(sides) == 2
        else Rand3DElasticd(at, sigma_range=(5, 7), magnitude_range=(0, 100), **common)
    )
    parts = [RandFlipd(at, prob=0.5, spatial_axis=axis) for axis in range(len(sides))] + [
        bend,
        RandGaussianSmoothd(
            at, prob=1.0, **{f"sigma_{axis}": (0.0, 1.0) for axis in "xyz"[: len(sides)]}
        ),
        RandScaleIntensityd(at, factors=0.2, prob=1.0),
        RandShiftIntensityd(at, offsets=0.1, prob=1.0),
        RandAdjustContrastd(at, prob=1.0, gamma=(0.74, 1.35)),
        RandGaussianNoised(at, prob=1.0, std=0.03),
    ]
    effects = [
        RandBiasFieldd(at, prob=1.0, coeff_range=(0.0, 0.3)),
        RandKSpaceSpikeNoised(at, prob=1.0),
        RandGibbsNoised(at, prob=1.0, alpha=(0.0, 0.4)),
        RandSimulateLowResolutiond(
            at,
            prob=1.0,
            zoom_range=(0.5, 1.0),
            upsample_mode="bilinear" if len(sides) == 2 else "trilinear",
        ),
    ]
    return Compose(parts + (effects if scanner else []))


def median_seconds(run: Callable[[int], object], repeats: int, device: torch.device) -> float:
    """Of `repeats` runs after one that is not counted."""
    times = []
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        run(repeat)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def machine(device: torch.device) -> str:
    """What the numbers were measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def measure(images: torch.Tensor, ranges: dict[str, float], repeats: int) -> tuple[float, float]:
    """Seconds of fewsite, and of MONAI item by item, for the same operations."""
    chosen = Augment(**ranges)
    transforms = monai_transforms(tuple(images.shape), scanner="coarse" in ranges)
    transforms.set_random_state(0)
    ours = median_seconds(lambda seed: augment(chosen, images, seed), repeats, images.device)
    theirs = median_seconds(
        lambda _: [transforms({"image": image}) for image in images], repeats, images.device
    )
    return ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    device, rows = choose_device(given.device), []
    repeatable(0, 0)  # as in training, where freed memory is kept: for both sides
    for case, shape in CASES.items():
        images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
        for name, ranges in RANGES.items():
            ours, theirs = measure(images, ranges, given.repeats)
            rows.append(
                {
                    "case": case,
                    "operations": name,
                    "seconds": round(ours, 4),
                    "monai_seconds": round(theirs, 3),
                    "ratio": round(theirs / ours, 1),
                }
            )
            print(
                f"{case}, {name}: {ours:.3f} s; MONAI item by item {theirs:.2f} s; "
                f"{theirs / ours:.1f} times as long",
                flush=True,
            )
    result = {
        "benchmark": "augment",
        "cases": rows,
        "repeats": given.repeats,
        "device": machine(device),
        "torch": torch.__version__,
        "monai": monai.__version__,
    }
    print(json.dumps(result, sort_keys=True))


if __name__ == "__main__":
    main()
