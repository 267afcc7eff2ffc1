#!/usr/bin/env bash
# pydicom 3.0.2
#
# Behaviour: Dataset.copy() (and copy.copy) gives a second name for the same elements. Unlike a
#   dict, where `b = a.copy(); b[k] = v` leaves a alone, whatever is assigned to, added to or
#   deleted from the copy happens to the original too. Dataset.update() takes a middle way:
#   elements that were there are shared, so `new.PatientName = ...` renames the original, but
#   elements that are added stay in the new one. copy.deepcopy shares nothing.
# Guessed: assigning to a keyword of a copy leaves the original as it was, as for a dict.
# Why it matters: a copy is made for each of two recipients, or for de-identification beside an
#   identified result. What is written back to the patient's own study carries a pseudonym, or two
#   patients built from one template both get the name of the second.
# Source: pydicom/dataset.py: Dataset.copy is copy.copy, which hands on the one inner _dict;
#   Dataset.update hands on the elements, and Dataset.__setattr__ writes into an element that is
#   present rather than making a new one. The documentation says "shallow copy".
# Seen:
#   way                    original name   copy's name     in the original
#   ds.copy()              Anonymous       Anonymous       PatientIdentityRemoved
#   copy.copy(ds)          Anonymous       Anonymous       PatientIdentityRemoved
#   Dataset().update(ds)   Anonymous       Anonymous       no mark of removal
#   copy.deepcopy(ds)      Phantom^One     Anonymous       no mark of removal
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  pydicom==3.0.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import copy

from pydicom.dataset import Dataset


def ways():
    yield "ds.copy()", lambda ds: ds.copy()
    yield "copy.copy(ds)", copy.copy

    def updated(ds):
        new = Dataset()
        new.update(ds)
        return new

    yield "Dataset().update(ds)", updated
    yield "copy.deepcopy(ds)", copy.deepcopy


result = {}
print("%-21s  %-14s  %-14s  %s" % ("way", "original name", "copy's name", "in the original"))
for name, make in ways():
    original = Dataset()
    original.PatientName = "Phantom^One"
    original.PatientID = "P1"
    other = make(original)
    other.PatientName = "Anonymous"
    other.PatientIdentityRemoved = "YES"
    result[name] = (str(original.PatientName), "PatientIdentityRemoved" in original)
    mark = "PatientIdentityRemoved" if result[name][1] else "no mark of removal"
    print("%-21s  %-14s  %-14s  %s" % (name, result[name][0], other.PatientName, mark))
ok = (
    result["ds.copy()"] == ("Anonymous", True)
    and result["copy.copy(ds)"] == ("Anonymous", True)
    and result["Dataset().update(ds)"] == ("Anonymous", False)
    and result["copy.deepcopy(ds)"] == ("Phantom^One", False)
)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
