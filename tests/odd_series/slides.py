"""Pictures of a slide's label, which name the patient, beside pictures that do not."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, VLWholeSlideMicroscopyImageStorage

from tests.odd_series.case import Right, odd
from tests.odd_series.made import anatomy, at, header, save, with_pixels

ROW, COLUMN = np.mgrid[:64, :64]
PICTURE = np.stack(
    [200 + ROW // 4, 150 + COLUMN // 2, 170 + (ROW * COLUMN) // 100], axis=-1
).astype(np.uint8)


def slide(flavour: str, label: str | None, number: int = 1, frames: int = 1) -> Dataset:
    """`label`: Specimen Label in Image."""
    data = header(
        VLWholeSlideMicroscopyImageStorage,
        "SM",
        number,
        ImageType=["ORIGINAL", "PRIMARY", flavour, "NONE"],
        TotalPixelMatrixColumns=64 * frames,
        TotalPixelMatrixRows=64,
    )
    if label:
        data.SpecimenLabelInImage = label
    with_pixels(
        data,
        PICTURE[..., 0],
        PhotometricInterpretation="RGB",
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        NumberOfFrames=frames,
    )
    data.PixelData = PICTURE.tobytes() * frames
    return data


@odd
def a_picture_of_the_label(folder: Path) -> Right:
    """Image Type LABEL: a photograph of the sticker with name, number and barcode. PS3.3 C.8.12.4.1.1; imi-bigpicture/wsidicomizer#50."""
    save(slide("LABEL", None), folder / "1.dcm")
    save(slide("LABEL", "NO", 2), folder / "2.dcm")
    written_elsewhere = slide("NONE", "NO", 3)
    written_elsewhere.ImageType = ["DERIVED", "PRIMARY", "NONE", "LABEL"]
    save(written_elsewhere, folder / "3.dcm")
    return Right((), {"slide_label": 3})


@odd
def a_slide_seen_whole_with_its_label(folder: Path) -> Right:
    """Image Type OVERVIEW, whose label nobody says is left out; and any flavour that says it is in. PS3.3 C.8.12.4.1.1, (0048,0010)."""
    save(slide("OVERVIEW", None), folder / "1.dcm")
    save(slide("OVERVIEW", "YES", 2), folder / "2.dcm")
    save(slide("VOLUME", "YES", 3), folder / "3.dcm")
    return Right((), {"slide_label": 3})


@odd
def pictures_of_a_slide_without_its_label(folder: Path) -> Right:
    """The other way: tissue, and an overview that says that its label is left out. PS3.3 C.8.12.4.1.1, (0048,0010)."""
    save(slide("VOLUME", "NO"), folder / "1.dcm")
    save(slide("OVERVIEW", "NO", 2), folder / "2.dcm")
    return Right((PICTURE, PICTURE))


@odd
def a_whole_slide_of_a_flavour_that_says_nothing_of_its_label(folder: Path) -> Right:
    """LOCALIZER (of older drafts), MACRO (a maker's) or none, and no Specimen Label in Image: counted among what may show text."""
    save(slide("LOCALIZER", None), folder / "1.dcm")
    return Right((PICTURE,), flags=frozenset({"exposed"}))


@odd
def a_slide_in_tiles(folder: Path) -> Right:
    """Frames that are tiles of one picture: not put together, and no film. PS3.3 C.7.6.17."""
    save(slide("VOLUME", "NO", frames=3), folder / "1.dcm")
    return Right((), {"slide": 1})


@odd
def a_label_that_is_no_slides(folder: Path) -> Right:
    """The other way: in MR, LABEL is a kind of arterial spin labelling image. PS3.3 C.8.13.5.14 (ASL Context)."""
    for number, plane in enumerate(anatomy(), 1):
        save(
            at(
                with_pixels(
                    header(
                        MRImageStorage, "MR", number, ImageType=["ORIGINAL", "PRIMARY", "LABEL"]
                    ),
                    plane,
                ),
                0,
                0,
                3.0 * number,
            ),
            folder / f"{number}.dcm",
        )
    return Right((anatomy().astype(float),))
