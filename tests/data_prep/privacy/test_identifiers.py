"""Texts in the headers of formats beside DICOM, which `fewsite audit` looks for in the outputs."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage
from PIL import Image

from data_prep.exports.sources import Found
from data_prep.privacy.identifiers import _of_file
from data_prep.privacy.identifying_values import PERSON, PREAMBLE

NAME = "ZZPHI Kunigund 0001"
VOXELS = np.random.default_rng(4).integers(0, 30000, (40, 40, 6)).astype(np.int16)
MADE = {}


def made(name: str):
    def keep(make):
        MADE[name] = make
        return make

    return keep


def values(path: Path) -> dict[str, str]:
    return _of_file(Found("x", path, path.stat().st_size), ()).values


@made("Analyze description")
def _(path: Path) -> None:
    header = nibabel.AnalyzeHeader()
    header.set_data_shape((4, 5, 6))
    header["descrip"] = NAME.encode()
    path.write_bytes(header.binaryblock)


@made("Analyze patient")
def _(path: Path) -> None:
    header = nibabel.AnalyzeHeader(endianness=">")
    header.set_data_shape((4, 5, 6))
    content = bytearray(header.binaryblock)
    content[293:303] = b"ZZPHI 0001"  # patient_id
    path.write_bytes(content)


@made("MGH commands")
def _(path: Path) -> None:
    path.write_bytes(
        MGHImage(VOXELS, np.eye(4)).to_bytes()
        + struct.pack(">iq", 3, 40)
        + f"mri_convert {NAME}/001.mgz".encode()
    )


@made("MGZ commands")
def _(path: Path) -> None:
    path.write_bytes(
        gzip.compress(
            MGHImage(VOXELS, np.eye(4)).to_bytes() + f"mri_convert {NAME}/001.mgz".encode()
        )
    )


@made("JPEG 2000 comment")
def _(path: Path) -> None:
    Image.fromarray(VOXELS[..., 0].astype(np.uint8)).save(path, "JPEG2000", comment=NAME)


@made("JPEG 2000 box after the picture")
def _(path: Path) -> None:
    Image.fromarray(VOXELS[..., 0].astype(np.uint8)).save(path, "JPEG2000")
    text = f"<patient>{NAME}</patient>".encode()
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 8 + len(text), b"xml ") + text)


@made("NRRD field behind a long table")
def _(path: Path) -> None:
    table = "".join(f"DWMRI_gradient_{number:04d}:=0.1 0.2 0.3\n" for number in range(400))
    path.write_text(
        f"NRRD0005\ntype: short\ndimension: 1\nsizes: 1\nencoding: raw\n{table}DICOM_0010_0010:={NAME}\ndata file: x.raw\n"
    )


@pytest.mark.parametrize("name", MADE)
def test_a_text_is_found_where_the_format_has_a_place_for_it(tmp_path: Path, name: str) -> None:
    MADE[name](tmp_path / "x")
    shown = f"a page that shows {NAME}, ZZPHI 0001 and no more"  # and nothing of the field or the command that held it
    assert any("ZZPHI" in value and value in shown for value in values(tmp_path / "x"))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("PatientName:=Müller^Zoë", "Müller^Zoë"),
        ("content: Roe^Jane", "Roe^Jane"),
        ("# Roe^Jane", "Roe^Jane"),
        ('labels: "Roe^Jane" "y"', "Roe^Jane"),
        ("key of my own:=a: b", "a: b"),
        ("DICOM_0010_0010:=Roe^Jane; ward 5", "Roe^Jane"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_what_a_line_says_of_a_field_is_a_value(
    tmp_path: Path, line: str, value: str, encoding: str
) -> None:
    (tmp_path / "x").write_bytes(
        f"NRRD0005\ntype: short\ndimension: 1\nsizes: 1\nencoding: raw\n{line}\n\n".encode(encoding)
        + bytes(2)
    )
    assert values(tmp_path / "x")[value] == (PERSON if "^" in value else PREAMBLE)


def test_metaimage_fields_are_values(tmp_path: Path) -> None:
    fields = "ObjectType = Image\nNDims = 3\nComment = Roe^Jane\nDimSize = 1 1 1\nElementType = MET_UCHAR\nElementDataFile = LOCAL\nx"
    (tmp_path / "x").write_text(fields)
    assert values(tmp_path / "x")["Roe^Jane"] == PERSON


def test_voxels_of_an_mgh_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(
        MGHImage(np.full((9, 9, 9), 0x4142, np.int16), np.eye(4)).to_bytes()
    )
    assert not [value for value in values(tmp_path / "x") if "AB" in value]
