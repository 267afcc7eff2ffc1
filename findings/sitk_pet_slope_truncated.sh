#!/usr/bin/env bash
# SimpleITK 2.5.7 (pydicom 3.0.2, numpy 2.4.6); dcm2niix 1.0.20260724 beside it
#
# Behaviour: a PET series has a Rescale Slope of its own for every slice. SimpleITK chooses the
#   pixel type of the whole volume from the first file. If the slope of that one slice is a whole
#   number, the volume is int16 and every other slice loses its fraction: 7 * 0.37 = 2.59 becomes
#   2, and with slopes below one most of the uptake becomes 0. Order alone decides: the same files
#   with a slope of 0.25 first are read as floats. ReadImage(list) and ImageSeriesReader do the
#   same.
# Guessed: a float image, as each of the slices gives when it is read by itself.
# Why it matters: uptake is off by up to one unit, slice by slice, without a word; in SUV or in
#   normalised counts that is the whole signal. Another scan of the same scanner is read
#   correctly.
# Source: DICOM PS3.3 C.8.9.4 (PET Image Module: rescale slope per image); ITK itkGDCMImageIO.cxx,
#   InternalReadImageInformation (type from this file's slope and intercept); SimpleITK
#   ImageSeriesReader.Execute (pixel type taken from the first file name).
# Seen (every stored pixel is 7):
#   true activity                      [7, 2.59, 0.875, 1.75]
#   SimpleITK, series reader (int16)   [7, 2, 0, 1]
#   SimpleITK, list of names           [7, 2, 0, 1]
#   SimpleITK, last slice first        [7.0, 2.59, 0.875, 1.75]
#   SimpleITK, one by one              [7.0, 2.59, 0.875, 1.75]
#   dcm2niix                           [7.0, 2.59, 0.875, 1.75]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 SimpleITK==2.5.7 nibabel==5.4.2 dcm2niix==1.0.20260724
mkdir "$work/export" "$work/out"
cd "$work"
"$work/venv/bin/python" - <<'PY'
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage
from pydicom.uid import generate_uid

SLOPES = (1, 0.37, 0.125, 0.25)
study, series, frame = generate_uid(), generate_uid(), generate_uid()
for i, slope in enumerate(SLOPES):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = PositronEmissionTomographyImageStorage, generate_uid()
    ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY"], "PT"
    ds.StudyDate, ds.StudyTime, ds.PatientPosition = "20260101", "120000", "HFS"
    ds.PatientName, ds.PatientID = "Phantom^One", "P1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.SeriesNumber, ds.InstanceNumber, ds.ImageIndex = 1, i + 1, i + 1
    ds.SeriesType, ds.NumberOfSlices, ds.Units = ["STATIC", "IMAGE"], len(SLOPES), "BQML"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 3 * i], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [2, 2], 3
    ds.RescaleSlope, ds.RescaleIntercept = slope, 0
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 4
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelData = np.full((4, 4), 7, np.int16).tobytes()
    ds.save_as(f"export/{i}.dcm", enforce_file_format=True)

names = [f"export/{i}.dcm" for i in range(len(SLOPES))]
reader = sitk.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames("export"))
volume = reader.Execute()
by_reader = sitk.GetArrayFromImage(volume)[:, 0, 0]
by_list = sitk.GetArrayFromImage(sitk.ReadImage(names))[:, 0, 0]
one_by_one = [float(sitk.GetArrayFromImage(sitk.ReadImage(n))[0, 0, 0]) for n in names]
reverse = sitk.GetArrayFromImage(sitk.ReadImage(names[::-1]))[::-1, 0, 0]
tool = Path(sys.executable).parent / "dcm2niix"
subprocess.run([tool, "-f", "v", "-o", "out", "export"], stdout=subprocess.DEVNULL, check=True)
other = nib.load("out/v.nii").get_fdata()[0, 0]

print("%-34s %s" % ("true activity", [7 * s for s in SLOPES]))
print("%-34s %s" % ("SimpleITK, series reader (int16)", by_reader.tolist()))
print("%-34s %s" % ("SimpleITK, list of names", by_list.tolist()))
print("%-34s %s" % ("SimpleITK, last slice first", reverse.round(4).tolist()))
print("%-34s %s" % ("SimpleITK, one by one", one_by_one))
print("%-34s %s" % ("dcm2niix", other.round(4).tolist()))
true = np.multiply(7, SLOPES)
ok = (
    by_reader.tolist() == [7, 2, 0, 1]
    and by_list.tolist() == [7, 2, 0, 1]
    and np.allclose(reverse, true)
    and np.allclose(one_by_one, true)
    and np.allclose(other, true, atol=1e-4)
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
