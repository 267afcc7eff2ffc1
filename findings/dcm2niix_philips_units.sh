#!/usr/bin/env bash
# dcm2niix 1.0.20260724 and SimpleITK 2.5.7 (pydicom 3.0.2, numpy 2.4.6)
#
# Behaviour: for MR of Philips, dcm2niix by default does not write Rescale Slope * stored +
#   Rescale Intercept. It divides that by slope and private scale slope (2005,100E) and gives the
#   "precise" value. SimpleITK, and pydicom's apply_modality_lut, give the public value. One
#   stored pixel is 205 to the first and 10250 to the second. `-p n` makes dcm2niix give the
#   public one.
# Guessed: the public rescale, as for every other vendor, from any converter.
# Why it matters: train on NIfTI made by dcm2niix, use the model on DICOM: all intensities of one
#   vendor are off by a factor that changes from scan to scan, those of the others are right.
# Source: dcm2niix documentation, option -p ("Philips precise float (not display) scaling, default
#   y"); console line "Philips Scaling Values"; Chenevert et al. 2014 (PMC3998685), which it
#   cites.
# Seen (the stored pixel is 100, slope 2, intercept 5, private scale slope 0.01):
#   maker    pydicom  SimpleITK  dcm2niix  dcm2niix -p n
#   philips      205        205     10250            205
#   other        205        205       205            205
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 SimpleITK==2.5.7 nibabel==5.4.2 dcm2niix==1.0.20260724
mkdir "$work/out"
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
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

STORED, SLOPE, INTERCEPT, SCALE = 100, 2, 5, 0.01
tool = Path(sys.executable).parent / "dcm2niix"


def series(folder, maker):
    Path(folder).mkdir()
    study, uid, frame = generate_uid(), generate_uid(), generate_uid()
    for i in range(4):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid()
        ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], "MR"
        ds.StudyDate, ds.StudyTime, ds.Manufacturer = "20260101", "120000", maker
        ds.PatientName, ds.PatientID, ds.PatientPosition = "Phantom^One", "P1", "HFS"
        ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "GR", "NONE", "3D"
        ds.EchoTime, ds.RepetitionTime, ds.MagneticFieldStrength = 5, 10, 3
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, uid, frame
        ds.SeriesNumber, ds.InstanceNumber, ds.ProtocolName = 1, i + 1, "T1"
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 3 * i], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = [2, 2], 3, 3
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = SLOPE, INTERCEPT, "normalized"
        if maker.startswith("Philips"):
            block = ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0x0E, "FL", SCALE)
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows = ds.Columns = 4
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.PixelData = np.full((4, 4), STORED, np.uint16).tobytes()
        ds.save_as(f"{folder}/{i}.dcm", enforce_file_format=True)


def converted(folder, *flags):
    name = folder + "".join(flags)
    command = [tool, "-f", name, *flags, "-o", "out", folder]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return float(nib.load(f"out/{name}.nii").get_fdata().flat[0])


rows = {}
for folder, maker in (("philips", "Philips Medical Systems"), ("other", "SIEMENS")):
    series(folder, maker)
    ds = pydicom.dcmread(f"{folder}/0.dcm")
    rows[folder] = (
        float(apply_modality_lut(ds.pixel_array, ds).flat[0]),
        float(sitk.GetArrayFromImage(sitk.ReadImage(f"{folder}/0.dcm")).flat[0]),
        converted(folder),
        converted(folder, "-p", "n"),
    )
print("maker    pydicom  SimpleITK  dcm2niix  dcm2niix -p n")
for folder, row in rows.items():
    print("%-7s  %7g  %9g  %8g  %13g" % (folder, *row))
public = STORED * SLOPE + INTERCEPT
ok = np.allclose(rows["philips"], (public, public, public / (SLOPE * SCALE), public)) and (
    np.allclose(rows["other"], public)
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
