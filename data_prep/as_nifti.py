"""One record as NIfTI on the grid of its files: nothing resampled, nothing windowed, and a flag for
whatever a header does not say.
"""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from data_prep.decode import Planned, read
from data_prep.privacy.burned_in import AT_RISK
from data_prep.privacy.deidentify import Keys
from data_prep.readers.dicom.units import HU
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.readers.nifti import DOUBTS
from data_prep.readers.plane import as_stored
from data_prep.rejects import Reject
from data_prep.volumes.orientation import LPS_TO_RAS, from_common
from data_prep.volumes.series import slice_affine
from data_prep.volumes.tilt import STRAIGHT
from workspace.outputs import to_json

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])  # NIfTI's RGB24
NIFTI1_LIMIT = 2**15 - 1  # voxels along an axis
UNKNOWN_PIXEL = (1.0, 1.0)  # mm
SCANNER, ALIGNED = 1, 2  # NIfTI's form codes: the scanner's coordinates, or any others

# What of a header gets into the JSON beside an image. Identifiers are keyed hashes.
# Of the record in its series, from 1: stacks, and in each its echoes, image types and time points
# in their order.
TOLD = (
    "record",
    "patient",
    "study",
    "series",
    "age",
    "sex",
    "study_year",
    "modality",
    "manufacturer",
    "model",
    "transfer_syntax",
    "photometric",
    "units",
    "slices",
    "tilt",  # as in records.parquet
    "number",
)
FLAGS = {
    "inverted": "the lowest value is white (MONOCHROME1); values are as they are in the file",
    "padding": "voxels that the file calls padding; their values are as they are in the file, "
    "padding_voxels counts them",
    "no_rescale": "CT without a rescale: values are as stored, and perhaps not HU",
    "not_hu": "CT whose values are not in HU: units says what they are in",
    "no_spacing": "no pixel size: 1 mm is made up",
    "no_place": "no usable position and orientation: columns are taken to run to the left, rows to "
    "the back",
    "no_stated_count": "no header says how many slices there are: a slice lost at an end cannot be "
    "noticed",
    "multi_frame": "frames of one file",
    "straightened": "slices stacked aslant (a tilted gantry), sheared back onto a straight grid by "
    "interpolation: tilt says by how many degrees",
    "doubtful": "values outside the range that the file states: damage may have changed them; or "
    "rows that may be reversed",
    "reversed_rows": "a sequence that turns some volumes upside down without saying which (GE "
    "epi_pepolar): compare with another series",
    **DOUBTS,
    "at_risk_modality": "a modality whose pictures often show names: look before passing it on",
    "exposed": "its header says that a face can be known in it, or does not say that a whole slide "
    "is without its label",
}


def name_of(plan: Planned, keys: Keys) -> str:
    """The keyed hash of the record's first file, with the first frame's number where a file may
    make several records.
    """
    first = plan.files[0]
    frames = [
        image.header.frame
        for image in plan.files
        if image.header.frame is not None and image.identity.found == first.identity.found
    ]
    return keys.file(first.identity.found.name) + (f"_frame{min(frames) + 1}" if frames else "")


def write_nifti(plan: Planned, name: str, folder: Path) -> dict[str, Any] | list[Reject]:
    """Write NAME.nii.gz and NAME.json, and give what the JSON holds; or the rejects of all of the
    record's files.
    """
    pixels = read(plan, windowed=False)
    if not isinstance(pixels, Pixels):
        return pixels
    affine, placed = _grid(plan)
    voxels = _voxels(pixels, affine, turned=plan.files[0].header.affine is not None)
    image = (nibabel.Nifti1Image if max(voxels.shape) <= NIFTI1_LIMIT else nibabel.Nifti2Image)(
        voxels, affine
    )
    code = SCANNER if placed and plan.files[0].header.kind == "dicom" else ALIGNED
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, folder / f"{name}.nii.gz")
    axes = 3 if voxels.shape[2] > 1 else 2  # a single image's thickness is not known
    told = {name: plan.row[name] for name in TOLD} | {
        "shape": list(voxels.shape),
        "spacing": None
        if plan.row["spacing"] is None
        else [round(float(size), 6) for size in voxel_sizes(affine)[:axes]],  # mm
        "affine": affine.tolist(),
        "flags": _flags(plan, pixels, placed),
        "padding_voxels": 0 if pixels.valid is None else int((~pixels.valid).sum()),
    }
    (folder / f"{name}.json").write_text(to_json(told))
    return told


def _grid(plan: Planned) -> tuple[np.ndarray, bool]:
    """(column, row, slice) -> mm, RAS, and whether the files say it: what they do not say is made
    up as FLAGS tells.
    """
    first = plan.files[0]
    pixel = first.header.facts.spacing or UNKNOWN_PIXEL
    for affine in (plan.affine, first.header.affine, slice_affine(first, pixel)):
        if affine is not None:
            return affine, True
    return LPS_TO_RAS @ np.diag([pixel[1], pixel[0], 1.0, 1.0]), False


def _voxels(pixels: Pixels, affine: np.ndarray, turned: bool) -> np.ndarray:
    """(columns, rows, slices) in the order of the files.

    `turned`: a single plane was turned upright by its own affine.
    """
    if pixels.values.ndim == 3 and not pixels.photograph:
        return from_common(pixels.values, affine)
    plane = np.ascontiguousarray(
        as_stored(pixels.values, affine) if turned else pixels.values.swapaxes(0, 1)
    )
    return plane.view(RGB) if pixels.photograph else plane[..., None]


def _flags(plan: Planned, pixels: Pixels, placed: bool) -> list[str]:
    modality = plan.row["modality"]
    raised = {
        "inverted": pixels.inverted,
        "padding": pixels.valid is not None,
        "no_rescale": modality == "CT" and not pixels.rescaled,
        "not_hu": modality == "CT" and pixels.rescaled and plan.row["units"] not in (None, HU),
        "no_spacing": plan.row["spacing"] is None,
        "no_place": not placed,
        "no_stated_count": plan.affine is not None and not any(map(_says_how_many, plan.files)),
        "multi_frame": plan.files[0].header.frame is not None,
        "straightened": plan.lean != STRAIGHT,
        "doubtful": pixels.doubtful,
        "reversed_rows": plan.files[0].header.reversed_rows,
        "at_risk_modality": modality in AT_RISK,
        "exposed": any(image.header.exposed for image in plan.files),
        **dict.fromkeys(DOUBTS, False),
    }
    for image in plan.files:
        raised |= dict.fromkeys(image.header.doubts, True)
    return [name for name in FLAGS if raised[name]]


def _says_how_many(image: ImageFile) -> bool:
    """Whether its header says how many slices there are; a file of several frames always does."""
    return bool(image.header.place.stated) or image.header.frame is not None
