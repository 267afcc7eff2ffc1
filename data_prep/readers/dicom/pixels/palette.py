"""Colours of an image that stores places in a palette (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6)."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

CHANNELS = ("Red", "Green", "Blue")


def colours(stored: np.ndarray, data: Dataset) -> np.ndarray:
    """(rows, columns) of places -> (rows, columns, 3) of 8 or 16 bits, as the palette's descriptor
    says.
    """
    big = (
        not data.original_encoding[1]
        and bits(data) > 8
        and f"{CHANNELS[0]}PaletteColorLookupTableData" in data
    )
    return apply_color_lut(stored, _little(data) if big else data)[..., :3]


def bits(data: Dataset) -> int:
    """Of a colour: 8 or 16, by the descriptor's third value."""
    return 16 if data.RedPaletteColorLookupTableDescriptor[2] > 8 else 8


def _little(data: Dataset) -> Dataset:
    """The palette of a big endian file in the order of this machine, which pydicom 3.0.2 takes all
    palettes to be in.
    """
    palette = Dataset()
    for channel in CHANNELS:
        name = f"{channel}PaletteColorLookupTable"
        setattr(palette, f"{name}Descriptor", data[f"{name}Descriptor"].value)
        setattr(
            palette,
            f"{name}Data",
            np.frombuffer(data[f"{name}Data"].value, ">u2").astype("=u2").tobytes(),
        )
    return palette
