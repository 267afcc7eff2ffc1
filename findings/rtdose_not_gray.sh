#!/usr/bin/env bash
# pydicom 3.0.2, SimpleITK 2.5.7 and dcm2niix 1.0.20260724 (numpy 2.4.6)
#
# Behaviour: an RT Dose grid holds whole numbers and Dose Grid Scaling, the dose of one unit. None
#   of three readers applies it: pydicom's apply_modality_lut looks for Rescale Slope only, ITK
#   tells its DICOM library to use Rescale Slope for every class and so leaves out the branch that
#   library has for dose, and dcm2niix passes the stored numbers on. All three agree, and all are
#   wrong.
# Guessed: gray, at least from SimpleITK, which gives HU for CT and Bq/ml for PET.
# Why it matters: each dose file has a scaling of its own (it depends on its maximum), so doses of
#   two patients, or of two plans, are on different scales; a model sees "dose" that means
#   nothing.
# Source: DICOM PS3.3 C.8.8.3 (RT Dose Module); GDCM gdcmImageHelper.cxx,
#   ImageHelper::GetRescaleInterceptSlopeValue (RTDoseStorage is reached only without "force");
#   ITK itkGDCMImageIO.cxx, InternalReadImageInformation (SetForceRescaleInterceptSlope);
#   pydicom/pixels/processing.py, apply_rescale.
# Seen (both grids hold 0 and 60 Gy):
#   scaling  stored * scaling  apply_modality_lut  SimpleITK  dcm2niix
#     0.001                60               60000      60000     60000
#     0.004                60               15000      15000     15000
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
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, generate_uid

tool = Path(sys.executable).parent / "dcm2niix"


def largest(scaling):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = RTDoseStorage, generate_uid()
    ds.Modality, ds.StudyDate, ds.StudyTime = "RTDOSE", "20260101", "120000"
    ds.PatientName, ds.PatientID, ds.Manufacturer = "Phantom^One", "P1", "Maker"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.FrameOfReferenceUID, ds.SeriesNumber, ds.InstanceNumber = generate_uid(), 1, 1
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 50], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [2, 2], 3
    ds.GridFrameOffsetVector, ds.FrameIncrementPointer = [0, 3, 6, 9], 0x3004000C
    ds.DoseUnits, ds.DoseType, ds.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    ds.DoseGridScaling = scaling
    grid = np.zeros((4, 4, 4), np.uint16)
    grid[2:] = round(60 / scaling)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.NumberOfFrames = 4, 4, 4
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = grid.tobytes()
    folder = Path(str(scaling))
    folder.mkdir()
    name = str(folder / "in.dcm")
    ds.save_as(name, enforce_file_format=True)
    subprocess.run([tool, "-f", "out", folder], stdout=subprocess.DEVNULL, check=True)
    back = pydicom.dcmread(name)
    return (
        float(np.max(back.pixel_array * back.DoseGridScaling)),
        float(apply_modality_lut(back.pixel_array, back).max()),
        float(sitk.GetArrayFromImage(sitk.ReadImage(name)).max()),
        float(nib.load(folder / "out.nii").get_fdata().max()),
    )


print("scaling  stored * scaling  apply_modality_lut  SimpleITK  dcm2niix")
ok = True
for scaling in (0.001, 0.004):
    row = largest(scaling)
    print("%7g  %16g  %18g  %9g  %8g" % (scaling, *row))
    ok = ok and np.allclose(row, (60, 60 / scaling, 60 / scaling, 60 / scaling))
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
