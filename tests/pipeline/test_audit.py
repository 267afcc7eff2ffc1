"""The audit finds what came through from a hospital's files, wherever it stands, and is silent about all else."""

import base64
import gzip
import html
import io
import json
import re
import zipfile
from collections.abc import Callable

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset
from safetensors.numpy import save

from data_prep.convert import convert
from data_prep.tasks import main as make_tasks
from pipeline.audit.command import OWN_TEXT, audit_workspace
from pipeline.audit.search import PIECE, Searcher, spellings
from pipeline.init import CODE
from tests.data_prep.made_dicom import as_bytes, grey, ramp, write
from workspace.errors import Refusal
from workspace.outputs import private_folder
from workspace.paths import Workspace

PARAMS = """sites: {west: target}
convert: {size: [16, 16], workers: 1}
tasks: {shots: [0, 1], draws: 2, min_query: 1, salt: 3}
train: {learners: [prototypical]}
adapt: {methods: [prototypical]}
report: {method: prototypical, shots: 1}
"""
SITE = """root: incoming/west
task: view
labels: {file: labels.csv, match: SOPInstanceUID, class: view}
classes: {frontal view: [AP], lateral view: [LAT]}
"""
ELEMENTS = {
    "PatientName": "Quvenzhia^Adelbert",
    "OtherPatientNames": "Bexleigh^Ottokar",
    "PatientBirthName": "Crimthann^Ottilie",
    "PatientMotherBirthName": "Dunstanvil^Ida",
    "ReferringPhysicianName": "Erchanger^Oda",
    "OperatorsName": "Frideswide^Bo",
    "PatientID": "QP-774120",
    "OtherPatientIDs": "QP-774121",
    "AccessionNumber": "88301472",
    "StudyID": "S88412",
    "AdmissionID": "ADM-5510",
    "DeviceSerialNumber": "SN-99817",
    "InstitutionName": "Hospital of St. Wilgefortis",
    "InstitutionAddress": "Rotherhithe Row 7",
    "StationName": "WARDX-3",
    "PatientAddress": "Pudding Mill Row 12",
    "PatientTelephoneNumbers": "555-0187-42",
    "PatientComments": "asked for a copy by post",
    "StudyDescription": "thorax for Dr Erchanger",
    "SeriesDescription": "pa erect bed 14",
    "ProtocolName": "kept by Ottokar",
    "ImageComments": "wears a locket",
    "AdditionalPatientHistory": "fell from a horse",
    "PatientBirthDate": "19610203",
    "StudyDate": "20190615",
    "AcquisitionDateTime": "20190616101500",
    "StudyInstanceUID": "1.2.826.0.1.777.1",
    "SeriesInstanceUID": "1.2.826.0.1.777.2",
    "SOPInstanceUID": "1.2.826.0.1.777.3",
    "FrameOfReferenceUID": "1.2.826.0.1.777.4",
}
PLANTED = {
    **ELEMENTS,
    "AcquisitionDateTime": "20190616",
    "nested text": "requested by ward nine",
    "nested number": "NEST-4471",
    "nested UID": "1.2.826.0.1.777.5",
    "two levels down": "Hildegund^Ute",
    "private text": "PRIV-20077",
    "private name": "Irmengard^Jutta",
    "private bytes": "BYTES-30012",
    "private code": "PRIVCODE7",
    "in a private sequence": "PRIVSEQ-881",
    "after the pixels": "TRAILING-55",
    "preamble": "PREAMBLE-901",
    "file meta": "METAAE-17",
    "file meta bytes": "METAPRIV-20",
    "file name": "Kunigund_0001",
    "folder name": "Liutgard_1961",
    "labels table": "1.2.826.0.1.999.1",
    "NIfTI header": "NIIDESC-66",
    "text of a picture": "PNGTEXT-67",
}


