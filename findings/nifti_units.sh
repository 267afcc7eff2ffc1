#!/usr/bin/env bash
# nibabel 5.4.2 and SimpleITK 2.5.7 (numpy 2.4.6)
#
# Behaviour: a NIfTI header names the unit of its lengths: metre, millimetre or micrometre.
#   SimpleITK turns spacing and origin into millimetres. nibabel leaves affine and get_zooms() as
#   the file has them, although its manual explains affines in millimetres. The same file is 2 mm
#   wide a voxel to one and 2000 to the other, a factor of 10^9 in volume.
# Guessed: both give millimetres (or neither does).
# Why it matters: micro-CT, specimen and animal scans come in micrometres. A spacing gate, a
#   lesion volume, or a resampling to 1 mm is right with one reader and absurd with the other.
# Source: nifti1.h, xyzt_units; ITK itkNiftiImageIO.cxx, ReadImageInformation (spacing scale);
#   nibabel manual, "Coordinate systems and affines"; nibabel/nifti1.py, get_best_affine.
# Seen (voxels of 2 x 2 x 3 mm in every file):
#   unit      nibabel voxel sizes       SimpleITK spacing   mm3 a voxel
#   mm        [2.0, 2.0, 3.0]           [2.0, 2.0, 3.0]     12 and 12
#   micron    [2000.0, 2000.0, 3000.0]  [2.0, 2.0, 3.0]     1.2e+10 and 12
#   meter     [0.002, 0.002, 0.003]     [2.0, 2.0, 3.0]     1.2e-08 and 12
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

SCALE = {"mm": 1, "micron": 1000, "meter": 0.001}
titles = ("unit", "nibabel voxel sizes", "SimpleITK spacing", "mm3 a voxel")
print("%-8s  %-24s  %-18s  %s" % titles)
ok = True
for unit, scale in SCALE.items():
    affine = np.diag([2 * scale, 2 * scale, 3 * scale, 1])
    affine[:3, 3] = np.multiply([10, 20, 30], scale)
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    image.header.set_xyzt_units(unit, "sec")
    nib.save(image, "a.nii")
    zooms = nib.affines.voxel_sizes(nib.load("a.nii").affine)
    read = sitk.ReadImage("a.nii")
    spacing = np.array(read.GetSpacing())
    print("%-8s  %-24s  %-18s  %g and %g" % (unit, zooms.round(6).tolist(),
          spacing.round(4).tolist(), zooms.prod(), spacing.prod().round(6)))
    ok = (
        ok
        and np.allclose(zooms, np.multiply([2, 2, 3], scale), rtol=1e-5)
        and np.allclose(spacing, [2, 2, 3], rtol=1e-5)
        and np.allclose(read.GetOrigin(), [-10, -20, 30], rtol=1e-5)
    )
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
