#!/usr/bin/env bash
# dicomweb-client 0.61.2 (pydicom 3.0.2)
#
# Behaviour: DICOMfileClient answers DICOMweb searches from a folder. A search with a "*" goes to
#   SQL LIKE as it is, where "_" stands for any character: "A_1*" finds AB1 and AC1 too. "A_1"
#   alone is exact. A date range, the usual search of a study list, is not understood: the filter
#   is left out (one line in the log) and every study is returned, whatever its date.
# Guessed: an underscore is an underscore, and a range gives the studies in it, or an error.
# Why it matters: identifiers such as SITE_12 are common; other patients' studies come back, or
#   the whole archive where one day was asked for, and go into the data set of this patient or
#   period.
# Source: DICOM PS3.4 C.2.2.2.4 and C.2.2.2.5 (only * and ? are wild cards; range matching);
#   dicomweb_client/file.py, the building of filter_expressions.
# Seen (four patients, one study each, on 1 to 4 January 2026):
#   search                          should find    finds
#   PatientID=A_1                   A_1            A_1
#   PatientID=A_1*                  A_1 A_12       AB1 AC1 A_1 A_12
#   StudyDate=20260102              A_12           A_12
#   StudyDate=20260102-20260103     AB1 A_12       AB1 AC1 A_1 A_12
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  numpy==2.4.6 pydicom==3.0.2 dicomweb-client==0.61.2
mkdir "$work/archive"
cd "$work"
"$work/venv/bin/python" - <<'PY'
import logging
from pathlib import Path

from dicomweb_client import DICOMfileClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

logging.disable(logging.CRITICAL)
for day, patient in enumerate(("A_1", "A_12", "AB1", "AC1"), 1):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    ds.Modality, ds.ConversionType = "OT", "WSD"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"Phantom^{day}", patient, ""
    ds.PatientSex, ds.ReferringPhysicianName, ds.AccessionNumber, ds.StudyID = "O", "", "", "1"
    ds.StudyDate, ds.StudyTime = f"2026010{day}", "120000"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 2
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = bytes(4)
    ds.save_as(f"archive/{day}.dcm", enforce_file_format=True)

client = DICOMfileClient(Path("archive").resolve().as_uri(), update_db=True, in_memory=True)


def search(key, value):
    found = client.search_for_studies(search_filters={key: value})
    return sorted(study["00100020"]["Value"][0] for study in found)


CASES = [
    ("PatientID", "A_1", ["A_1"], ["A_1"]),
    ("PatientID", "A_1*", ["A_1", "A_12"], ["A_1", "A_12", "AB1", "AC1"]),
    ("StudyDate", "20260102", ["A_12"], ["A_12"]),
    ("StudyDate", "20260102-20260103", ["A_12", "AB1"], ["A_1", "A_12", "AB1", "AC1"]),
]
ok = True
print("%-30s  %-13s  %s" % ("search", "should find", "finds"))
for key, value, should, described in CASES:
    found = search(key, value)
    print("%-30s  %-13s  %s" % (f"{key}={value}", " ".join(sorted(should)), " ".join(found)))
    ok = ok and found == sorted(described)
print("as described" if ok else "CHANGED")
raise SystemExit(0 if ok else 1)
PY
