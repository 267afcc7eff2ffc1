#!/usr/bin/env bash
# pydicom 3.0.2; SimpleITK 2.5.7 beside it (numpy 2.4.6)
#
# Behaviour: the colours of a palette image with 16-bit entries have the byte order of their file.
#   apply_color_lut reads them in the byte order of the computer, so of a big endian file the two
#   bytes of every entry are swapped: full red 0xFF00 becomes 0x00FF, which is nearly black.
#   pixel_array of the same file is right, and so is SimpleITK. No warning. Of palettes in the
#   segmented form apply_color_lut does heed the order.
# Guessed: the function takes the dataset, which knows its byte order, so that it uses it.
# Why it matters: colour Doppler and nuclear images of older devices are palette images in big
#   endian. Their colours, which are a velocity or a count, come out black or as others.
# Source: DICOM PS3.3 C.7.6.3.1.6 (palette data, OW) and PS3.5 7.3 (byte order of OW);
#   pydicom/pixels/processing.py, apply_color_lut (np.frombuffer with a native type).
# Seen (upper 8 bits of each colour):
#   file           reader     red            orange           white
#   little endian  pydicom    [255, 0, 0]    [255, 128, 0]    [255, 255, 255]
#   little endian  SimpleITK  [255, 0, 0]    [255, 128, 0]    [255, 255, 255]
#   big endian     pydicom    [0, 0, 0]      [0, 0, 0]        [0, 0, 0]
#   big endian     SimpleITK  [255, 0, 0]    [255, 128, 0]    [255, 255, 255]
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
from pydicom.pixels import apply_color_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

PALETTE = np.array([[255, 0, 0], [255, 128, 0], [255, 255, 255]], np.uint16) << 8
FILES = {"little endian": (ExplicitVRLittleEndian, "<u2"), "big endian": (ExplicitVRBigEndian, ">u2")}


def write(name, syntax, order):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.Modality = "Phantom^One", "P1", "US"
    ds.ConversionType = "WSD"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "PALETTE COLOR"
    ds.Rows, ds.Columns = 2, 3
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    for i, colour in enumerate(("Red", "Green", "Blue")):
        setattr(ds, colour + "PaletteColorLookupTableDescriptor", [len(PALETTE), 0, 16])
        setattr(ds, colour + "PaletteColorLookupTableData", PALETTE[:, i].astype(order).tobytes())
    ds.PixelData = bytes([0, 1, 2] * 2)
    ds["PixelData"].VR = "OB"
    ds.save_as(name, enforce_file_format=True)


def by_pydicom(name):
    ds = pydicom.dcmread(name)
    return (apply_color_lut(ds.pixel_array, ds) >> 8)[0].tolist()


def by_sitk(name):
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(name))
    if pixels.dtype.itemsize == 2:
        pixels = pixels >> 8
    return pixels.reshape(2, 3, 3)[0].tolist()


truth = (PALETTE >> 8).tolist()
got = {}
print("%-13s  %-9s  %-13s  %-15s  %s" % ("file", "reader", "red", "orange", "white"))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for file, parts in FILES.items():
        write("one.dcm", *parts)
        for reader, read in (("pydicom", by_pydicom), ("SimpleITK", by_sitk)):
            got[file, reader] = read("one.dcm")
            print("%-13s  %-9s  %-13s  %-15s  %s" % (file, reader, *got[file, reader]))
wrong = got.pop(("big endian", "pydicom"))
ok = all(rows == truth for rows in got.values()) and wrong == [[0, 0, 0]] * 3
ok = ok and not any("palette" in str(w.message).lower() for w in said)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
