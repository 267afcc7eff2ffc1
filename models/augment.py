"""Batched augmentation on the images' device, 2D and 3D: `draw` chooses each image's own parameters, `apply` uses them.

MONAI's Rand* transforms draw one transform for a whole batch, and item by item they are far slower; so this is ours. The two
halves are apart so that an augmentation can be replayed (the habit of torchio). Queries of an evaluation never come here.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from workspace.settings import Augment


@dataclass(frozen=True)
class Augmentation:
    """The parameters of `batch` images. `noise_seed` makes the noise replayable without storing it."""

    flips: Bool[Tensor, "batch axis"]
    angle: Float[Tensor, "batch"]  # radians, in the plane of the last two axes
    scale: Float[Tensor, "batch"]  # > 1 shows more of the scene
    shift: Float[Tensor, "batch axis"]  # of the image's side
    brightness: Float[Tensor, "batch"]
    contrast: Float[Tensor, "batch"]
    gamma: Float[Tensor, "batch"]
    gain: Float[Tensor, "batch channel"]
    noise: Float[Tensor, "batch"]  # standard deviation, of full range
    blur: Float[Tensor, "batch"]  # standard deviation, pixels
    noise_seed: int


def draw(settings: Augment, images: Float[Tensor, "batch channel *space"], seed: int) -> Augmentation:
    """Draw parameters for each image from `seed`, on the CPU so that every device gets the same ones."""
    generator = torch.Generator().manual_seed(seed)
    batch, channels, axes = images.shape[0], images.shape[1], images.ndim - 2

    def within(reach: float, *shape: int) -> Tensor:
        return ((2 * torch.rand(batch, *shape, generator=generator) - 1) * reach).to(images.device)

    def upto(highest: float) -> Tensor:
        return (torch.rand(batch, generator=generator) * highest).to(images.device)

    coins = torch.rand(batch, axes, generator=generator) < 0.5
    allowed = torch.tensor([settings.flip_all] * (axes - 1) + [settings.flip or settings.flip_all])
    return Augmentation(
        flips=(coins & allowed).to(images.device),
        angle=within(math.radians(settings.rotate)), scale=1 + within(settings.scale), shift=within(settings.shift, axes),
        brightness=within(settings.brightness), contrast=1 + within(settings.contrast), gamma=within(settings.gamma).exp(),
        gain=1 + within(settings.colour, channels), noise=upto(settings.noise), blur=upto(settings.blur),
        noise_seed=int(torch.randint(2**31, (1,), generator=generator)))


def apply(chosen: Augmentation, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *space"]:
    """Move, blur, then change intensities, in the order of an acquisition; the result stays in [0, 1]."""
    moved = _move(chosen, images)
    blurred = _blur(moved, chosen.blur) if bool((chosen.blur > 0).any()) else moved
    return _noise(chosen, _intensities(chosen, blurred)).clamp(0, 1)


def augment(settings: Augment, images: Float[Tensor, "batch channel *space"], seed: int) -> Float[Tensor, "batch channel *space"]:
    """Draw and apply in one go."""
    return apply(draw(settings, images, seed), images)


def _move(chosen: Augmentation, images: Tensor) -> Tensor:
    """Rotate in plane, scale, shift and mirror in one interpolation; the edge is repeated outside the image."""
    batch, axes = chosen.shift.shape
    size = torch.tensor(images.shape[2:], device=images.device, dtype=torch.float32)
    theta = torch.zeros(batch, axes, axes + 1, device=images.device)
    # affine_grid counts axes from the last (x) backwards, in half sides; rotation needs equal units in plane
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
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _blur(images: Tensor, sigma: Float[Tensor, "batch"]) -> Tensor:
    """Gaussian blur with each image's own width, one pass an axis, every image and channel a group of one convolution."""
    reach = max(1, math.ceil(3 * float(sigma.max())))
    at = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.exp(-0.5 * (at / sigma.clamp(min=1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(images.shape[1], 0)
    axes = images.ndim - 2
    conv = F.conv3d if axes == 3 else F.conv2d
    flat = images.flatten(0, 1)[None]
    for axis in range(axes):
        shape, pad = [1] * axes, [0] * (2 * axes)
        shape[axis] = len(at)
        pad[2 * (axes - 1 - axis)] = pad[2 * (axes - 1 - axis) + 1] = reach
        flat = conv(F.pad(flat, pad, mode="replicate"), kernel.reshape(-1, 1, *shape), groups=len(kernel))
    return flat[0].unflatten(0, images.shape[:2])


def _intensities(chosen: Augmentation, images: Tensor) -> Tensor:
    """Contrast about each image's mean, brightness, gain a channel, then gamma."""
    one = [-1] + [1] * (images.ndim - 1)
    mean = images.flatten(1).mean(1).reshape(one)
    images = (images - mean) * chosen.contrast.reshape(one) + mean + chosen.brightness.reshape(one)
    images = images * chosen.gain.reshape(*chosen.gain.shape, *one[2:])
    return images.clamp(0, 1) ** chosen.gamma.reshape(one)


def _noise(chosen: Augmentation, images: Tensor) -> Tensor:
    generator = torch.Generator(images.device).manual_seed(chosen.noise_seed)
    grain = torch.randn(images.shape, generator=generator, device=images.device)
    return images + grain * chosen.noise.reshape([-1] + [1] * (images.ndim - 1))