def planted() -> bytes:
    """A DICOM file with an identifier in every place that may hold one."""
    data = grey(ramp(), **ELEMENTS)
    inner, middle, request = Dataset(), Dataset(), Dataset()
    inner.PersonName = PLANTED["two levels down"]
    middle.ReferencedPatientSequence, middle.ReferencedSOPInstanceUID = (
        [inner],
        PLANTED["nested UID"],
    )
    request.ScheduledProcedureStepDescription, request.PatientID = (
        PLANTED["nested text"],
        PLANTED["nested number"],
    )
    data.RequestAttributesSequence, data.ReferencedStudySequence = [request], [middle]
    private, hidden = data.private_block(0x0011, "SOME MAKER", create=True), Dataset()
    hidden.private_block(0x0013, "SOME MAKER", create=True).add_new(
        1, "LO", PLANTED["in a private sequence"]
    )
    private.add_new(1, "LO", PLANTED["private text"])
    private.add_new(2, "PN", PLANTED["private name"])
    private.add_new(3, "UN", b"\0\1" + PLANTED["private bytes"].encode() + b"\0")
    private.add_new(4, "CS", PLANTED["private code"])
    private.add_new(5, "SQ", [hidden])
    data.private_block(0x7FE3, "SOME MAKER", create=True).add_new(
        1, "LO", PLANTED["after the pixels"]
    )
    data.file_meta.SourceApplicationEntityTitle = PLANTED["file meta"]
    data.file_meta.PrivateInformationCreatorUID, data.file_meta.PrivateInformation = (
        "1.2.3.4.5",
        PLANTED["file meta bytes"].encode(),
    )
    data.preamble = PLANTED["preamble"].encode().ljust(128, b"\0")
    return as_bytes(data)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A converted site of 24 patients, one of whose files holds all that is planted."""
    monkeypatch.chdir(tmp_path)
    made = Workspace()
    export = made.incoming("west")
    (tmp_path / "sites").mkdir()
    made.params_file.write_text(PARAMS)
    made.site_file("west").write_text(SITE)
    rows = ["SOPInstanceUID,view"]
    for number in range(24):
        sop = f"1.2.826.0.1.888.{number}"
        write(
            grey(
                np.roll(ramp(), number),
                SOPInstanceUID=sop,
                PatientID=f"PAT{number:05d}",
                Manufacturer="Acme Imaging",
                StudyInstanceUID=f"1.2.826.0.1.444.{number}",
                SeriesInstanceUID=f"1.2.826.0.1.333.{number}",
            ),
            export / f"IM{number:05d}",
        )
        rows.append(f"{sop},{'AP' if number % 2 else 'LAT'}")
    folder = export / PLANTED["folder name"]
    folder.mkdir()
    (folder / f"{PLANTED['file name']}.dcm").write_bytes(planted())
    volume = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    volume.header["descrip"] = PLANTED["NIfTI header"].encode()
    (folder / "a.nii").write_bytes(volume.to_bytes())
    text = PngInfo()
    text.add_text("Comment", PLANTED["text of a picture"])
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "b.png", pnginfo=text)
    (export / "labels.csv").write_text("\n".join([*rows, f"{PLANTED['labels table']},AP"]))
    private_folder(made)
    made.secret_file.write_text(
        "0123456789abcdef" * 4
    )  # under another one, a class may have no patient on one side
    made.secret_file.chmod(0o600)
    convert(made, "west")
    make_tasks("west", "target")
    return made


def findings(workspace: Workspace, capsys) -> str:
    """What a failing audit prints, on both streams."""
    capsys.readouterr()
    with pytest.raises(
        Refusal, match=r"fewsite audit: found \d+ identifiers in \d+ outputs; need none"
    ) as refused:
        audit_workspace(workspace)
    printed = capsys.readouterr()
    return printed.out + printed.err + str(refused.value)


def test_a_clean_workspace_is_clean_and_the_audit_says_what_it_searched(workspace, capsys):
    capsys.readouterr()
    audit_workspace(workspace)
    printed = capsys.readouterr().out
    assert printed.endswith("nothing found\n")
    assert "the identifiers of 1 sites, in 28 files" in printed and re.search(r"\d+ UIDs", printed)
    assert re.search(r"searched in (8|9|10) files", printed) and re.search(
        r"files, +0.0 MB: data", printed
    )
    assert not any(value in printed for value in PLANTED.values())


def test_each_of_48_planted_identifiers_is_found_and_none_is_printed(workspace, capsys):
    assert len(PLANTED) == 48
    for at, value in enumerate(PLANTED.values()):
        path = workspace.report("west") / f"page_{at}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"name,count\nfound {value} here,3\n")
    printed = findings(workspace, capsys)
    missed = [
        place for at, place in enumerate(PLANTED) if f"reports/west/page_{at}.csv: " not in printed
    ]
    assert not missed
    assert ": looks like" not in printed, "what is known is not reported twice"
    assert not [value for value in PLANTED.values() if value.casefold() in printed.casefold()]


@pytest.mark.parametrize(
    "written",
    [
        "Adelbert Quvenzhia",
        "QUVENZHIA, ADELBERT",
        "quvenzhia",
        "1961-02-03",
        "03.02.1961",
        "Kunigund_0001.dcm",
    ],
)
def test_an_identifier_is_found_as_people_write_it(workspace, capsys, written):
    (workspace.root / "repro.log").write_text(f"stage [{written}] done")
    assert "repro.log: " in findings(workspace, capsys)


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _zip(value: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.json", json.dumps({"value": value}))
    return stream.getvalue()


HOLDERS: dict[str, Callable[[str], bytes]] = {
    "json with escapes": lambda value: json.dumps({"note": [value]}).encode(),
    "html with entities": lambda value: f"<p title='{html.escape(value)}'>".encode(),
    "html with numeric entities": lambda value: (
        "<p>" + "".join(f"&#{ord(letter)};" for letter in value)
    ).encode(),
    "an embedded file": lambda value: (
        f'<img src="data:image/png;base64,{base64.b64encode(b"P" + value.encode()).decode()}">'.encode()
    ),
    "utf-16": lambda value: value.encode("utf-16"),
    "bytes": lambda value: bytes(range(256)) + value.encode() + b"\xff\0",
    "latin-1 bytes": lambda value: b"\xff\xfd " + value.encode("latin-1") + b" \xff",
    "a parquet column": lambda value: pd.DataFrame({"a": ["x", value], "b": [1, 2]}).to_parquet(
        compression="zstd"
    ),
    "parquet bytes": lambda value: pd.DataFrame({"a": [b"x", value.encode()]}).to_parquet(
        compression="zstd"
    ),
    "an array of text": lambda value: _npy(np.array([value, "x"])),
    "pixels": lambda value: _npy(np.frombuffer(value.encode("latin-1").ljust(64, b"\0"), np.uint8)),
    "a model's metadata": lambda value: save({"w": np.zeros(2, np.float32)}, {"note": value}),
    "a zip": _zip,
    "gzip": lambda value: gzip.compress(value.encode()),
    "yaml": lambda value: (
        f"schema: '2.0'\nstages:\n  x:\n    cmd: \"{value}\"\n    size: 12345678\n".encode()
    ),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_an_identifier_is_found_in_whatever_holds_it(workspace, capsys, holder):
    export = workspace.incoming("west")
    write(
        grey(
            ramp(),
            SOPInstanceUID="1.2.826.0.1.555.1",
            SpecificCharacterSet="ISO_IR 100",
            PatientName="Müßiggang^Jürgen",
        ),
        export / "umlaut",
    )
    path = workspace.resume("prototypical", 0) / "state"
    path.parent.mkdir(parents=True)
    path.write_bytes(HOLDERS[holder]("Müßiggang^Jürgen"))
    assert ".fewsite/resume/prototypical/0/state: person's name, 1\n" in findings(workspace, capsys)


def test_an_identifier_in_the_name_of_an_output_is_found_and_not_printed(workspace, capsys):
    path = workspace.report("west") / f"{PLANTED['file name']}.svg"
    path.parent.mkdir(parents=True)
    path.write_text("<svg/>")
    printed = findings(workspace, capsys)
    assert (
        "reports/... (in a file's or folder's name): file or folder name, 1" in printed
        and PLANTED["file name"] not in printed
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("study 1.2.840.99999.3.141.592653589", "DICOM UIDs"),
        ("seen on 1987-11-30", "dates"),
        ("birth_date: 19871130", "dates"),
        ("DOE^JANE", "names with a caret"),
        ("jane.doe@clinic.example", "e-mail addresses"),
    ],
)
def test_what_looks_like_an_identifier_is_found_though_no_export_holds_it(
    workspace, capsys, text, kind
):
    workspace.results("target", "west").mkdir(parents=True)
    (workspace.results("target", "west") / "notes.txt").write_text(f"{text}\n")
    printed = findings(workspace, capsys)
    assert (
        f"results/target/west/notes.txt: looks like {kind}, 1" in printed
        and text.split()[-1] not in printed
    )


def test_a_reviewers_comment_is_searched_too(workspace, capsys):
    workspace.reviews.mkdir()
    workspace.review("west").write_text("reviews:\n- {comment: wrong for DOE^JANE}\n")
    assert "reviews/west.yaml: looks like names with a caret, 1" in findings(workspace, capsys)


def test_values_that_say_nothing_raise_no_alarm(workspace, capsys):
    """Class and site names, makers, digits of measurements, hashes, short numbers and fewsite's own words."""
    export = workspace.incoming("west")
    write(
        grey(
            ramp(),
            SOPInstanceUID="1.2.826.0.1.666.1",
            PatientID="42",
            PatientName="lateral view",
            StudyDescription="frontal view",
            SeriesDescription="Acme Imaging",
            StationName="ACME IMAGING",
            AccessionNumber="123456",
            ImageComments="prototypical",
            Manufacturer="Acme Imaging",
            InstitutionName="0000000000",
        ),
        export / "support",
    )
    workspace.results("target", "west").mkdir(parents=True)
    (workspace.results("target", "west") / "table.csv").write_text(
        "class,n,auroc\nlateral view,42,0.123456\nfrontal view,42,123456.5\nAcme Imaging,42,a123456b\nprototypical support,0000000000,1\n"
        f"{'f00d' * 16},42,12345678.123456\n"
    )
    (workspace.results("target", "west") / "metrics.json").write_text(
        json.dumps({"parameters": 123456, "transfer": "1.2.840.10008.1.2.1", "version": "1.2.3"})
    )
    audit_workspace(workspace)
    assert capsys.readouterr().out.endswith("nothing found\n")


