"""Sound exports, which every rule against odd ones has to leave alone."""

from pathlib import Path

from pydicom.uid import CTImageStorage

from tests.odd_series.case import Right, odd
from tests.odd_series.made import anatomy, at, header, save, with_pixels


@odd
def a_ct_series(folder: Path) -> Right:
    """Six slices of one CT series. PS3.3 A.3."""
    for number, plane in enumerate(anatomy(), 1):
        data = header(
            CTImageStorage, "CT", number, RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU"
        )
        save(at(with_pixels(data, plane), 0, 0, 3.0 * number), folder / f"{number}.dcm")
    return Right(volumes=(anatomy() - 1024.0,))
