"""An encoder's features of stored images, computed once and without gradients."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from data_prep.episodes.images import Stored

CHUNK = 256  # images in one forward pass


def features_of(
    encoder: nn.Module, images: Stored, rows: Int[np.ndarray, "record"]
) -> Float[Tensor, "record feature"]:
    """The features of the images at `rows`, in chunks."""
    with torch.no_grad():
        return torch.cat(
            [
                encoder(images.gather(part))
                for part in np.split(rows, range(CHUNK, len(rows), CHUNK))
            ]
        )
