"""Files that share a SOP Instance UID: copies, which are used once, and images that differ, of which none is."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from tests.odd_series.case import Right, odd
from tests.odd_series.made import ROOT, anatomy, at, header, save, with_pixels

LARGE = anatomy(2, 40, 36)  # JPEG 2000's encoder refuses images below 32


def radiograph(picture: np.ndarray = LARGE[1], number: int = 1, **elements: object) -> Dataset:
    data = header(DigitalXRayImageStorageForPresentation, "DX", number, **elements)
    return with_pixels(data, picture.astype(np.uint16))


@odd
def an_edited_copy_kept_its_uid(folder: Path) -> Right:
    """Two contents of one UID: which is meant nobody knows; the sound neighbour is used. neurolabusc/dcm_qa_12bit; PS3.3 C.12.1."""
    save(radiograph(), folder / "1.dcm")
    save(radiograph(LARGE[1][::-1]), folder / "1_edited.dcm")
    save(radiograph(LARGE[0], 2), folder / "2.dcm")
    return Right((LARGE[0],), {"one_uid_several_images": 2})


@odd
def one_pixel_differs(folder: Path) -> Right:
    """The least edit is one: a single pixel, in a copy of the same size. PS3.3 C.12.1."""
    changed = LARGE[1].copy()
    changed[3, 4] += 1
    save(radiograph(), folder / "1.dcm")
    save(radiograph(changed), folder / "2.dcm")
    return Right((), {"one_uid_several_images": 2})


@odd
def one_says_that_black_is_white(folder: Path) -> Right:
    """The same stored values in the opposite sense show another picture. PS3.3 C.7.6.3.1.2."""
    save(radiograph(), folder / "1.dcm")
    inverse = radiograph()
    inverse.PhotometricInterpretation = "MONOCHROME1"
    save(inverse, folder / "2.dcm")
    return Right((), {"one_uid_several_images": 2})


@odd
def three_files_of_which_two_agree(folder: Path) -> Right:
    """Two copies against one other: numbers do not tell which is right. PS3.3 C.12.1."""
    save(radiograph(), folder / "1.dcm")
    save(radiograph(), folder / "2.dcm")
    save(radiograph(LARGE[0]), folder / "3.dcm")
    return Right((), {"one_uid_several_images": 3})


@odd
def copies_in_other_transfer_syntaxes_and_headers(folder: Path) -> Right:
    """The other way: files that differ in their encoding and in a comment hold one image. PS3.5 A; PS3.4 C.4.2."""
    save(radiograph(), folder / "0.dcm")
    for number, syntax in enumerate((ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian), 1):
        data = radiograph(ImageComments=f"copy {number}")
        data.file_meta.TransferSyntaxUID = syntax
        save(data, folder / f"{number}.dcm")
    swapped = radiograph()
    swapped.PixelData = LARGE[1].astype(">u2").tobytes()
    swapped.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    save(swapped, folder / "3.dcm")
    for number, syntax in enumerate((RLELossless, JPEG2000Lossless), 4):
        data = radiograph()
        data.compress(syntax, generate_instance_uid=False)
        save(data, folder / f"{number}.dcm")
    return Right((LARGE[1],), {"duplicate_instance": 5})


@odd
def a_copy_with_bytes_behind_its_pixels(folder: Path) -> Right:
    """The other way: what pads a file is not its image. PS3.10 7.2, Data Set Trailing Padding."""
    save(radiograph(), folder / "1.dcm")
    padded = radiograph()
    padded.DataSetTrailingPadding = bytes(64)
    save(padded, folder / "2.dcm")
    return Right((LARGE[1],), {"duplicate_instance": 1})


@odd
def a_cut_copy_beside_a_whole_one(folder: Path) -> Right:
    """The other way: a compressed copy that was cut is no other image, though larger and first by name. PS3.5 A.4."""
    cut = radiograph(ImageComments="x" * 9000)
    cut.compress(JPEG2000Lossless, generate_instance_uid=False)
    save(cut, folder / "1.dcm")
    content = bytearray((folder / "1.dcm").read_bytes())
    start = content.rindex(b"\xff\x93")  # start of data, ISO/IEC 15444-1 A.4
    content[start + 40 : start + 80] = bytes(40)
    (folder / "1.dcm").write_bytes(
        content[: content.rindex(b"\xff\xd9")]
        + b"\0\0"
        + content[content.rindex(b"\xff\xd9") + 2 :]
    )
    save(radiograph(), folder / "2.dcm")
    return Right((LARGE[1],), {"duplicate_instance": 1})


@odd
def one_uid_for_a_whole_series(folder: Path) -> Right:
    """A de-identifier gave every slice one UID: no copies, and no volume can be made. neurolabusc/dcm_qa_12bit."""
    for number, plane in enumerate(anatomy(), 1):
        data = at(
            with_pixels(
                header(CTImageStorage, "CT", number, RescaleSlope=1, RescaleIntercept=-1024), plane
            ),
            0,
            0,
            3.0 * number,
        )
        data.SOPInstanceUID = f"{ROOT}.0"
        save(data, folder / f"{number}.dcm")
    return Right((), {"one_uid_several_images": 6})


@odd
def slices_of_air_under_one_uid(folder: Path) -> Right:
    """Equal pixels at two places are two slices: to drop one would leave a gap or a shorter volume. PS3.3 C.7.6.2.1.1."""
    planes = anatomy()
    planes[:2] = 0
    for number, plane in enumerate(planes, 1):
        data = at(
            with_pixels(
                header(CTImageStorage, "CT", number, RescaleSlope=1, RescaleIntercept=-1024), plane
            ),
            0,
            0,
            3.0 * number,
        )
        data.SOPInstanceUID = f"{ROOT}.0" if number < 3 else data.SOPInstanceUID
        save(data, folder / f"{number}.dcm")
    return Right((), {"one_uid_several_images": 2, "sibling_rejected": 4})


@odd
def a_series_that_was_sent_twice(folder: Path) -> Right:
    """The other way: two transfers of one series are one volume. PS3.4 B.2."""
    for number, plane in enumerate(anatomy(), 1):
        data = at(
            with_pixels(
                header(CTImageStorage, "CT", number, RescaleSlope=1, RescaleIntercept=-1024), plane
            ),
            0,
            0,
            3.0 * number,
        )
        save(data, folder / "first" / f"{number}.dcm")
        data.ImageComments = "again"
        save(data, folder / "second" / f"{number}.dcm")
    return Right((anatomy() - 1024.0,), {"duplicate_instance": 6})


def both(folder: Path, first: dict[str, object], second: dict[str, object]) -> Right:
    """Two radiographs of one picture and one UID."""
    for name, elements in (("a", first), ("b", second)):
        save(radiograph(**elements), folder / f"{name}.dcm")
    return Right(rejects={"one_uid_several_images": 2})


@odd
def one_picture_of_two_patients(folder: Path) -> Right:
    """The same pixels and UID with two Patient IDs: whose they are, nobody knows. PS3.3 C.12.1, C.7.1.1."""
    return both(folder, {"patient": "MADE-1"}, {"patient": "MADE-2"})


@odd
def one_picture_of_two_sizes(folder: Path) -> Right:
    """The same pixels and UID with two pixel spacings, as a calibrated copy that kept its UID. PS3.3 C.12.1, 10.7."""
    return both(folder, {"PixelSpacing": [0.2, 0.2]}, {"PixelSpacing": [0.4, 0.4]})
