"""Planes and volumes in NIfTI whose header says how they lie: once, twice, or only that they have pixels."""

from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from tests.odd_series.case import Right, odd
from tests.odd_series.made import anatomy

AXIAL = np.diag(
    [-0.6, -0.8, 3.0, 1.0]
)  # as DICOM stores an axial series: to the left, back and head


def save(
    path: Path,
    affine: np.ndarray,
    values: np.ndarray | None = None,
    sform: int = 1,
    qform: int = 1,
    pixdim: np.ndarray | None = None,
) -> None:
    """`values`: (slices, rows, columns); `pixdim`: the affine that the qform and pixdim are made from."""
    stored = (anatomy() if values is None else values).T
    image = nibabel.Nifti1Image(stored, affine)
    image.set_qform(affine if pixdim is None else pixdim, qform)
    image.set_sform(affine, sform)
    nibabel.save(image, path)


@odd
def one_picture_in_every_format(folder: Path) -> Right:
    """One picture that SimpleITK wrote as PNG, MetaImage, NRRD and NIfTI, flat and as one slice, is one picture: the affine of the NIfTI says
    that rows run to the back. Project-MONAI/MONAI#6321, TorchIO-project/torchio#266."""
    picture = anatomy()[0].astype(np.uint8)
    for ending in ("png", "mha", "nrrd", "nii.gz"):
        sitk.WriteImage(sitk.GetImageFromArray(picture), str(folder / f"picture.{ending}"))
    sitk.WriteImage(sitk.GetImageFromArray(picture[None]), str(folder / "slice.nii.gz"))
    return Right(volumes=(picture,) * 5)


@odd
def a_plane_with_voxel_sizes_alone(folder: Path) -> Right:
    """A picture for which somebody made up an affine, numpy.eye(4): it says nothing, and NIfTI's second axis points up (nifti1.h). Its first
    row in the file is the lowest."""
    save(folder / "x.nii", np.eye(4), anatomy()[:1], sform=2, qform=0)
    return Right(volumes=(anatomy()[0, ::-1],), flags=frozenset({"no_place"}))


@odd
def forms_that_differ(folder: Path) -> Right:
    """A qform that turns the volume half a turn against the sform: readers prefer one or the other (nifti1.h, methods 2 and 3; ITK takes the
    qform where it is of the scanner), so a person has to look."""
    save(folder / "x.nii", AXIAL, pixdim=AXIAL @ np.diag([-1.0, -1.0, 1.0, 1.0]))
    return Right(volumes=(anatomy(),), flags=frozenset({"affines_differ"}))


@odd
def an_sform_of_1_mm_beside_pixdim(folder: Path) -> Right:
    """A tool that wrote an sform of 1 mm and left pixdim as it was: nibabel takes 1 mm, ITK the sizes of pixdim."""
    save(folder / "x.nii", np.diag([-1.0, -1.0, 1.0, 1.0]), qform=0, pixdim=AXIAL)
    content = bytearray((folder / "x.nii").read_bytes())
    content[80:92] = np.array(
        [0.6, 0.8, 3.0], "<f4"
    ).tobytes()  # pixdim, which nibabel sets from the sform
    (folder / "x.nii").write_bytes(content)
    return Right(volumes=(anatomy(),), flags=frozenset({"spacing_differs"}))


@odd
def a_qform_that_leaves_its_sign_out(folder: Path) -> Right:
    """pixdim[0] of 0 stands for 1 (nifti1.h, method 2): old tools left it so. nifti1_io.c takes whatever is not below 0 for 1."""
    save(folder / "x.nii", AXIAL, sform=0)
    content = bytearray((folder / "x.nii").read_bytes())
    content[76:80] = bytes(4)
    (folder / "x.nii").write_bytes(content)
    return Right(volumes=(anatomy(),))


@odd
def forms_that_agree(folder: Path) -> Right:
    """The sound neighbour of both: a quaternion in float32 is the sform but for rounding."""
    turn = np.array(
        [[0.9689124, -0.2474040, 0, 0], [0.2474040, 0.9689124, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    save(folder / "x.nii", turn @ AXIAL)
    return Right(volumes=(anatomy(),), flags=frozenset())
