#!/usr/bin/env bash
# rt-utils 1.2.7 (opencv-python 5.0.0.93, pydicom 3.0.2, numpy 2.4.6)
#
# Behaviour: the contours that rt-utils writes for a mask run through the centres of its outermost
#   pixels, not round them, so every structure loses half a pixel on all sides. A lesion of 3 x 3
#   pixels has an area of 4 instead of 9, one of 10 x 10 has 81, and one that is one pixel wide
#   has an area of 0. Read back with rt-utils the mask is unchanged, so a round trip shows
#   nothing.
# Guessed: the polygon encloses the area of the mask.
# Why it matters: planning systems and other readers compute volume and dose from the polygon.
#   Small lesions, the ones that count in screening, shrink most: here to 44 %.
# Source: rt_utils/image_helper.py, find_mask_contours (cv.findContours gives pixel indices) and
#   get_contours_coords; DICOM PS3.3 C.8.8.6 (contour points are positions in the patient) and
#   C.7.6.2.1.1 (Image Position is the centre of the first pixel).
# Seen (pixels of 1 x 1 mm):
#   pixels    mask, mm2  polygon, mm2  share  mask read back is the same
#    1 x  5           5             0     0 %  True
#    3 x  3           9             4    44 %  True
#   10 x 10         100            81    81 %  True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 opencv-python==5.0.0.93 rt-utils==1.2.7
mkdir "$work/ct"
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from rt_utils import RTStructBuilder

SIZE, SPACING = 40, [1, 1]
study, series, frame = generate_uid(), generate_uid(), generate_uid()
for i in range(3):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.ImageType, ds.Modality = ["ORIGINAL", "PRIMARY", "AXIAL"], "CT"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20260101", "120000", "1"
    ds.PatientName, ds.PatientID, ds.PatientPosition = "Phantom^One", "P1", "HFS"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.SeriesNumber, ds.InstanceNumber = 1, i + 1
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 5 * i], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = SPACING, 5
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.full((SIZE, SIZE), 1024, np.uint16).tobytes()
    ds.save_as(f"ct/{i}.dcm", enforce_file_format=True)


def polygon_area(rows, columns):
    mask = np.zeros((SIZE, SIZE, 3), bool)
    mask[10 : 10 + rows, 20 : 20 + columns, 1] = True
    rtstruct = RTStructBuilder.create_new("ct")
    rtstruct.add_roi(mask=mask, name="lesion")
    contour = rtstruct.ds.ROIContourSequence[0].ContourSequence[0].ContourData
    x, y, _ = np.array(contour, float).reshape(-1, 3).T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    same = np.array_equal(rtstruct.get_roi_mask_by_name("lesion"), mask)
    return float(area), same


print("pixels    mask, mm2  polygon, mm2  share  mask read back is the same")
areas = {}
for shape in ((1, 5), (3, 3), (10, 10)):
    area, same = polygon_area(*shape)
    areas[shape] = area, same
    mask_area = shape[0] * shape[1]
    print("%2d x %2d  %10d  %12g  %4.0f %%  %s"
          % (*shape, mask_area, area, 100 * area / mask_area, same))
ok = all(areas[r, c] == ((r - 1) * (c - 1), True) for r, c in areas)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
