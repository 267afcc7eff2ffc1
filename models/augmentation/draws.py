"""Random numbers for each image of a batch, on the CPU so that every device gets the same ones."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Uniform numbers, `batch` of each, one after the other from one generator."""

    batch: int
    generator: torch.Generator

    def within(self, reach: float, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Up to `reach` either way."""
        return (2 * torch.rand(self.batch, *shape, generator=self.generator) - 1) * reach

    def upto(self, highest: float) -> Float[Tensor, "batch"]:
        """From 0 to `highest`."""
        return torch.rand(self.batch, generator=self.generator) * highest
