"""NIfTI as a research archive exports it: one .nii.gz for each image or volume, with the same bytes
each time.
"""

import gzip
import io

import nibabel
import numpy as np

from data_prep.phantom.cohort import Patient
from data_prep.phantom.exported import ExportedFile

COMPRESSION = 6


def nifti_file(
    patient: Patient,
    image: int,
    array: np.ndarray,
    spacing: tuple[float, float, float],
    origin: np.ndarray,
) -> ExportedFile:
    """One file.

    `array`: (slices, rows, columns); `spacing`: mm, columns, rows, slices; `origin`: mm, LPS, of
    the first voxel.
    """
    last_row = (
        origin[1] + (array.shape[1] - 1) * spacing[1]
    )  # rows are written from the last up, as dcm2niix does
    affine = np.diag(
        [-spacing[0], spacing[1], spacing[2], 1.0]
    )  # DICOM counts to the left and back, NIfTI the other way
    affine[:3, 3] = np.round([-origin[0], -last_row, origin[2]], 3)
    volume = nibabel.Nifti1Image(np.ascontiguousarray(array[:, ::-1].transpose(2, 1, 0)), affine)
    volume.header.set_xyzt_units("mm")
    volume.header["descrip"] = f"ZZPHI {patient.name}".encode()
    buffer = io.BytesIO()
    with gzip.GzipFile(
        filename="", mode="wb", fileobj=buffer, compresslevel=COMPRESSION, mtime=0
    ) as packed:
        packed.write(volume.to_bytes())
    return ExportedFile(f"{patient.identifier}_{image}.nii.gz", buffer.getvalue(), {})
