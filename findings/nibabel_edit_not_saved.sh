#!/usr/bin/env bash
# nibabel 5.4.2 (numpy 2.4.6)
#
# Behaviour: get_fdata() of an image that was loaded from a file gives an array that can be
#   written to, and gives the same array again at the next call, so the edit seems to have taken.
#   nib.save does not use it: the new file holds the voxels of the old one. With an image made
#   from a float64 array the very same three lines do save the edit.
# Guessed: what get_fdata() shows is what is saved.
# Why it matters: defacing, or blanking a burned-in name, is done in place like this. The check on
#   the object in memory passes, and the file that leaves the hospital still shows the face.
# Source: nibabel/dataobj_images.py, DataobjImage.get_fdata (the cache) against
#   nibabel/analyze.py, AnalyzeImage.to_file_map (writes np.asanyarray(self.dataobj)); nibabel
#   manual, "Images and memory".
# Seen:
#   image            face left in memory  face left in the file
#   loaded                             0                    224
#   made in memory                     0                      0
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

head = np.full((4, 4, 4), 7.0)
nib.save(nib.Nifti1Image(head, np.eye(4)), "head.nii")


def blank_and_save(image, name):
    image.get_fdata()[:2] = 0  # the face
    seen = image.get_fdata()[:2].sum()
    nib.save(image, name)
    return seen, nib.load(name).get_fdata()[:2].sum()


loaded = blank_and_save(nib.load("head.nii"), "a.nii")
made = blank_and_save(nib.Nifti1Image(head.copy(), np.eye(4)), "b.nii")
print("image            face left in memory  face left in the file")
print("loaded           %19g  %21g" % loaded)
print("made in memory   %19g  %21g" % made)
ok = loaded == (0, 7 * 32) and made == (0, 0)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
