#!/usr/bin/env bash
# nibabel 5.4.2 (numpy 2.4.6)
#
# Behaviour: a label map of floats 0, 1, 2, 3 that is saved with the header of the CT it belongs
#   to (int16, as every CT has) is stretched over the whole int16 range, with a slope in the
#   header. Read back, no voxel is exactly 1, 2 or 3 any more: `labels == 1` is empty, and
#   `astype(int)` makes of every label the one below it (3 becomes 2, 1 becomes 0). np.unique
#   prints "0. 1. 2. 3.", so a look does not show it.
# Guessed: whole numbers that fit int16 are stored as they are.
# Why it matters: `Nifti1Image(labels, ct.affine, ct.header)` is the usual way to write a mask,
#   and get_fdata() and most resamplers give floats. The tumour is gone or becomes the organ
#   beside it.
# Source: nibabel/arraywriters.py, SlopeInterArrayWriter.scaling_needed and _do_scaling (floats
#   for an integer file are always scaled); nibabel manual, "Data scaling".
# Seen (4 labels of 30 voxels each go in):
#   label  saved  read back ==  read back astype(int)  saved as uint8
#       0     30            30                     60              30
#       1     30             0                     30              30
#       2     30             0                     30              30
#       3     30             0                      0              30
#   largest value read back: 2.999999999
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 nibabel==5.4.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import nibabel as nib
import numpy as np

nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), "ct.nii")
ct = nib.load("ct.nii")
labels = np.zeros((4, 5, 6))  # float64, as get_fdata() gives
labels[1], labels[2], labels[3] = 1, 2, 3
nib.save(nib.Nifti1Image(labels, ct.affine, ct.header), "labels.nii")
nib.save(nib.Nifti1Image(labels.astype(np.uint8), ct.affine), "whole.nii")

back = nib.load("labels.nii").get_fdata()
whole = nib.load("whole.nii").get_fdata()
cut = back.astype(int)
rows = [(k, int((labels == k).sum()), int((back == k).sum()), int((cut == k).sum()),
         int((whole == k).sum())) for k in range(4)]
print("label  saved  read back ==  read back astype(int)  saved as uint8")
for row in rows:
    print("%5d  %5d  %12d  %21d  %14d" % row)
print("largest value read back: %.9f" % back.max())
ok = (
    not np.isin(back, (1, 2, 3)).any()
    and np.array_equal(cut, np.maximum(labels - 1, 0))
    and np.abs(back - labels).max() < 1e-4
    and np.array_equal(whole, labels)
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
