#!/usr/bin/env bash
# pydicom 3.0.2 (numpy 2.4.6)
#
# Behaviour: apply_color_lut looks up pixels of more than 8 bits in a palette whose entries have 8
#   bits. It first puts the pixel value into the type of the entries, so that 256 counts as 0 and
#   300 as 44. The check for values past the end of the palette comes after and finds nothing.
#   With 16-bit entries it is right. No warning.
# Guessed: each value takes its own entry, and values past the end take the last one, as the
#   standard says.
# Why it matters: the well-known palettes for PET and perfusion (`palette="PET"`, "HOT_IRON") have
#   256 entries of 8 bits, and the pixels they are laid over have 12 to 16. The hottest lesion
#   comes out in the colour of the cold background.
# Source: DICOM PS3.3 C.7.6.3.1.5 (descriptor: entries, first value mapped, bits per entry; values
#   past the end); pydicom/pixels/processing.py, apply_color_lut (clipped_iv).
# Seen (each palette goes from 0 to 255; the red of each pixel value):
#   pixel value                      0   100   255   256   300  1023  4095
#   256 entries of 8 bits, right     0   100   255   255   255   255   255
#   256 entries of 8 bits            0   100   255     0    44   255   255
#   1024 entries of 8 bits, right    0    25    63    64    75   255   255
#   1024 entries of 8 bits           0    25    63     0    11    63    63
#   1024 entries of 16 bits, right   0    25    63    64    75   255   255
#   1024 entries of 16 bits          0    25    63    64    75   255   255
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

VALUES = [0, 100, 255, 256, 300, 1023, 4095]


def write(name, ramp, bits):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = "Phantom^One", "P1", "OT"
    ds.ConversionType = "WSD"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "PALETTE COLOR"
    ds.Rows, ds.Columns = 1, len(VALUES)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    entries = ramp.astype(np.uint8) if bits == 8 else ramp.astype("<u2") << 8
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, colour + "PaletteColorLookupTableDescriptor", [len(ramp), 0, bits])
        setattr(ds, colour + "PaletteColorLookupTableData", entries.tobytes())
    ds.PixelData = np.array(VALUES, "<u2").tobytes()
    ds.save_as(name, enforce_file_format=True)


ok = True
line = "%-30s" + " %5d" * len(VALUES)
print(line % ("pixel value", *VALUES))
for count, bits in ((256, 8), (1024, 8), (1024, 16)):
    ramp = np.arange(count) * 256 // count
    write("one.dcm", ramp, bits)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ds = pydicom.dcmread("one.dcm")
        red = apply_color_lut(ds.pixel_array, ds)[0, :, 0].astype(int) >> (bits - 8)
    right = ramp[np.minimum(VALUES, count - 1)]
    wrapped = ramp[np.minimum(np.array(VALUES) % 2**bits, count - 1)]
    name = "%d entries of %d bits" % (count, bits)
    print(line % (name + ", right", *right))
    print(line % (name, *red))
    ok = ok and np.array_equal(red, wrapped) and np.array_equal(red, right) == (bits == 16)
    ok = ok and not said
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
