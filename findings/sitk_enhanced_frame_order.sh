#!/usr/bin/env bash
# SimpleITK 2.5.7, dcm2niix 1.0.20260724 and highdicom 0.28.2 (pydicom 3.0.2, numpy 2.4.6)
#
# Behaviour: the frames of an enhanced (multi-frame) object may be stored in any order; each holds
#   its own position. SimpleITK takes the stored order as the order in space, and when the
#   positions do not run one way it drops the spacing too: voxels of 2 x 2 x 3 mm become 1 x 1 x 1
#   mm, with no warning. dcm2niix and highdicom sort the frames and keep the spacing.
# Guessed: the reader sorts by position or by the dimension index, or says that it cannot.
# Why it matters: an interleaved acquisition (1, 3, 2, 4), or a converter that writes frames as they
#   come, gives a shuffled organ with a twelfth of its volume.
# Source: DICOM PS3.3 C.7.6.17 (Multi-frame Dimension Module) and C.7.6.16.2.3 (Plane Position);
#   GDCM gdcmImageHelper.cxx, ComputeZSpacingFromIPP (from the frames as they are stored).
# Seen (each frame holds its own true position in mm):
#   stored       reader      frames along z        spacing, mm
#   sorted       SimpleITK   [0, 3, 6, 9]          [2.0, 2.0, 3.0]
#   sorted       dcm2niix    [0, 3, 6, 9]          [2.0, 2.0, 3.0]
#   sorted       highdicom   [0, 3, 6, 9]          [2.0, 2.0, 3.0]
#   interleaved  SimpleITK   [0, 6, 3, 9]          [1.0, 1.0, 1.0]
#   interleaved  dcm2niix    [0, 3, 6, 9]          [2.0, 2.0, 3.0]
#   interleaved  highdicom   [0, 3, 6, 9]          [2.0, 2.0, 3.0]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 SimpleITK==2.5.7 highdicom==0.28.2 nibabel==5.4.2 \
  dcm2niix==1.0.20260724
cd "$work"
"$work/venv/bin/python" - <<'PY'
import subprocess
import sys
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid


def group(**values):
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return [item]


def enhanced(folder, positions):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "CT"
    ds.StudyDate, ds.StudyTime, ds.PatientPosition = "20260101", "120000", "HFS"
    ds.PatientName, ds.PatientID, ds.Manufacturer = "Phantom^One", "P1", "Maker"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.FrameOfReferenceUID, ds.SeriesNumber, ds.InstanceNumber = generate_uid(), 1, 1
    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=[2, 2], SliceThickness=3)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    ds.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for z in positions:
        rank = sorted(positions).index(z) + 1
        frame = Dataset()
        frame.FrameContentSequence = group(
            StackID="1", InStackPositionNumber=rank, DimensionIndexValues=[rank]
        )
        frame.PlanePositionSequence = group(ImagePositionPatient=[0, 0, z])
        frame.PixelValueTransformationSequence = group(
            RescaleSlope=1, RescaleIntercept=0, RescaleType="HU"
        )
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = frames
    organization = generate_uid()
    ds.DimensionOrganizationSequence = group(DimensionOrganizationUID=organization)
    ds.DimensionIndexSequence = group(
        DimensionOrganizationUID=organization,
        DimensionIndexPointer=0x00209057,
        FunctionalGroupPointer=0x00209111,
    )
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.NumberOfFrames = 4, 4, len(positions)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.concatenate([np.full(16, v, np.uint16) for v in positions]).tobytes()
    Path(folder).mkdir()
    ds.save_as(f"{folder}/in.dcm", enforce_file_format=True)


def read(folder):
    name = f"{folder}/in.dcm"
    image = sitk.ReadImage(name)
    tool = Path(sys.executable).parent / "dcm2niix"
    subprocess.run([tool, "-f", "out", folder], stdout=subprocess.DEVNULL, check=True)
    nifti = nib.load(f"{folder}/out.nii")
    volume = highdicom.imread(name).get_volume()
    return {
        "SimpleITK": (sitk.GetArrayFromImage(image)[:, 0, 0], image.GetSpacing()),
        "dcm2niix": (nifti.get_fdata()[0, 0], nifti.header.get_zooms()),
        "highdicom": (volume.array[::-1, 0, 0], volume.spacing[::-1]),
    }


orders = {"sorted": [0, 3, 6, 9], "interleaved": [0, 6, 3, 9]}
print("%-12s %-10s  %-20s  %s" % ("stored", "reader", "frames along z", "spacing, mm"))
got = {}
for folder, positions in orders.items():
    enhanced(folder, positions)
    for reader, (frames, spacing) in read(folder).items():
        got[folder, reader] = frames.astype(int).tolist(), [float(v) for v in spacing]
        print("%-12s %-10s  %-20s  %s" % (folder, reader, *got[folder, reader]))
right = ([0, 3, 6, 9], [2, 2, 3])
ok = (
    all(got["sorted", reader] == right for reader in ("SimpleITK", "dcm2niix", "highdicom"))
    and all(got["interleaved", reader] == right for reader in ("dcm2niix", "highdicom"))
    and got["interleaved", "SimpleITK"] == ([0, 6, 3, 9], [1, 1, 1])
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
