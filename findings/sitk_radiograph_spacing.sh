#!/usr/bin/env bash
# SimpleITK 2.5.7 (pydicom 3.0.2, numpy 2.4.6); dcm2niix 1.0.20260724 beside it
#
# Behaviour: a calibrated radiograph holds two spacings: Imager Pixel Spacing, at the detector,
#   and Pixel Spacing, corrected for magnification with an object of known size. SimpleITK gives
#   the first for CR and DX whenever it is there; dcm2niix gives the second.
# Guessed: Pixel Spacing, as for CT and MR; the standard says it is the calibrated one.
# Why it matters: lengths and areas on the patient (hip implants, heart size, leg length) come out
#   too long by the magnification, here 1.25; with reader A for training and B for use, by site.
# Source: DICOM PS3.3 10.7.1.1 (Pixel Spacing Calibration); GDCM gdcmImageHelper.cxx,
#   ImageHelper::GetSpacingTagFromMediaStorage (CR, DX and mammography: 0018,1164).
# Seen:
#   mm a pixel  at the detector  on the patient  SimpleITK  dcm2niix
#   CR                     0.25            0.20       0.25      0.20
#   DX                     0.25            0.20       0.25      0.20
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 SimpleITK==2.5.7 nibabel==5.4.2 dcm2niix==1.0.20260724
cd "$work"
"$work/venv/bin/python" - <<'PY'
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DETECTOR, PATIENT = 0.25, 0.20
CLASSES = {"CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation}
tool = Path(sys.executable).parent / "dcm2niix"
found = {}
for modality, sop_class in CLASSES.items():
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY"], modality
    ds.StudyDate, ds.StudyTime = "20260101", "120000"
    ds.PatientName, ds.PatientID = "Phantom^One", "P1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.ImagerPixelSpacing = [DETECTOR, DETECTOR]
    ds.PixelSpacing = [PATIENT, PATIENT]
    ds.PixelSpacingCalibrationType = "FIDUCIAL"
    ds.PixelSpacingCalibrationDescription = "steel sphere, 25 mm"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = np.arange(64, dtype=np.uint16).tobytes()
    Path(modality).mkdir()
    ds.save_as(f"{modality}/in.dcm", enforce_file_format=True)
    subprocess.run([tool, "-f", "out", modality], stdout=subprocess.DEVNULL, check=True)
    zooms = nib.load(f"{modality}/out.nii").header.get_zooms()
    found[modality] = (sitk.ReadImage(f"{modality}/in.dcm").GetSpacing()[0], float(zooms[0]))

print("mm a pixel  at the detector  on the patient  SimpleITK  dcm2niix")
for modality, (a, b) in found.items():
    print("%-10s  %15.2f  %14.2f  %9.2f  %8.2f" % (modality, DETECTOR, PATIENT, a, b))
ok = all(np.allclose(pair, (DETECTOR, PATIENT)) for pair in found.values())
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
