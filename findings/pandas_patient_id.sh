#!/usr/bin/env bash
# pandas 3.1.1
#
# Behaviour: read_csv makes numbers of a column if each entry can be read as one, and "1E5" can.
#   The patients 1E5, 10E4 and 100000 become one number, 100000.0, and 0012 and 12 become 12. It
#   holds only while no other ID of the table has another letter: one more patient, and all IDs
#   are text. "NA" and "None" become missing in any case. No warning.
# Guessed: a column with letters in it stays text (leading zeros are the known trap, letters not).
# Why it matters: IDs of two or three signs from 0-9 and A-F, as short hashes and ward labels are,
#   hold an E now and then. Three patients are counted, split and joined as one, and the table of
#   the next month, with one patient more, gives other keys for the same people.
# Source: pandas documentation, read_csv, dtype (types are guessed column by column) and na_values
#   (the default list); pandas/_libs/parsers.pyx.
# Seen:
#   IDs in the file            read_csv                            patients  with dtype=str
#   1E5, 10E4, 100000          [100000.0, 100000.0, 100000.0]      1         3
#   1E5, 10E4, 100000, 1B5     ['1E5', '10E4', '100000', '1B5']    4         4
#   2E1, 20                    [20.0, 20.0]                        1         2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  pandas==3.1.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import io
import warnings

import pandas as pd

TABLES = {
    "1E5, 10E4, 100000": (1, 3),
    "1E5, 10E4, 100000, 1B5": (4, 4),
    "2E1, 20": (1, 2),
}
got, quiet = {}, True
print("%-25s  %-34s  %-8s  %s" % ("IDs in the file", "read_csv", "patients", "with dtype=str"))
for ids in TABLES:
    text = "patient\n" + "\n".join(ids.split(", ")) + "\n"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        column = pd.read_csv(io.StringIO(text))["patient"]
    quiet = quiet and not said
    whole = pd.read_csv(io.StringIO(text), dtype=str)["patient"]
    got[ids] = column.nunique(), whole.nunique()
    print("%-25s  %-34s  %-8d  %d" % (ids, column.tolist(), *got[ids]))
ok = got == TABLES and quiet
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
