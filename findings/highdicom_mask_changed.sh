#!/usr/bin/env bash
# highdicom 0.28.2 (pydicom 3.0.2, numpy 2.4.6)
#
# Behaviour: making a FRACTIONAL segmentation from a uint8 mask of 0 and 1 multiplies the caller's
#   own array by 255. The object that is written is right; the mask that the program goes on with
#   is not: its sum is 255 times too large, and `mask == 1` is empty. A bool or float32 mask, and
#   a BINARY segmentation, leave the array alone.
# Guessed: a constructor does not write into the array it is given.
# Why it matters: the lesion volume that is computed after saving, for the report beside the SEG,
#   is 255 times too large; a second export of the same mask is refused for "segments that lack
#   descriptions", which points at something else.
# Source: highdicom/seg/sop.py, Segmentation._get_segment_pixel_array (segment_array *= ...).
# Seen (a lesion of 9 voxels):
#   type        mask      sum afterward    voxels equal to 1  written
#   BINARY      uint8                 9                    9        9
#   BINARY      bool                  9                    9        9
#   BINARY      float32               9                    9        9
#   FRACTIONAL  uint8              2295                    0        9
#   FRACTIONAL  bool                  9                    9        9
#   FRACTIONAL  float32               9                    9        9
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 highdicom==0.28.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

study, series, frame = generate_uid(), generate_uid(), generate_uid()
source = []
for i in range(3):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.ImageType, ds.Modality, ds.Manufacturer = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT", "Maker"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20260101", "120000", "1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Phantom^One", "P1", ""
    ds.PatientSex, ds.AccessionNumber, ds.ReferringPhysicianName = "O", "", ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.PositionReferenceIndicator, ds.SeriesNumber, ds.InstanceNumber = "", 1, i + 1
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 5 * i], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 5
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.full((8, 8), 1024, np.uint16).tobytes()
    source.append(ds)


def voxels_after(kind, dtype):
    mask = np.zeros((3, 8, 8), dtype)
    mask[1, 2:5, 2:5] = 1
    lesion = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    seg = hd.seg.Segmentation(
        source, mask, kind, [lesion], hd.UID(), 2, hd.UID(), 1, "Maker", "Model", "1", "0"
    )
    written = np.count_nonzero(seg.pixel_array)
    return int(mask.sum()), int((mask == 1).sum()), int(written)


titles = ("type", "mask", "sum afterward", "voxels equal to 1", "written")
print("%-11s %-8s  %13s  %19s  %s" % titles)
found = {}
for kind in ("BINARY", "FRACTIONAL"):
    for dtype in (np.uint8, bool, np.float32):
        found[kind, dtype] = voxels_after(kind, dtype)
        print("%-11s %-8s  %13d  %19d  %7d" % (kind, dtype.__name__, *found[kind, dtype]))
changed = found.pop(("FRACTIONAL", np.uint8))
ok = changed == (9 * 255, 0, 9) and all(row == (9, 9, 9) for row in found.values())
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
