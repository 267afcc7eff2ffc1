"""Batched augmentation on the images' device, 2D and 3D: `draw` chooses each image's own
parameters, `apply` uses them.

MONAI's Rand* transforms draw one transform for a whole batch, and item by item they are far slower;
so this is ours. The two halves are apart so that an augmentation can be replayed (the habit of
torchio). Queries never come here.
"""

import math
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from models.augmentation.acquisition import (
    Acquisition,
    acquire,
    draw_acquisition,
    draw_field,
    smooth_field,
)
from models.augmentation.draws import Draws
from models.augmentation.settings import Augment


@dataclass(frozen=True)
class Augmentation:
    """The parameters of `batch` images.

    `noise_seed` makes the noise replayable without storing it.
    """

    flips: Bool[Tensor, "batch axis"]
    angle: Float[Tensor, "batch"]  # radians, in the plane of the last two axes
    scale: Float[Tensor, "batch"]  # > 1 shows more of the scene
    shift: Float[Tensor, "batch axis"]  # of the image's side
    # a smooth field of displacements along each axis; None: off
    bend: Float[Tensor, "batch*axis *mode"] | None
    bend_reach: Float[Tensor, "batch"] | None  # its largest displacement, of the image's side
    acquisition: Acquisition
    brightness: Float[Tensor, "batch"]
    contrast: Float[Tensor, "batch"]
    gamma: Float[Tensor, "batch"]
    gain: Float[Tensor, "batch channel"]
    noise: Float[Tensor, "batch"]  # standard deviation, of full range
    noise_seed: int


def draw(
    settings: Augment, images: Float[Tensor, "batch channel *space"], seed: int
) -> Augmentation:
    """Draw parameters for each image from `seed`, on the CPU so that every device gets the same
    ones.
    """
    generator = torch.Generator().manual_seed(seed)
    batch, channels, axes = images.shape[0], images.shape[1], images.ndim - 2
    draws = Draws(batch, generator)
    upto, within = draws.upto, draws.within
    coins = torch.rand(batch, axes, generator=generator) < 0.5
    allowed = torch.tensor([settings.flip_all] * (axes - 1) + [settings.flip or settings.flip_all])
    angle, scale = within(math.radians(settings.rotate)), 1 + within(settings.scale)
    shift, brightness = within(settings.shift, axes), within(settings.brightness)
    contrast, gamma = 1 + within(settings.contrast), within(settings.gamma).exp()
    gain, noise = 1 + within(settings.colour, channels), upto(settings.noise)
    blur = upto(settings.blur)
    noise_seed = int(torch.randint(2**31, (1,), generator=generator))
    return _to(
        images.device,
        Augmentation(
            coins & allowed,
            angle,
            scale,
            shift,
            draw_field(batch * axes, axes, generator) if settings.bend else None,
            upto(settings.bend) if settings.bend else None,
            draw_acquisition(settings, blur, axes, draws),
            brightness,
            contrast,
            gamma,
            gain,
            noise,
            noise_seed,
        ),
    )


def apply(
    chosen: Augmentation, images: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    """Move, acquire, then change intensities; the result stays in [0, 1]."""
    return _noise(
        chosen, _intensities(chosen, acquire(chosen.acquisition, _move(chosen, images)))
    ).clamp(0, 1)


def augment(
    settings: Augment, images: Float[Tensor, "batch channel *space"], seed: int
) -> Float[Tensor, "batch channel *space"]:
    """Draw and apply in one go."""
    return apply(draw(settings, images, seed), images)


def _move(
    chosen: Augmentation, images: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    """Rotate in plane, scale, shift, mirror and bend in one interpolation; the edge is repeated
    outside the image.
    """
    batch, axes = chosen.shift.shape
    size = torch.tensor(images.shape[2:], device=images.device, dtype=torch.float32)
    theta = torch.zeros(batch, axes, axes + 1, device=images.device)
    # affine_grid counts axes from the last (x) backwards, in half sides; rotation needs equal units
    # in plane
    cos, sin = chosen.angle.cos(), chosen.angle.sin()
    aspect = size[-2] / size[-1]
    theta[:, 0, 0], theta[:, 0, 1] = cos, -sin * aspect
    theta[:, 1, 0], theta[:, 1, 1] = sin / aspect, cos
    if axes == 3:
        theta[:, 2, 2] = 1
    mirror = torch.where(chosen.flips.flip(1), -1.0, 1.0)
    theta[:, :, :axes] *= chosen.scale[:, None, None] * mirror[:, None, :]
    theta[:, :, axes] = 2 * chosen.shift.flip(1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    if chosen.bend is not None and chosen.bend_reach is not None:
        field = smooth_field(chosen.bend, images.shape[2:]).unflatten(0, (batch, axes))
        grid = grid + 2 * chosen.bend_reach.reshape([-1] + [1] * (axes + 1)) * field.movedim(
            1, -1
        ).flip(-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _intensities(
    chosen: Augmentation, images: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    """Contrast about each image's mean, brightness, gain a channel, then gamma."""
    one = [-1] + [1] * (images.ndim - 1)
    mean = images.flatten(1).mean(1).reshape(one)
    images = (images - mean) * chosen.contrast.reshape(one) + mean + chosen.brightness.reshape(one)
    images = images * chosen.gain.reshape(*chosen.gain.shape, *one[2:])
    return images.clamp(0, 1) ** chosen.gamma.reshape(one)


def _noise(
    chosen: Augmentation, images: Float[Tensor, "batch channel *space"]
) -> Float[Tensor, "batch channel *space"]:
    generator = torch.Generator(images.device).manual_seed(chosen.noise_seed)
    grain = torch.randn(images.shape, generator=generator, device=images.device)
    return images + grain * chosen.noise.reshape([-1] + [1] * (images.ndim - 1))


def _to(device: torch.device, chosen: Any) -> Any:
    """The same parameters on another device."""
    found = {part.name: getattr(chosen, part.name) for part in fields(chosen)}
    return replace(
        chosen,
        **{
            name: value.to(device) if isinstance(value, Tensor) else _to(device, value)
            for name, value in found.items()
            if isinstance(value, Tensor) or is_dataclass(value)
        },
    )
