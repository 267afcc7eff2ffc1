"""Pictures that store places in a palette of colours."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, VLPhotographicImageStorage

from tests.odd_series.case import Right, odd
from tests.odd_series.made import header, save, with_pixels

PLACES = np.add.outer(5 * np.arange(24), np.arange(20)).astype(np.uint8)
COLOURS = {
    "Red": np.arange(256),
    "Green": 255 - np.arange(256),
    "Blue": np.arange(256) // 2,
}  # of 8 bits
SEEN = np.stack([values[PLACES] for values in COLOURS.values()], axis=-1)


def picture(bits: int, order: str = "<", scale: int = 256) -> Dataset:
    """`bits`: of a colour, as the palette states; `scale`: what 8-bit colours are multiplied by in 16."""
    data = with_pixels(
        header(VLPhotographicImageStorage, "XC"), PLACES, PhotometricInterpretation="PALETTE COLOR"
    )
    for channel, values in COLOURS.items():
        setattr(data, f"{channel}PaletteColorLookupTableDescriptor", [256, 0, bits])
        stored = values.astype(np.uint8) if bits == 8 else (values * scale).astype(f"{order}u2")
        setattr(data, f"{channel}PaletteColorLookupTableData", stored.tobytes())
    if order == ">":
        data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    return data


@odd
def a_palette_of_eight_bits(folder: Path) -> Right:
    """Two entries a word. PS3.3 C.7.6.3.1.6."""
    save(picture(8), folder / "x.dcm")
    return Right((SEEN,))


@odd
def a_palette_of_sixteen_bits(folder: Path) -> Right:
    """Colours are relative to full scale: the upper eight bits are kept. PS3.3 C.7.6.3.1.5."""
    save(picture(16), folder / "x.dcm")
    return Right((SEEN,))


@odd
def a_palette_of_a_big_endian_file(folder: Path) -> Right:
    """The same in the other byte order, which pydicom 3.0.2 does not turn. PS3.5 A.3; pydicom-data's OBXXXX1A_expb.dcm."""
    save(picture(16, ">"), folder / "x.dcm")
    return Right((SEEN,))


@odd
def a_palette_that_says_more_bits_than_it_has(folder: Path) -> Right:
    """The other way: colours of 0 to 255 of 65,535 are all black, and not one value everywhere. PS3.3 C.7.6.3.1.5."""
    save(picture(16, scale=1), folder / "x.dcm")
    return Right((), {"colours_lost": 1})
