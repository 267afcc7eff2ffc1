#!/usr/bin/env bash
# SimpleITK 2.5.7; pydicom 3.0.2 beside it (numpy 2.4.6)
#
# Behaviour: of a DICOM image with 32 bits allocated and fewer stored, SimpleITK clears bits in the
#   middle of each value instead of those above. With 16 bits stored every pixel becomes 0; with
#   20 stored 100 becomes 4, and with 24 stored 70000 becomes 65648. With 32 stored it is right.
#   No warning, and the pixel type is as it should be.
# Guessed: the unused upper bits are cleared, as SimpleITK does for 12 of 16.
# Why it matters: sums, counts and scores that outgrow 16 bits are kept in 32. A whole image comes
#   out black, or, worse, a little too low for some values and right for others.
# Source: DICOM PS3.5 8.1.1 (Bits Allocated, Bits Stored); GDCM gdcmImageCodec.cxx,
#   CleanupUnusedBits (a mask made for 16-bit words).
# Seen (32 bits allocated, uncompressed, unsigned):
#   stored  truth                       pydicom                     SimpleITK
#   16      [1, 100, 7000, 60000]       [1, 100, 7000, 60000]       [0, 0, 0, 0]
#   20      [1, 100, 7000, 70000]       [1, 100, 7000, 70000]       [1, 4, 8, 65536]
#   24      [1, 100, 7000, 70000]       [1, 100, 7000, 70000]       [1, 100, 88, 65648]
#   32      [1, 100, 7000, 70000]       [1, 100, 7000, 70000]       [1, 100, 7000, 70000]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 SimpleITK==2.5.7
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def write(name, values, stored):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = "Phantom^One", "P1", "OT"
    ds.ConversionType = "WSD"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 2
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 32, stored, stored - 1
    ds.PixelRepresentation = 0
    ds.PixelData = np.array(values, "<u4").tobytes()
    ds.save_as(name, enforce_file_format=True)


got, truth = {}, {}
print("%-6s  %-26s  %-26s  %s" % ("stored", "truth", "pydicom", "SimpleITK"))
for stored in (16, 20, 24, 32):
    truth[stored] = [1, 100, 7000, 70000 if stored > 16 else 60000]
    write("one.dcm", truth[stored], stored)
    first = pydicom.dcmread("one.dcm").pixel_array.ravel().tolist()
    second = sitk.GetArrayFromImage(sitk.ReadImage("one.dcm")).ravel().tolist()
    got[stored] = first, second
    print("%-6d  %-26s  %-26s  %s" % (stored, truth[stored], first, second))
ok = (
    all(got[stored][0] == truth[stored] for stored in got)
    and got[32][1] == truth[32]
    and got[16][1] == [0, 0, 0, 0]
    and all(got[stored][1] != truth[stored] for stored in (20, 24))
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
