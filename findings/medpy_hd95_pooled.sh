#!/usr/bin/env bash
# MedPy 0.5.2 and surface-distance 0.1 (numpy 2.4.6, scipy 1.17.1)
#
# Behaviour: "hd95" of MedPy puts the distances of both directions into one list and takes the
#   95th percentile of that; surface-distance takes it in each direction and gives the larger one.
#   With a false lesion 25 mm away that holds 7 % of the predicted surface (so under 4 % of the
#   pooled list) the first says 0.0 mm, a perfect result, and the second 25.0 mm.
# Guessed: the same number for the same two masks; the name is the same and both say "Hausdorff".
# Why it matters: acceptance limits ("HD95 below 5 mm") are copied between papers that used
#   either. One of the two passes a model that draws lesions where there are none.
# Source: medpy/metric/binary.py, hd95; surface_distance/metrics.py, compute_robust_hausdorff.
# Seen (voxels of 1 mm):
#   measure (mm)   MedPy  surface-distance
#   95th             0.0              25.0
#   largest         29.0              29.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 MedPy==0.5.2 surface-distance==0.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import numpy as np
import surface_distance as sd
from medpy.metric.binary import hd, hd95

truth = np.zeros((60, 60, 60), bool)
truth[10:30, 10:30, 10:30] = True
wrong = truth.copy()
wrong[10:17, 52:59, 10:15] = True  # a second lesion that is not there

found = sd.compute_surface_distances(truth, wrong, (1.0, 1.0, 1.0))
medpy95, medpy100 = hd95(wrong, truth), hd(wrong, truth)
peer95 = sd.compute_robust_hausdorff(found, 95)
peer100 = sd.compute_robust_hausdorff(found, 100)
print("measure (mm)   MedPy  surface-distance")
print("95th           %5.1f  %16.1f" % (medpy95, peer95))
print("largest        %5.1f  %16.1f" % (medpy100, peer100))
ok = medpy95 == 0.0 and peer95 > 20 and abs(medpy100 - peer100) < 1.5
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
