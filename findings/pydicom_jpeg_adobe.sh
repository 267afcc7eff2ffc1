#!/usr/bin/env bash
# pydicom 3.0.2 with Pillow 13.0.0; SimpleITK 2.5.7 beside it (numpy 2.4.6)
#
# Behaviour: a colour JPEG stores luma and two colour differences, and DICOM says so with the
#   photometric interpretation YBR_FULL_422. If the JPEG says so as well, with the Adobe marker
#   that many encoders write, pydicom turns the colours into RGB twice: Pillow does it because of
#   the marker, pydicom does it because of the photometric interpretation. Without the marker, or
#   in SimpleITK, it happens once. No warning.
# Guessed: pixel_array gives RGB, converted once, whatever application markers the JPEG has.
# Why it matters: ultrasound, endoscopy, skin and slide pictures go green and clip, but only those
#   of one maker or export tool, so a model learns the maker. What has been clipped is lost.
# Source: DICOM PS3.5 8.2.1 and PS3.3 C.7.6.3.1.2 (YBR_FULL_422); pydicom/pixels/decoders/pillow.py
#   (asks Pillow to leave the colours only when there is no Adobe marker).
# Seen (one JPEG, one colour, with and without 16 bytes of marker):
#   truth                    [200, 60, 40]
#   reader     marker        colour           warnings
#   pydicom    JFIF          [201, 60, 40]    0
#   pydicom    JFIF, Adobe   [78, 255, 81]    0
#   pydicom    Adobe         [78, 255, 81]    0
#   SimpleITK  JFIF          [201, 60, 40]    0
#   SimpleITK  JFIF, Adobe   [201, 60, 40]    0
#   SimpleITK  Adobe         [201, 60, 40]    0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 pillow==13.0.0 SimpleITK==2.5.7
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io
import warnings

import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage, generate_uid

COLOUR = [200, 60, 40]
buffer = io.BytesIO()
picture = Image.fromarray(np.full((16, 16, 3), COLOUR, np.uint8))
picture.save(buffer, "JPEG", quality=95, subsampling="4:2:2")
jpeg = buffer.getvalue()
start = jpeg[:2]
end_of_jfif = 4 + int.from_bytes(jpeg[4:6], "big")
jfif, rest = jpeg[2:end_of_jfif], jpeg[end_of_jfif:]
adobe = b"\xff\xee\x00\x0eAdobe" + bytes([0, 100, 0, 0, 0, 0, 1])  # transform 1: YCbCr
streams = {
    "JFIF": start + jfif + rest,
    "JFIF, Adobe": start + jfif + adobe + rest,
    "Adobe": start + adobe + rest,
}


def write(name, stream):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = "Phantom^One", "P1", "OT"
    ds.ConversionType, ds.LossyImageCompression = "WSD", "01"
    ds.SamplesPerPixel, ds.PlanarConfiguration = 3, 0
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = encapsulate([stream])
    ds.save_as(name, enforce_file_format=True)


readers = {
    "pydicom": lambda name: pydicom.dcmread(name).pixel_array,
    "SimpleITK": lambda name: sitk.GetArrayFromImage(sitk.ReadImage(name)),
}
got = {}
print("%-23s  %s" % ("truth", COLOUR))
print("%-9s  %-12s  %-15s  %s" % ("reader", "marker", "colour", "warnings"))
for reader, read in readers.items():
    for marker, stream in streams.items():
        write("one.dcm", stream)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            pixels = read("one.dcm").reshape(16, 16, 3)
        got[reader, marker] = pixels[5, 5].astype(int)
        row = (reader, marker, got[reader, marker].tolist(), len(said))
        print("%-9s  %-12s  %-15s  %d" % row)
        got[reader, marker, "said"] = len(said)
off = {key[:2]: np.abs(got[key[:2]] - COLOUR).max() for key in got}
ok = (
    all(off["SimpleITK", marker] < 3 for marker in streams)
    and off["pydicom", "JFIF"] < 3
    and all(off["pydicom", m] > 100 and got["pydicom", m, "said"] == 0 for m in list(streams)[1:])
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
