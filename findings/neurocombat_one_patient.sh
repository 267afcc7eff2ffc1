#!/usr/bin/env bash
# neuroCombat 0.2.12 (numpy 2.4.6, pandas 3.1.1)
#
# Behaviour: one site with a single patient makes every number of every site NaN. The variance of
#   one patient (ddof=1) is NaN, so the estimated shift of that site is too, and the correction of
#   every patient is a product of the site-by-patient design with the shifts of all sites, where
#   0 * NaN is NaN. No error; numpy warns of degrees of freedom (silenced here).
# Guessed: an error that names the site, or at worst NaN for that one patient.
# Why it matters: adding a hospital with its first patient wipes out the harmonised features of
#   all the others; learners that take NaN as "missing" then train on nothing, and say nothing.
# Source: neuroCombat/neuroCombat.py, fit_LS_model_and_find_priors (np.var with ddof=1) and
#   adjust_data_final (np.dot of batch_design and gamma_star).
# Seen (3 features):
#   patients at sites A, B, C  patients of A and B without any number
#   10, 10, 0                  0 of 20
#   10, 10, 1                  20 of 20
#   10, 10, 2                  0 of 20
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pandas==3.1.1 neuroCombat==0.2.12
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import contextlib
import io

import numpy as np
import pandas as pd
from neuroCombat import neuroCombat

features = np.random.default_rng(0).normal(size=(3, 22))


def harmonised(sites):
    table = pd.DataFrame({"site": sites})
    with contextlib.redirect_stdout(io.StringIO()):
        return neuroCombat(features[:, : len(sites)], table, "site")["data"]


print("patients at sites A, B, C  patients of A and B without any number")
lost = {}
for n in (0, 1, 2):
    data = harmonised(["A"] * 10 + ["B"] * 10 + ["C"] * n)
    lost[n] = int(np.isnan(data[:, :20]).all(axis=0).sum())
    print("10, 10, %-18d %d of 20" % (n, lost[n]))
ok = lost == {0: 0, 1: 20, 2: 0}
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