def test_voxels_and_short_runs_of_bytes_are_no_text(workspace, capsys):
    voxels = np.frombuffer(b"CHANCELETTERS" * 77, np.uint8)[:1000].reshape(10, 10, 10)
    (workspace.incoming("west") / "v.nii").write_bytes(
        nibabel.Nifti1Image(voxels, np.eye(4)).to_bytes()
    )
    (workspace.root / "a.log").write_text("CHANCELETTERSCHANCELETTERS")
    audit_workspace(workspace)
    assert capsys.readouterr().out.endswith("nothing found\n")


def test_whatever_stands_in_the_code_is_known_as_fewsites_own():
    known = {path for pattern in OWN_TEXT for path in CODE.glob(pattern)}
    rooms = [path.parent for path in CODE.glob("*/py.typed")]
    assert len(rooms) >= 5
    assert {path for room in rooms for path in room.rglob("*.py")} <= known


def test_the_secret_is_found_too(workspace, capsys):
    workspace.run("prototypical", 0).mkdir(parents=True)
    (workspace.run("prototypical", 0) / "model.json").write_text(
        json.dumps({"key": workspace.secret_file.read_text().strip()})
    )
    assert "runs/prototypical/0/model.json: workspace's secret, 1" in findings(workspace, capsys)


def test_a_site_whose_export_is_missing_is_named_before_anything_is_searched(workspace, capsys):
    workspace.site_file("east").write_text(SITE.replace("incoming/west", "/nowhere/east"))
    workspace.params_file.write_text(PARAMS.replace("west: target", "west: target, east: target"))
    capsys.readouterr()
    with pytest.raises(
        Refusal, match="sites/east.yaml root: found nothing at /nowhere/east; need a folder, a zip"
    ):
        audit_workspace(workspace)
    assert capsys.readouterr().out == ""


