"""Suggest how volumes are standardised (convert.spacing, size and CT's window), from the source
sites alone. Writes nothing.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from data_prep.decode import Planned, read
from data_prep.privacy.deidentify import SECRET_BYTES
from data_prep.readers.dicom.units import HU, wrong_for_window
from data_prep.readers.image_file import Pixels
from data_prep.scan import export_root, scan
from data_prep.site_file import load_site
from data_prep.volumes.series import Volume
from eval.settings import Params, load_params
from workspace.errors import Problem, Refusal, refuse_if, together
from workspace.paths import Workspace
from workspace.progress import track

CT = "CT"
# A secret for an order that is as good as random and always the same; nothing that it makes is
# shown.
ORDER = "00" * SECRET_BYTES
SAMPLE = 20  # CT volumes a site whose pixels are read
THINNED = 128  # voxels: a longer side is thinned to at most this before the body is looked for
AIR = -500.0  # HU, between air's -1000 and fat's -100
# voxels that one volume adds at most, so that a large volume does not outweigh the others
BODY = 10_000
PERCENTILES = (0.5, 99.5)  # nnU-Net's
SIDES = (8, 512)  # voxels, as convert.size allows


@dataclass(frozen=True)
class Sampled:
    """Body voxels of CT volumes, HU, and how many volumes they are of."""

    values: np.ndarray
    volumes: int


def fit(workspace: Workspace) -> None:
    """Print a `convert` block by nnU-Net's rules (Isensee et al. 2021), each number with what it is
    from. Raises Refusal.
    """
    params = load_params(workspace)
    sources = sorted(name for name, role in params.sites.items() if role == "source")
    refuse_if(_problems(workspace, sources, len(params.convert.size)))
    # What scan does not know of, it cannot open.
    only = params.model_copy(update={"sites": dict.fromkeys(sources, "source")})
    found = together(*(partial(_plans, workspace, name, only) for name in sources))
    plans = dict(zip(sources, found, strict=True))
    volumes = [plan for some in plans.values() for plan in some]
    if not volumes:
        raise Refusal(
            Problem(
                "fewsite fit",
                "no volume with a spacing",
                "one at least at the source sites",
                "fewsite check NAME, which says what is there",
            )
        )
    counts = {name: len(some) for name, some in plans.items()}
    print("\n".join(suggestion(counts, volumes, sample(plans))))


def _problems(workspace: Workspace, sources: list[str], axes: int) -> list[Problem]:
    problems = []
    if not sources:
        problems.append(
            Problem(
                f"{workspace.params_file} sites",
                "no source",
                "sites that train",
                "fewsite add sites/NAME.yaml --source",
            )
        )
    if axes == 2:
        problems.append(
            Problem(
                f"{workspace.params_file} convert.size",
                "the size of images",
                "three numbers, which may be any for now",
                "nothing for images: they have no common spacing",
            )
        )
    return problems


def suggestion(counts: dict[str, int], volumes: list[Planned], body: Sampled) -> list[str]:
    """The block as lines of YAML. `counts`: volumes of each source site."""
    spacings = np.array([plan.spacing for plan in volumes])
    extents = spacings * np.array([_shape(plan) for plan in volumes])
    spacing = [float(f"{size:.3g}") for size in np.median(spacings, axis=0)]
    extent = np.median(extents, axis=0)
    size = [int(side) for side in np.clip(np.rint(extent / spacing), *SIDES)]
    sites = ", ".join(f"{name} ({count})" for name, count in counts.items())
    lines = [
        f"# fewsite fit: {len(volumes)} volumes of the source sites {sites}; no target was opened",
        "convert:",
        f"  spacing: {spacing}  # mm: median of {len(volumes)} volumes",
        f"  size: {size}  # median extent of {len(volumes)} volumes, "
        f"{' x '.join(f'{side:.0f}' for side in extent)} mm; "
        f"{np.prod(size) / 1e6:.1f} MB a record: for less, raise spacing and lower size by "
        "one factor",
    ]
    if body.volumes:
        low, high = np.percentile(body.values, PERCENTILES)
        lines += [
            "  intensity:",
            f"    {CT}: {{window: [{low:.0f}, {high:.0f}]}}  # HU: {PERCENTILES[0]} and "
            f"{PERCENTILES[1]} percentiles of "
            f"{len(body.values)} body voxels of {body.volumes} volumes",
        ]
    others = Counter(str(plan.row["modality"]) for plan in volumes if plan.row["modality"] != CT)
    return lines + [
        f"# {modality}: {count} volumes; percentiles and zscore are each "
        "volume's own, so there is nothing to fit"
        for modality, count in sorted(others.items())
    ]


def sample(plans: dict[str, list[Planned]]) -> Sampled:
    """The body in the first CT volumes of each site that can be decoded."""
    chosen = [
        plan
        for found in plans.values()
        for plan in [plan for plan in found if _in_hu(plan)][:SAMPLE]
    ]
    parts = []
    for plan in track(chosen, "reading CT volumes", total=len(chosen)):
        pixels = read(plan, windowed=True)
        if isinstance(pixels, Pixels):
            parts.append(body_voxels(pixels))
    parts = [part for part in parts if len(part)]
    return Sampled(
        np.concatenate([part[:: -(-len(part) // BODY)] for part in parts] or [np.empty(0)]),
        len(parts),
    )


def body_voxels(pixels: Pixels) -> np.ndarray:
    """The values inside the largest thing that is denser than air, the air in it included: lungs
    and bowel, not the table.
    """
    thin = tuple(slice(None, None, -(-side // THINNED)) for side in pixels.values.shape)
    values = pixels.values[thin]
    valid = np.ones(values.shape, bool) if pixels.valid is None else pixels.valid[thin]
    parts, _ = ndimage.label(valid & (values > AIR))
    sizes = np.bincount(parts.ravel(), minlength=2)
    sizes[0] = 0
    body = (parts == sizes.argmax()) & (parts > 0)
    return values[np.stack([ndimage.binary_fill_holes(plane) for plane in body]) & valid]


def _plans(workspace: Workspace, name: str, params: Params) -> list[Planned]:
    """A site's labelled volumes that say how large their voxels are. Raises Refusal."""
    site = load_site(workspace, name)
    found = scan(
        workspace, name, site, params, root=export_root(workspace, name, site), secret=ORDER
    )
    return [plan for plan in found.plans if plan.spacing is not None]


def _shape(plan: Planned) -> tuple[int, ...]:
    """Slices, rows and columns, as `spacing` has them."""
    return (
        plan.files[0].header.kept_shape
        if plan.affine is None
        else Volume(plan.files, plan.affine).shape
    )


def _in_hu(plan: Planned) -> bool:
    return plan.row["modality"] == CT and not wrong_for_window(plan.row["units"], HU, CT)
