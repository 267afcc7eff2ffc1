#!/usr/bin/env bash
# pydicom 3.0.2, SimpleITK 2.5.7, highdicom 0.28.2, dcm2niix 1.0.20260724 (numpy 2.4.6)
#
# Behaviour: in enhanced (multi-frame) objects the rescale lies in the functional groups of each
#   frame. pydicom's apply_modality_lut looks at the top level only, finds nothing and hands back
#   the stored numbers: a CT 1024 HU too high. SimpleITK takes the first frame's slope and
#   intercept and uses them for every frame. highdicom and dcm2niix use each frame's own.
# Guessed: apply_modality_lut gives HU for any CT, and SimpleITK gives each frame its own slope.
# Why it matters: an enhanced CT gives air at 0 and water at 1024 with no error, since the absence
#   of a rescale is legal; MR and PET frames lose their relation to each other.
# Source: DICOM PS3.3 C.7.6.16.2.9 (Pixel Value Transformation Macro, per frame);
#   pydicom/pixels/processing.py, apply_rescale; GDCM gdcmImageHelper.cxx,
#   ImageHelper::GetRescaleInterceptSlopeValue (one pair for an image).
# Seen (each frame is uniform):
#   reader                        CT                  MR, own slopes
#   truth                         [0, 100, 200]       [20, 10, 5]
#   pydicom apply_modality_lut    [1024.0, 1124.0, 1224.0]  [10.0, 10.0, 10.0]
#   SimpleITK                     [0.0, 100.0, 200.0]  [20.0, 20.0, 20.0]
#   dcm2niix                      [0.0, 100.0, 200.0]  [20.0, 10.0, 5.0]
#   highdicom (frames as stored)  [0.0, 100.0, 200.0]  [20.0, 10.0, 5.0]
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
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian
from pydicom.uid import generate_uid


def group(**values):
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return [item]


def enhanced(folder, sop_class, modality, stored, slopes, intercept):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], modality
    ds.StudyDate, ds.StudyTime, ds.PatientPosition = "20260101", "120000", "HFS"
    ds.PatientName, ds.PatientID, ds.Manufacturer = "Phantom^One", "P1", "Maker"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.FrameOfReferenceUID, ds.SeriesNumber, ds.InstanceNumber = generate_uid(), 1, 1
    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=[2, 2], SliceThickness=3)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    ds.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for i, slope in enumerate(slopes):
        frame = Dataset()
        frame.FrameContentSequence = group(
            StackID="1", InStackPositionNumber=i + 1, DimensionIndexValues=[i + 1]
        )
        frame.PlanePositionSequence = group(ImagePositionPatient=[0, 0, 3 * i])
        frame.PixelValueTransformationSequence = group(
            RescaleSlope=slope,
            RescaleIntercept=intercept,
            RescaleType="HU" if modality == "CT" else "US",
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
    ds.Rows, ds.Columns, ds.NumberOfFrames = 4, 4, len(slopes)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.concatenate([np.full(16, v, np.uint16) for v in stored]).tobytes()
    Path(folder).mkdir()
    ds.save_as(f"{folder}/in.dcm", enforce_file_format=True)


def read(folder):
    name = f"{folder}/in.dcm"
    ds = pydicom.dcmread(name)
    tool = Path(sys.executable).parent / "dcm2niix"
    subprocess.run([tool, "-f", "out", folder], stdout=subprocess.DEVNULL, check=True)
    volume = highdicom.imread(name).get_volume()
    return {
        "pydicom apply_modality_lut": apply_modality_lut(ds.pixel_array, ds)[:, 0, 0],
        "SimpleITK": sitk.GetArrayFromImage(sitk.ReadImage(name))[:, 0, 0],
        "dcm2niix": nib.load(f"{folder}/out.nii").get_fdata()[0, 0],
        "highdicom (frames as stored)": volume.array[::-1, 0, 0],
    }


enhanced("ct", EnhancedCTImageStorage, "CT", [1024, 1124, 1224], [1, 1, 1], -1024)
enhanced("mr", EnhancedMRImageStorage, "MR", [10, 10, 10], [2, 1, 0.5], 0)
want = {"ct": [0, 100, 200], "mr": [20, 10, 5]}
got = {folder: read(folder) for folder in want}
print("%-28s  %-18s  %s" % ("reader", "CT", "MR, own slopes"))
print("%-28s  %-18s  %s" % ("truth", want["ct"], want["mr"]))
for reader in got["ct"]:
    print("%-28s  %-18s  %s" % (reader, *(got[f][reader].astype(float).tolist() for f in want)))
lut, itk, niix, high = got["ct"]
ok = (
    np.array_equal(got["ct"][lut], [1024, 1124, 1224])
    and np.array_equal(got["mr"][lut], [10, 10, 10])
    and np.array_equal(got["ct"][itk], want["ct"])
    and np.array_equal(got["mr"][itk], [20, 20, 20])
    and all(np.allclose(got[f][r], want[f]) for f in want for r in (niix, high))
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
