"""Series of GE, Siemens and Philips scanners agree with dcm2niix's conversion of them: values, spacing, orientation and position."""

import os
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from data_prep.decode import Planned, read
from data_prep.exports.walk import walk
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.volumes.orientation import COMMON
from data_prep.volumes.series import Volume, group_slices, make_volume, split_repeats

ENHANCED, CLASSIC = "scanners/dcm_qa_enh", "scanners/dcm_qa_nih"
# folder of DICOM: the reference of each echo or image type in it, first one first
REFERENCES = {
    f"{ENHANCED}/In/Philips": ["Philips_WIP_B0_NS_801_e1", "Philips_WIP_B0_NS_801_e2_fieldmaphz"],
    f"{ENHANCED}/In/Siemens": ["Siemens_REST1_w_SMS_PF7-8_6"],
    **{
        f"{CLASSIC}/In/20180918GE/mr_000{number}": [f"DCM2NIIX_regression_test_{number}"]
        for number in (4, 5, 6, 7)
    },
    **{
        f"{CLASSIC}/In/20180918Si/mr_000{number}": [f"EPI_PE={direction}_{number}"]
        for number, direction in ((3, "AP"), (4, "PA"), (5, "RL"), (6, "LR"))
    },
}
# dcm2niix takes Philips' private scale, which differs by one factor from the public one
SCALED = "Philips_WIP_B0_NS_801_e1"


def volumes(folder: Path) -> list[tuple[Volume, Pixels]]:
    """All volumes of a folder that holds one series, in their order."""
    images = [image for image in map(examine, walk(folder)) if isinstance(image, ImageFile)]
    (group,), rejects = group_slices(single for image in images for single in image.slices)
    assert not rejects
    made = []
    for part in split_repeats(group.slices):
        volume, again = make_volume(replace(group, slices=part), broken_nearby=False)
        assert not again
        made.append((volume, read(Planned("", volume.files, {}, volume.affine), windowed=False)))
    return made


def in_common_order(image: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    turns = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(COMMON)
    )
    return image.as_reoriented(turns)


def affine_in_common_order(volume: Volume) -> np.ndarray:
    rows, columns = volume.files[0].header.shape
    return in_common_order(
        nibabel.Nifti1Image(np.zeros((columns, rows, len(volume.files)), np.int16), volume.affine)
    ).affine


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda folder: folder.partition("/In/")[2])
def test_a_series_agrees_with_the_reference_conversion(folder: str) -> None:
    if "FEWSITE_DATA" not in os.environ:
        pytest.skip(
            "set FEWSITE_DATA to a folder that holds scanners/, copies of the public repositories dcm_qa_nih and dcm_qa_enh"
        )
    root = Path(os.environ["FEWSITE_DATA"])
    found = volumes(root / folder)
    for name in REFERENCES[folder]:
        reference = in_common_order(
            nibabel.load(root / folder.partition("/In/")[0] / "Ref" / f"{name}.nii")
        )
        expected = np.asanyarray(reference.dataobj)
        expected = expected.reshape(*expected.shape[:3], -1)
        made, found = found[: expected.shape[3]], found[expected.shape[3] :]
        assert len(made) == expected.shape[3]
        for time, (volume, pixels) in enumerate(made):
            assert affine_in_common_order(volume) == pytest.approx(
                reference.affine, abs=2e-3
            )  # mm, over float32
            assert volume.spacing == pytest.approx(reference.header.get_zooms()[2::-1], rel=1e-4)
            wanted = expected[..., time].transpose(2, 1, 0)
            scale = wanted.max() / pixels.values.max() if name == SCALED else 1
            # The reference stores its scale as float32, and a field map of +-500 Hz as whole numbers of it.
            assert np.allclose(pixels.values * scale, wanted, rtol=0, atol=1e-5 * np.ptp(wanted))
    assert not found
