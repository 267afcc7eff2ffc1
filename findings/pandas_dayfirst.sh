#!/usr/bin/env bash
# pandas 3.1.1
#
# Behaviour: `dayfirst=True` says of 03/02/2026 that it is the 3rd of February. It also turns round
#   dates that begin with the year: 2026-02-03 and DICOM's 20260203 become the 2nd of March. If
#   the first date of a column has a day above 12, the column is read by its real order, with a
#   warning; the wrong reading has none. So what one date means depends on the row above it.
# Guessed: a date that begins with the year is year, month, day, in every locale; the documentation
#   of dayfirst speaks of 10/11/12.
# Why it matters: a loader for a European hospital sets dayfirst=True once, for all its tables.
#   Follow-up times between scan and death or operation are then wrong by months, for the
#   patients of the first twelve days of a month only.
# Source: pandas/core/tools/datetimes.py, _guess_datetime_format_for_array; pandas documentation of
#   to_datetime, dayfirst (a preference, "not strict"); ISO 8601.
# Seen:
#   column                        read with dayfirst=True         warnings
#   03/02/2026                    2026-02-03                      0
#   2026-02-03                    2026-03-02                      0
#   20260203                      2026-03-02                      0
#   2026-02-03 10:00              2026-03-02                      0
#   2026-02-13, 2026-02-03        2026-02-13, 2026-02-03          1
#   read_csv 2026-02-03           2026-03-02                      0
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


def read(column):
    if column.startswith("read_csv "):
        table = io.StringIO("scan\n%s\n" % column.split()[1])
        return pd.read_csv(table, parse_dates=["scan"], dayfirst=True)["scan"]
    return pd.to_datetime(column.split(", "), dayfirst=True)


WANT = {
    "03/02/2026": ("2026-02-03", 0),
    "2026-02-03": ("2026-03-02", 0),
    "20260203": ("2026-03-02", 0),
    "2026-02-03 10:00": ("2026-03-02", 0),
    "2026-02-13, 2026-02-03": ("2026-02-13, 2026-02-03", 1),
    "read_csv 2026-02-03": ("2026-03-02", 0),
}
got = {}
print("%-28s  %-30s  %s" % ("column", "read with dayfirst=True", "warnings"))
for column in WANT:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dates = read(column)
    got[column] = ", ".join(str(date.date()) for date in dates), len(said)
    print("%-28s  %-30s  %d" % (column, *got[column]))
ok = got == WANT
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
