"""What scanners and stains do to images, a whole batch at once, 2D and 3D, each image by parameters
of its own.

What acts along each axis alone (blur, a coarser grid, truncated k-space, a reconstruction kernel)
is one matrix an image and axis, so all of it together is one product an axis. `None` is an
operation that is switched off, and costs nothing.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from models.augmentation.draws import Draws
from models.augmentation.settings import Augment

MODES = 4  # cosines an axis in a smooth field: a few bends across an image
# pixels; what a sharp reconstruction kernel adds is what a blur of this width takes away
KERNEL_BLUR = 1.0
LEAST_LIGHT = 1 / 255  # of a photograph's range: a stain is measured by the logarithm of the light
# Optical density of haematoxylin, eosin and their residual in red, green and blue (Ruifrok and
# Johnston 2001, table 1)
STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])


@dataclass(frozen=True)
class Acquisition:
    """The parameters of `batch` images, as `draw_acquisition` drew them."""

    blur: Float[Tensor, "batch"] | None  # standard deviation, pixels
    coarse: Float[Tensor, "batch"] | None  # side of the coarser pixels, in pixels; 1: as they are
    # share of each axis's spatial frequencies that is lost, from the highest down
    gibbs: Float[Tensor, "batch"] | None
    # of what KERNEL_BLUR takes away: added if above 0, taken away if below
    kernel: Float[Tensor, "batch"] | None
    bias: Float[Tensor, "batch *mode"] | None  # amplitudes of a smooth field
    # natural logarithm of the gain where that field is largest
    bias_gain: Float[Tensor, "batch"] | None
    spike: Float[Tensor, "batch"] | None  # amplitude of the stripes, of the image's mean
    # their cycles along each axis, a share of the highest frequency, either way
    spike_at: Float[Tensor, "batch axis"] | None
    spike_phase: Float[Tensor, "batch"] | None  # radians
    level: Float[Tensor, "batch"] | None  # of the window, of its width, from its middle
    width: Float[Tensor, "batch"] | None  # of the window, relative
    stain: Float[Tensor, "batch stain"] | None  # how much of each there is, relative


def draw_acquisition(
    settings: Augment, blur: Float[Tensor, "batch"], axes: int, draws: Draws
) -> Acquisition:
    """Each image's own, on the CPU.

    `blur` was drawn before, so that older seeds still give the same images.
    """
    upto, within = draws.upto, draws.within
    on = settings.spike > 0
    return Acquisition(
        blur=blur if settings.blur else None,
        coarse=1 + upto(settings.coarse - 1) if settings.coarse > 1 else None,
        gibbs=upto(settings.gibbs) if settings.gibbs else None,
        kernel=within(settings.kernel) if settings.kernel else None,
        bias=draw_field(len(blur), axes, draws.generator) if settings.bias else None,
        bias_gain=upto(settings.bias) if settings.bias else None,
        spike=upto(settings.spike) if on else None,
        spike_at=within(1, axes) if on else None,
        spike_phase=upto(2 * math.pi) if on else None,
        level=within(settings.level) if settings.level else None,
        width=1 + within(settings.width) if settings.width else None,
        stain=1 + within(settings.stain, 3) if settings.stain else None,
    )


def acquire(
    chosen: Acquisition, images: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    """Coil and k-space first, then the grid and the kernel, then how the result is shown or
    stained.
    """
    if chosen.bias is not None and chosen.bias_gain is not None:
        field = smooth_field(chosen.bias, images.shape[2:])[:, None]
        images = images * (chosen.bias_gain.reshape(_one(images)) * field).exp()
    if chosen.spike is not None and chosen.spike_at is not None and chosen.spike_phase is not None:
        images = images + _stripes(chosen.spike, chosen.spike_at, chosen.spike_phase, images)
    images = _along_axes(chosen, images)
    if chosen.level is not None:
        images = images - chosen.level.reshape(_one(images))
    if chosen.width is not None:
        images = (images - 0.5) / chosen.width.reshape(_one(images)) + 0.5
    return images if chosen.stain is None else _restain(images, chosen.stain)


def draw_field(batch: int, axes: int, generator: torch.Generator) -> Float[Tensor, "batch *mode"]:
    """Amplitudes of a smooth field's cosines, the slow ones larger; none is constant."""
    slow = torch.stack(torch.meshgrid(*[torch.arange(MODES)] * axes, indexing="ij")).sum(0)
    return torch.randn(batch, *slow.shape, generator=generator) / slow.clamp(min=1) * (slow > 0)


def smooth_field(
    amplitudes: Float[Tensor, "batch *mode"], space: torch.Size
) -> Float[Tensor, "batch *space"]:
    """The sum of those cosines, scaled so that each image's largest magnitude is 1."""
    field = amplitudes
    for side in space:
        at = (torch.arange(side, device=field.device) + 0.5) / side
        field = torch.tensordot(
            field,
            torch.cos(math.pi * torch.arange(MODES, device=field.device)[:, None] * at),
            dims=([1], [0]),
        )
    return field / field.flatten(1).abs().amax(1).reshape(-1, *[1] * len(space))


