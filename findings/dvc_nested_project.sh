#!/usr/bin/env bash
# DVC 3.67.1
#
# Behaviour: `dvc add data` leaves out any folder inside data that is a DVC project itself (it has a
#   folder .dvc). The checksum and the count of files are without it, `dvc status` says that data
#   is up to date whatever changes there, and after `dvc checkout` elsewhere, or once data was
#   deleted, it does not come back. There is no warning; the file that `dvc add` writes only says
#   nfiles: 1 where there are 2.
# Guessed: the folder is data like any other, or dvc add says that it leaves it out.
# Why it matters: a hospital that versions its own part with DVC hands it over, and it is copied
#   below data/. Models are then trained on images that no version holds and no colleague gets,
#   and a changed image of that hospital changes no checksum.
# Source: dvc/ignore.py, DvcIgnoreFilter (ignore_subrepos: a folder that is a project is
#   ignored); DVC documentation, "dvc init --subdir", speaks of projects in one repository.
# Seen (data holds site_a/1.txt and site_b/2.txt):
#   site_b        files counted  status after a change in it  after deletion and dvc checkout
#   plain         2              changed                      1.txt, 2.txt
#   DVC project   1              up to date                   1.txt
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  dvc==3.67.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import os
import shutil
import subprocess
import sys
from pathlib import Path

tool = Path(sys.executable).parent / "dvc"
settings = {**os.environ, "DVC_NO_ANALYTICS": "1", "HOME": os.getcwd()}


def dvc(*words, cwd):
    done = subprocess.run(
        [tool, *words], cwd=cwd, env=settings, check=True, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def outcome(name, nested):
    top = Path(name)
    for site, file in (("site_a", "1.txt"), ("site_b", "2.txt")):
        (top / "data" / site).mkdir(parents=True)
        (top / "data" / site / file).write_text(file)
    if nested:
        dvc("init", "--no-scm", "--quiet", cwd=top / "data" / "site_b")
    dvc("init", "--no-scm", "--quiet", cwd=top)
    said = dvc("add", "data", cwd=top)
    record = (top / "data.dvc").read_text()
    count = int(record.split("nfiles:")[1].split()[0])
    file = top / "data" / "site_b" / "2.txt"
    file.unlink()
    file.write_text("another patient")
    status = "changed" if "modified" in dvc("status", cwd=top) else "up to date"
    shutil.rmtree(top / "data")
    dvc("checkout", "data.dvc", cwd=top)
    files = sorted(f.name for f in (top / "data").rglob("*.txt"))
    return (count, status, files), "site_b" in said or "gnor" in said


heads = ("site_b", "files counted", "status after a change in it", "after deletion and dvc checkout")
print("%-12s  %-13s  %-27s  %s" % heads)
got = {}
for name, nested in (("plain", False), ("DVC project", True)):
    got[name], told = outcome("nested" if nested else "plain", nested)
    row = got[name]
    print("%-12s  %-13d  %-27s  %s" % (name, row[0], row[1], ", ".join(row[2])))
ok = not told and got == {
    "plain": (2, "changed", ["1.txt", "2.txt"]),
    "DVC project": (1, "up to date", ["1.txt"]),
}
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
