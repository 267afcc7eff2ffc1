#!/usr/bin/env bash
# dicom2nifti 2.6.2 (pydicom 3.0.2, numpy 2.4.6); dcm2niix 1.0.20260724 beside it
#
# Behaviour: convert_directory names each volume by Series Number and Series Description alone. A
#   folder with two patients who both have "2 Head" (an export of one protocol always has them)
#   gives one file; the patient that is converted last replaces the other. No error, no warning,
#   no count. dcm2niix gives the second one a name of its own.
# Guessed: two files, or an error, since the two differ in Patient ID, Study and Series UID.
# Why it matters: an export of fifty head scans becomes one file, and which patient it holds
#   depends on the order of the folder; a label that is joined by file name then belongs to
#   somebody else.
# Source: dicom2nifti/convert_dir.py, convert_directory (base_filename).
# Seen:
#   in: 12 files, patient P1 at 100 HU, patient P2 at 200 HU
#   dicom2nifti  1 file(s), HU in it: [200]
#   dcm2niix     2 file(s), HU in it: [100, 200]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 nibabel==5.4.2 dicom2nifti==2.6.2 dcm2niix==1.0.20260724
mkdir "$work/export" "$work/a" "$work/b"
cd "$work"
"$work/venv/bin/python" - <<'PY'
import glob
import subprocess
import sys
from pathlib import Path

import dicom2nifti
import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

for patient in (1, 2):
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for i in range(6):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
        ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
        ds.StudyDate, ds.StudyTime = "20260101", f"1{patient}0000"
        ds.Manufacturer, ds.PatientPosition = "Maker", "HFS"
        ds.PatientName, ds.PatientID = f"Phantom^{patient}", f"P{patient}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.FrameOfReferenceUID, ds.SeriesNumber, ds.InstanceNumber = frame, 2, i + 1
        ds.SeriesDescription = "Head"
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 5 * i], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [1, 1], 5
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows = ds.Columns = 8
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.PixelData = np.full((8, 8), 1024 + 100 * patient, np.uint16).tobytes()
        ds.save_as(f"export/{patient}{i}.dcm", enforce_file_format=True)

dicom2nifti.convert_directory("export", "a")
tool = Path(sys.executable).parent / "dcm2niix"
subprocess.run([tool, "-o", "b", "export"], stdout=subprocess.DEVNULL, check=True)


def values(pattern):
    return sorted(int(nib.load(f).get_fdata().max()) for f in glob.glob(pattern))


a, b = values("a/*.nii.gz"), values("b/*.nii")
print("in: 12 files, patient P1 at 100 HU, patient P2 at 200 HU")
print("dicom2nifti  %d file(s), HU in it: %s" % (len(a), a))
print("dcm2niix     %d file(s), HU in it: %s" % (len(b), b))
ok = len(a) == 1 and a[0] in (100, 200) and b == [100, 200]
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