def _stripes(
    spike: Float[Tensor, "batch"],
    spike_at: Float[Tensor, "batch axis"],
    spike_phase: Float[Tensor, "batch"],
    images: Float[Tensor, "batch channel *space"],
) -> Float[Tensor, "batch 1 *space"]:
    """One point of k-space too bright is a wave across the image (as torchio's RandomSpike, of the
    mean in place of the largest).
    """
    phase = spike_phase.reshape(_one(images)[:1] + [1] * (images.ndim - 2))
    for axis, side in enumerate(images.shape[2:]):
        at = torch.arange(side, device=images.device).reshape([-1] + [1] * (images.ndim - 3 - axis))
        # of k-space's grid: a whole number across the image
        cycles = (spike_at[:, axis] * (side // 2)).round()
        cycles = cycles.reshape(phase.shape[:1] + (1,) * (images.ndim - 2))
        phase = phase + 2 * math.pi / side * cycles * at
    mean = images.flatten(1).mean(1).reshape(_one(images))
    return spike.reshape(_one(images)) * mean * phase.cos()[:, None]


def _along_axes(
    chosen: Acquisition, images: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    for axis in range(2, images.ndim):
        matrix = _matrix(chosen, images.shape[axis], images.device)
        if matrix is None:
            return images
        lines = images.flatten(1, axis - 1)  # (batch, what is before, side, ...)
        lines = (
            lines @ matrix.transpose(1, 2)
            if lines.ndim == 3
            else matrix[:, None] @ lines.flatten(3)
        )
        images = lines.reshape(images.shape)
    return images


def _matrix(
    chosen: Acquisition, side: int, device: torch.device
) -> Float[Tensor, "batch side side"] | None:
    """All that happens along an axis of `side` pixels, the first of it rightmost."""
    parts = []
    if chosen.gibbs is not None:
        parts.append(truncation(side, chosen.gibbs))
    if chosen.blur is not None:
        parts.append(gaussian(side, chosen.blur))
    if chosen.coarse is not None:
        parts.append(coarsening(side, chosen.coarse))
    if chosen.kernel is not None:
        unit = torch.eye(side, device=device)
        parts.append(
            unit
            + chosen.kernel[:, None, None]
            * (unit - gaussian(side, torch.full_like(chosen.kernel, KERNEL_BLUR)))
        )
    result = None
    for part in parts:
        result = part if result is None else part @ result
    return result


def gaussian(side: int, sigma: Float[Tensor, "batch"]) -> Float[Tensor, "batch side side"]:
    """Blur with each image's own width; weights beyond the edge fall away."""
    at = torch.arange(side, device=sigma.device)
    # one exponential a distance
    weights = torch.exp(-0.5 * (at / sigma.clamp(min=1e-3)[:, None]) ** 2)[
        :, (at[:, None] - at).abs()
    ]
    return weights / weights.sum(2, keepdim=True)


def truncation(side: int, lost: Float[Tensor, "batch"]) -> Float[Tensor, "batch side side"]:
    """K-space without its outer part, which rings along edges (Gibbs); the mean stays."""
    frequency = torch.fft.rfftfreq(side, device=lost.device) * 2  # 1: the highest there is
    kept = (frequency <= 1 - lost[:, None]).to(torch.float32)
    spectrum = torch.fft.rfft(torch.eye(side, device=lost.device))  # of each pixel alone
    return torch.fft.irfft(spectrum * kept[:, None], n=side).transpose(1, 2)


def coarsening(side: int, size: Float[Tensor, "batch"]) -> Float[Tensor, "batch side side"]:
    """Means over pixels `size` times as long, interpolated linearly back to the fine ones."""
    at = torch.arange(side, device=size.device, dtype=torch.float32)
    cell, size = at[:, None], size[:, None, None]
    first, last = (cell * size).clamp(max=side), ((cell + 1) * size).clamp(max=side)
    overlap = (torch.minimum(last, at + 1) - torch.maximum(first, at)).clamp(min=0)
    # (batch, cell, pixel); cells beyond the edge hold nothing
    means = overlap / overlap.sum(2, keepdim=True).clamp(min=1e-6)
    cells = torch.ceil(side / size)
    place = ((at[:, None] + 0.5) / size - 0.5).clamp(min=0).minimum(cells - 1)
    return (1 - (place - at).abs()).clamp(min=0) @ means


def _restain(
    images: Float[Tensor, "batch channel *space"], amounts: Float[Tensor, "batch stain"]
) -> Float[Tensor, "batch channel *space"]:
    """More or less of each stain: a change of the light's logarithm (Tellez et al. 2018, section
    3.2).
    """
    stains = STAINS.to(images.device)
    stains = stains / stains.norm(dim=1, keepdim=True)
    density = -images.clamp(min=LEAST_LIGHT).log().flatten(2)
    change = torch.linalg.inv(stains) @ (amounts[:, :, None] * stains)  # colour -> stains -> colour
    return (-(change.transpose(1, 2) @ density)).exp().reshape(images.shape)


def _one(images: Tensor) -> list[int]:
    """The shape in which one number an image multiplies a batch."""
    return [-1] + [1] * (images.ndim - 1)