def test_outputs_of_a_site_that_was_removed_are_named_as_not_checked(workspace, capsys):
    workspace.studies("old").mkdir(parents=True)
    audit_workspace(workspace)
    assert (
        "outputs of 1 sites that params.yaml does not name were searched, but not for their own identifiers: old"
        in capsys.readouterr().out
    )


def test_the_search_finds_a_value_at_either_end_and_across_pieces():
    searcher = Searcher(spellings("QP-774120", "number"))
    value = b"qp-774120"
    for place in (0, PIECE - 4, PIECE, 2 * PIECE - 9):
        content = bytearray(2 * PIECE)
        content[place : place + len(value)] = b"QP-774120"
        assert list(searcher.find(bytes(content), text=False)) == [value], place
    assert list(searcher.find(b"QP-7741", text=True)) == [] == list(searcher.find(b"", text=True))
    assert list(Searcher({}).find(b"anything at all", text=True)) == []


def test_short_values_must_stand_alone_and_long_ones_need_not():
    searcher = Searcher(
        spellings("Marlow", "person's name")
        | spellings("Wilgefortis", "person's name")
        | spellings("774120", "number")
    )
    assert (
        list(searcher.find(b"marlows amarlow 1774120 0.774120 774120.5 x774120", text=True)) == []
    )
    assert list(searcher.find(b"(MARLOW) xWilgefortisx n=774120.", text=True)) == [
        b"marlow",
        b"wilgefortis",
        b"774120",
    ]
    assert list(searcher.find(b"\0marlow\0 774120 ", text=False)) == []
