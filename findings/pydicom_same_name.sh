#!/usr/bin/env bash
# pydicom 3.0.2
#
# Behaviour: PersonName compares names as text, after taking away empty groups at the end ("=") but
#   not empty components at the end ("^"). So Doe^Jane equals Doe^Jane= and does not equal
#   Doe^Jane^ or Doe^Jane^^^, which the standard holds to be one name. In sets and dicts they are
#   two people. And if the other side is a plain str, the "=" counts as well.
# Guessed: names that differ only in empty components are equal, since the class takes names apart.
# Why it matters: one device writes all the carets and another none. A patient who is grouped or
#   split by name lands in training and in test, or misses the earlier scan.
# Source: DICOM PS3.5 6.2.1 (empty components at the end and their delimiters may be omitted);
#   pydicom/valuerep.py, PersonName.__eq__ and __str__.
# Seen (beside PersonName("Doe^Jane"); given name and middle name are as printed in every case):
#   other         given  middle  == PersonName  == str  people in a set
#   Doe^Jane      Jane   ''      True           True    1
#   Doe^Jane=     Jane   ''      True           False   1
#   Doe^Jane^     Jane   ''      False          False   2
#   Doe^Jane^^^   Jane   ''      False          False   2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  pydicom==3.0.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
from pydicom.valuerep import PersonName

name = PersonName("Doe^Jane")
got = {}
heads = ("other", "given", "middle", "== PersonName", "== str", "people in a set")
print("%-12s  %-5s  %-6s  %-13s  %-6s  %s" % heads)
for text in ("Doe^Jane", "Doe^Jane=", "Doe^Jane^", "Doe^Jane^^^"):
    other = PersonName(text)
    assert (other.family_name, other.given_name) == ("Doe", "Jane")
    assert not (other.middle_name or other.name_prefix or other.name_suffix)
    got[text] = (name == other, name == text, len({name, other}))
    print("%-12s  %-5s  %-6r  %-13s  %-6s  %d" % (text, other.given_name, other.middle_name, *got[text]))
ok = got == {
    "Doe^Jane": (True, True, 1),
    "Doe^Jane=": (True, False, 1),
    "Doe^Jane^": (False, False, 2),
    "Doe^Jane^^^": (False, False, 2),
}
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
