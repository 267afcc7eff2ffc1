#!/usr/bin/env bash
# crepes 0.9.1 (numpy 2.4.6, scikit-learn 1.9.1)
#
# Behaviour: without smoothing, a class belongs to the prediction set when its p value is at least
#   1 - confidence. With n calibration cases the smallest p value is 1 / (n + 1), which for the
#   usual n is just that bound. The two are compared as floating point numbers: of 1 - 0.95 the
#   computer makes 0.05 and a little more, of 1 - 0.8 it makes 0.2 and a little less. So the same
#   tie keeps the class with 4 cases at 80 % and 9 at 90 %, and drops it with 19 at 95 % and 99
#   at 99 %.
# Guessed: a tie is decided in the same way at every level.
# Why it matters: with the few cases of a small hospital p values fall on the bound all the time.
#   Whether a diagnosis is in the answer then depends on a last binary digit: with 9 cases at 90 %
#   no set can ever leave a class out, with 19 at 95 % it can. A check against another program,
#   or against the same numbers by hand, differs for no visible reason.
# Source: crepes/base.py, ConformalClassifier.predict_set (p_values >= 1 - confidence); Vovk et al.,
#   Algorithmic Learning in a Random World, 2.2 (one rule; there a tie is left out).
# Seen (the class is stranger than every calibration case, p = 1 / (n + 1)):
#   cases  confidence  p value  1 - confidence          in the set  by whole numbers
#       4        0.80   0.2000  0.19999999999999996     yes         yes
#       9        0.90   0.1000  0.09999999999999998     yes         yes
#      19        0.95   0.0500  0.050000000000000044    no          yes
#      99        0.99   0.0100  0.010000000000000009    no          yes
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 scikit-learn==1.9.1 crepes==0.9.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
from fractions import Fraction

import numpy as np
from crepes import ConformalClassifier

LEVELS = [(4, "0.80"), (9, "0.90"), (19, "0.95"), (99, "0.99")]
got = []
heads = ("cases", "confidence", "p value", "1 - confidence", "in the set", "by whole numbers")
print("%5s  %10s  %7s  %-22s  %-10s  %s" % heads)
for cases, level in LEVELS:
    classifier = ConformalClassifier()
    classifier.fit(np.linspace(0.1, 0.9, cases))
    scores = np.array([[2.0, 0.05]])  # the first class is stranger than any calibration case
    p = classifier.predict_p(scores, smoothing=False)[0, 0]
    kept = classifier.predict_set(scores, confidence=float(level), smoothing=False)[0, 0]
    exact = Fraction(1, cases + 1) >= 1 - Fraction(level)
    got.append((bool(kept), exact))
    row = (cases, level, p, repr(1 - float(level)), "yes" if kept else "no", "yes" if exact else "no")
    print("%5d  %10s  %7.4f  %-22s  %-10s  %s" % row)
ok = got == [(True, True), (True, True), (False, True), (False, True)]
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
