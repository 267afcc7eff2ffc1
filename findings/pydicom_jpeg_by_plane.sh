#!/usr/bin/env bash
# pydicom 3.0.2 with Pillow 13.0.0; SimpleITK 2.5.7 beside it (numpy 2.4.6)
#
# Behaviour: Planar Configuration says whether raw colour is stored pixel by pixel (0) or plane by
#   plane (1). A JPEG has an order of its own, and its decoder gives colour by pixel. If the header
#   of such a file says 1, pydicom cuts the decoded pixels up as planes all the same: small
#   copies in false colours. SimpleITK gives the picture. No warning.
# Guessed: for compressed pixels the attribute is ignored, since it tells nothing about them.
# Why it matters: before CP-1843 (2019) the standard left the value open for JPEG, and a compressor
#   that keeps the header of the raw picture keeps its 1. Ultrasound or endoscopy of such an
#   archive reads as noise, of the right shape and type.
# Source: DICOM PS3.3 C.7.6.3.1.3 (Planar Configuration), CP-1843 (0 for JPEG from then on);
#   pydicom/pixels/decoders/base.py, DecodeRunner.reshape.
# Seen (upper half red, lower half green; off: the largest error of any sample):
#   planar  reader     upper            lower            off  warnings
#   0       pydicom    [201, 60, 40]    [20, 219, 90]      1  0
#   0       SimpleITK  [201, 60, 40]    [20, 219, 90]      1  0
#   1       pydicom    [118, 57, 222]   [157, 216, 230]  200  0
#   1       SimpleITK  [201, 60, 40]    [20, 219, 90]      1  0
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

truth = np.empty((16, 16, 3), np.uint8)
truth[:8], truth[8:] = (200, 60, 40), (20, 220, 90)
buffer = io.BytesIO()
Image.fromarray(truth).save(buffer, "JPEG", quality=95, subsampling="4:2:2")


def write(name, planar):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = "Phantom^One", "P1", "OT"
    ds.ConversionType, ds.LossyImageCompression = "WSD", "01"
    ds.SamplesPerPixel, ds.PlanarConfiguration = 3, planar
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = encapsulate([buffer.getvalue()])
    ds.save_as(name, enforce_file_format=True)


readers = {
    "pydicom": lambda name: pydicom.dcmread(name).pixel_array,
    "SimpleITK": lambda name: sitk.GetArrayFromImage(sitk.ReadImage(name)),
}
off, silent = {}, True
print("%-6s  %-9s  %-15s  %-15s  %3s  %s" % ("planar", "reader", "upper", "lower", "off", "warnings"))
for planar in (0, 1):
    write("one.dcm", planar)
    for reader, read in readers.items():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            pixels = read("one.dcm").reshape(16, 16, 3)
        off[planar, reader] = int(np.abs(pixels.astype(int) - truth).max())
        silent = silent and not said
        row = (planar, reader, pixels[5, 5].tolist(), pixels[12, 5].tolist(), off[planar, reader])
        print("%-6d  %-9s  %-15s  %-15s  %3d  %d" % (*row, len(said)))
wrong = off.pop((1, "pydicom"))
ok = wrong > 100 and all(value < 3 for value in off.values()) and silent
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
