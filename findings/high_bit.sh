#!/usr/bin/env bash
# pydicom 3.0.2 and SimpleITK 2.5.7 (numpy 2.4.6)
#
# Behaviour: 12 bits of a 16-bit word may lie at its low end (High Bit 11) or at its high end (High
#   Bit 15). Both readers ignore High Bit and take the lowest 12 bits in any case. Of the second
#   kind, a stored 1 reads as 16, 100 as 1600, and the upper four bits are cut away: 4095 reads as
#   4080, and 2048 as 0. No warning.
# Guessed: the word is shifted down by High Bit + 1 - Bits Stored, or the reader refuses.
# Why it matters: up to the edition of 2014 the standard set no bond between the two, and films that
#   were scanned or captured then lie in archives so. Their brightness wraps round 16 times: bone
#   may be darker than air, and every number is wrong.
# Source: DICOM PS3.5 8.1.1 and Annex D (High Bit; since 2014 it shall be Bits Stored - 1, before
#   it was free); pydicom/pixels/decoders/base.py (High Bit is not among what it reads); GDCM
#   gdcmImageCodec.cxx, CleanupUnusedBits.
# Seen (Bits Allocated 16, Bits Stored 12):
#   High Bit   stored values               pydicom                     SimpleITK
#   11         [0, 1, 100, 2048, 4095]     [0, 1, 100, 2048, 4095]     [0, 1, 100, 2048, 4095]
#   15         [0, 1, 100, 2048, 4095]     [0, 16, 1600, 0, 4080]      [0, 16, 1600, 0, 4080]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 SimpleITK==2.5.7
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

VALUES = [0, 1, 100, 2048, 4095]


def write(name, high_bit):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = "Phantom^One", "P1", "OT"
    ds.ConversionType = "DF"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = 1, len(VALUES)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, high_bit, 0
    ds.PixelData = (np.array(VALUES, "<u2") << (high_bit - 11)).tobytes()
    ds.save_as(name, enforce_file_format=True)


got, said = {}, []
print("%-9s  %-26s  %-26s  %s" % ("High Bit", "stored values", "pydicom", "SimpleITK"))
for high_bit in (11, 15):
    write("one.dcm", high_bit)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        first = pydicom.dcmread("one.dcm").pixel_array.ravel().tolist()
    second = sitk.GetArrayFromImage(sitk.ReadImage("one.dcm")).ravel().tolist()
    got[high_bit] = [first, second]
    print("%-9d  %-26s  %-26s  %s" % (high_bit, VALUES, first, second))
ok = got == {11: [VALUES] * 2, 15: [[0, 16, 1600, 0, 4080]] * 2} and not said
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
