#!/usr/bin/env bash
# pydicom 3.0.2
#
# Behaviour: the SOP Instance UID stands twice in a file, in the dataset and in the file meta
#   information before it. When the one in the dataset is replaced, save_as and dcmwrite by
#   default write the old one into the file meta information. With enforce_file_format=True they
#   write the new one. No warning.
# Guessed: what is written follows the dataset, as it does for the lengths and the version.
# Why it matters: a new UID is given so that a shared file cannot be led back to the patient's own
#   study. The original UID, which the hospital's archive finds in a second, is still in it. And
#   two files that were made from one (two frames, two crops) have one UID for tools that index
#   by the file meta information.
# Source: DICOM PS3.10 7.1 (Media Storage SOP Instance UID is that of the dataset) and PS3.15 Annex E
#   (de-identification covers it too); pydicom/filewriter.py, dcmwrite.
# Seen:
#   written by                             in the dataset  in the file meta  original UID in bytes
#   ds.save_as(name)                       new             original          yes
#   dcmwrite(name, ds)                     new             original          yes
#   save_as(enforce_file_format=True)      new             new               no
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  pydicom==3.0.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

original = Dataset()
original.file_meta = FileMetaDataset()
original.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
original.SOPClassUID, original.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
original.StudyInstanceUID, original.SeriesInstanceUID = generate_uid(), generate_uid()
original.PatientName, original.PatientID, original.Modality = "Phantom^One", "P1", "OT"
original.save_as("in.dcm", enforce_file_format=True)
old = original.SOPInstanceUID

ways = {
    "ds.save_as(name)": lambda ds: ds.save_as("out.dcm"),
    "dcmwrite(name, ds)": lambda ds: pydicom.dcmwrite("out.dcm", ds),
    "save_as(enforce_file_format=True)": lambda ds: ds.save_as("out.dcm", enforce_file_format=True),
}
got, quiet = [], True
heads = ("written by", "in the dataset", "in the file meta", "original UID in bytes")
print("%-37s  %-14s  %-16s  %s" % heads)
for name, write in ways.items():
    ds = pydicom.dcmread("in.dcm")
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.PatientName, ds.PatientID, ds.PatientIdentityRemoved = "Anonymous", "A1", "YES"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        write(ds)
    quiet = quiet and not said
    back = pydicom.dcmread("out.dcm")
    which = [
        "original" if uid == old else "new"
        for uid in (back.SOPInstanceUID, back.file_meta.MediaStorageSOPInstanceUID)
    ]
    held = "yes" if old.encode() in Path("out.dcm").read_bytes() else "no"
    got.append((*which, held))
    print("%-37s  %-14s  %-16s  %s" % (name, *which, held))
ok = quiet and got == [("new", "original", "yes")] * 2 + [("new", "new", "no")]
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
