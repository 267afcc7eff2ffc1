#!/usr/bin/env bash
# nibabel 5.4.2 and SimpleITK 2.5.7 (numpy 2.4.6)
#
# Behaviour: a NIfTI file may hold two places, each with a code: the qform (as a rule the scanner's)
#   and the sform (the scanner's, or aligned to another scan or to an atlas). nibabel takes the
#   sform whenever its code is not 0. SimpleITK takes the qform, unless it has none or the sform
#   is a scanner's (code 1). So of a scan that was aligned to another, the two readers give
#   different places. No warning.
# Guessed: both readers have the same rule, since the standard tells what each code means.
# Why it matters: programs that align scans put the result into the sform and leave the scanner's
#   place in the qform. A mask that is drawn in one program and measured in the other then lies
#   20 mm away, and the shape of the arrays shows nothing.
# Source: nifti1.h, "METHOD 3" and the codes NIFTI_XFORM_*; nibabel/nifti1.py, get_best_affine;
#   ITK itkNiftiImageIO.cxx, SetImageIOOrientationFromNIfTI.
# Seen (qform at x = 10 mm, sform at x = 30 mm):
#   qform      sform        nibabel  SimpleITK
#   scanner    none              10         10
#   none       aligned           30         30
#   scanner    scanner           30         30
#   scanner    aligned           30         10
#   scanner    MNI atlas         30         10
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 nibabel==5.4.2 SimpleITK==2.5.7
cd "$work"
"$work/venv/bin/python" - <<'PY'
import nibabel as nib
import numpy as np
import SimpleITK as sitk

CODES = {"none": 0, "scanner": 1, "aligned": 2, "MNI atlas": 4}


def at(x):
    affine = np.eye(4)
    affine[0, 3] = x
    return affine


got = {}
print("%-9s  %-11s  %7s  %9s" % ("qform", "sform", "nibabel", "SimpleITK"))
for qform, sform in (
    ("scanner", "none"),
    ("none", "aligned"),
    ("scanner", "scanner"),
    ("scanner", "aligned"),
    ("scanner", "MNI atlas"),
):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    image.set_qform(at(10), CODES[qform])
    image.set_sform(at(30), CODES[sform])
    nib.save(image, "one.nii")
    first = nib.load("one.nii").affine[0, 3]
    second = -sitk.ReadImage("one.nii").GetOrigin()[0]  # SimpleITK counts x to the left
    got[qform, sform] = round(float(first)), round(second)
    print("%-9s  %-11s  %7d  %9d" % (qform, sform, *got[qform, sform]))
ok = list(got.values()) == [(10, 10), (30, 30), (30, 30), (30, 10), (30, 10)]
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
