"""One record as NIfTI on the grid of its files: nothing resampled, nothing windowed, and a flag for whatever a header does not say."""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from data_prep.decode import Planned, read
from data_prep.deidentify import Keys
from data_prep.image_file import Pixels
from data_prep.orientation import LPS_TO_RAS, from_common
from data_prep.rejects import Reject
from data_prep.series import slice_affine
from workspace.outputs import to_json

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])  # NIfTI's RGB24
NIFTI1_LIMIT = 2**15 - 1  # voxels along an axis
UNKNOWN_PIXEL = (1.0, 1.0)  # mm
SCANNER, ALIGNED = 1, 2  # NIfTI's form codes: the scanner's coordinates, or any others
AT_RISK = frozenset({"SC", "US", "XA"})  # their devices like to write names into the pixels

# What the JSON beside an image holds, and nothing else. Identifiers are keyed hashes.
TOLD = ("record", "patient", "study", "series", "age", "sex", "study_year", "modality", "manufacturer", "model",
        "transfer_syntax", "photometric", "slices",  # as in records.parquet
        "number")  # of the record in its series, from 1: stacks, and in each its echoes, image types and time points in their order
MEASURED = ("shape", "spacing", "affine", "flags", "padding_voxels")  # of the NIfTI file's axes; spacing in mm, missing where not known

FLAGS = {
    "inverted": "the lowest value is white (MONOCHROME1); values are as they are in the file",
    "padding": "voxels that the file calls padding; their values are as they are in the file, padding_voxels counts them",
    "no_rescale": "CT without a rescale: values are as stored, and perhaps not HU",
    "no_spacing": "no pixel size: 1 mm is made up",
    "no_place": "no usable position and orientation: columns are taken to run to the left, rows to the back",
    "no_stated_count": "no header says how many slices there are: a slice lost at an end cannot be noticed",
    "multi_frame": "frames of one file",
    "at_risk_modality": "a modality whose pictures often show names: look before passing it on",
}


@dataclass(frozen=True)
class Native:
    """A record as it is written. `told`: the content of the JSON."""

    image: nibabel.Nifti1Image
    told: dict[str, object]


def native_name(plan: Planned, keys: Keys) -> str:
    """The keyed hash of the record's first file, with the first frame's number where a file may make several records."""
    first = plan.files[0]
    frames = [image.frame for image in plan.files if image.frame is not None and image.found == first.found]
    return keys.file(first.found.name) + (f"_frame{min(frames) + 1}" if frames else "")


def read_native(plan: Planned) -> Native | list[Reject]:
    """Decode a record; or the rejects of all of its files."""
    pixels = read(plan, windowed=False)
    if not isinstance(pixels, Pixels):
        return pixels
    first = plan.files[0]
    known = plan.affine if plan.affine is not None else first.affine
    pixel = first.facts.spacing or UNKNOWN_PIXEL
    if known is None:
        known = slice_affine(first, pixel)
    affine = LPS_TO_RAS @ np.diag([pixel[1], pixel[0], 1.0, 1.0]) if known is None else known
    voxels = _voxels(pixels, affine, bottom_up=first.affine is not None)
    image = (nibabel.Nifti1Image if max(voxels.shape) <= NIFTI1_LIMIT else nibabel.Nifti2Image)(voxels, affine)
    code = SCANNER if first.kind == "dicom" and known is not None else ALIGNED
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    image.header.set_xyzt_units("mm")
    spacing = voxel_sizes(affine) if pixels.values.ndim == 3 and not pixels.photograph else first.facts.spacing and first.facts.spacing[::-1]
    return Native(image, {name: plan.row[name] for name in TOLD} | dict(zip(MEASURED, (
        list(voxels.shape), None if spacing is None else [round(float(size), 6) for size in spacing], affine.tolist(),
        _flags(plan, pixels, placed=known is not None), 0 if pixels.valid is None else int((~pixels.valid).sum())), strict=True)))


def write_native(native: Native, name: str, folder: Path) -> None:
    """NAME.nii.gz and NAME.json."""
    nibabel.save(native.image, folder / f"{name}.nii.gz")
    (folder / f"{name}.json").write_text(to_json(native.told))


def _voxels(pixels: Pixels, affine: np.ndarray, bottom_up: bool) -> np.ndarray:
    """(columns, rows, slices) in the order of the files. `bottom_up`: a single plane's last row is at the top, as in NIfTI."""
    if pixels.values.ndim == 3 and not pixels.photograph:
        return from_common(pixels.values, affine)
    plane = pixels.values[::-1] if bottom_up else pixels.values
    plane = np.ascontiguousarray(plane.swapaxes(0, 1))
    return plane.view(RGB) if pixels.photograph else plane[..., None]


def _flags(plan: Planned, pixels: Pixels, placed: bool) -> list[str]:
    modality = plan.row["modality"]
    raised = {
        "inverted": pixels.inverted,
        "padding": pixels.valid is not None,
        "no_rescale": modality == "CT" and not pixels.rescaled,
        "no_spacing": plan.row["spacing"] is None,
        "no_place": not placed,
        "no_stated_count": plan.affine is not None and not any(image.place.stated or image.frame is not None for image in plan.files),
        "multi_frame": plan.files[0].frame is not None,
        "at_risk_modality": modality in AT_RISK,
    }
    return [name for name in FLAGS if raised[name]]
