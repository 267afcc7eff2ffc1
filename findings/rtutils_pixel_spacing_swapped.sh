#!/usr/bin/env bash
# rt-utils 1.2.7 (opencv-python 5.0.0.93, pydicom 3.0.2, numpy 2.4.6)
#
# Behaviour: Pixel Spacing is (between rows, between columns). rt-utils multiplies the step along
#   a row by the first and the step down a column by the second, so for pixels that are not square
#   a structure is written at the wrong place and with the wrong shape. Reading back with rt-utils
#   makes the same exchange, so a round trip gives the mask that went in.
# Guessed: x along the columns with the second value, y with the first, as the standard says.
# Why it matters: pixels that are not square are legal and occur in MR, ultrasound and reformatted
#   images. A lesion lands 34 mm from where it is, in every other program that reads the file.
# Source: rt_utils/image_helper.py, get_pixel_to_patient_transformation_matrix (and its inverse);
#   DICOM PS3.3 10.7.1.3 (Pixel Spacing value order) and C.7.6.2.1.1 (the equation).
# Seen (spacing 1 mm between rows, 2 mm between columns):
#   centres of the outermost pixels, mm   true      written
#   x (left)                              60..66    30..33
#   y (posterior)                         10..15    20..30
#   the centre is off by 33.9 mm; mask read back by rt-utils is the same: True
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

SIZE, SPACING = 40, [1, 2]  # between rows, between columns
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


mask = np.zeros((SIZE, SIZE, 3), bool)
mask[10:16, 30:34, 1] = True  # rows 10 to 15, columns 30 to 33
rtstruct = RTStructBuilder.create_new("ct")
rtstruct.add_roi(mask=mask, name="lesion")
contour = rtstruct.ds.ROIContourSequence[0].ContourSequence[0].ContourData
points = np.array(contour, float).reshape(-1, 3)
wrote = [(points[:, k].min(), points[:, k].max()) for k in (0, 1)]
true = [(30 * 2, 33 * 2), (10 * 1, 15 * 1)]
off = float(np.hypot(*(np.mean(w) - np.mean(t) for w, t in zip(wrote, true))))
same = np.array_equal(rtstruct.get_roi_mask_by_name("lesion"), mask)
print("centres of the outermost pixels, mm   true      written")
print("x (left)                              %g..%g    %g..%g" % (*true[0], *wrote[0]))
print("y (posterior)                         %g..%g    %g..%g" % (*true[1], *wrote[1]))
print("the centre is off by %.1f mm; mask read back by rt-utils is the same: %s" % (off, same))
ok = wrote == [(30, 33), (20, 30)] and same
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
