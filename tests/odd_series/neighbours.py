"""What lies beside a sound series and is no image, or is lost, and takes nothing else with it; and what may be a slice of it, and does."""

import gzip
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    MRSpectroscopyStorage,
    SecondaryCaptureImageStorage,
)

from tests.odd_series.case import Right, odd
from tests.odd_series.made import ROOT, anatomy, at, header, item, save, with_pixels

PRIVATE = "1.3.46.670589.11.0.0.12.2"  # Philips'
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"  # PS3.6; pydicom 3.0.2 lacks it
NEWER = "1.2.840.10008.5.1.4.1.1.999.1"  # of a standard to come
HU = anatomy() - 1024.0
DOUBLE = (
    bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(60)
)  # AppleDouble, RFC 1740


def ct(number: int, series: int = 1, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    data = header(
        CTImageStorage,
        "CT",
        number,
        series,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        RescaleType="HU",
    )
    data.file_meta.TransferSyntaxUID = syntax
    return at(with_pixels(data, anatomy()[number - 1]), 0, 0, 3.0 * number)


def series(folder: Path, name: Callable[[int], str] = "IM{:04}".format, of: int = 1) -> None:
    for number in range(1, len(anatomy()) + 1):
        save(ct(number, of), folder / name(number))


def private(
    sop_class: str = PRIVATE, of: int = 1, syntax: str = ExplicitVRLittleEndian, **elements: object
) -> Dataset:
    data = header(sop_class, "CT", 99, of, **elements)
    data.file_meta.TransferSyntaxUID = syntax
    data.add_new(0x20050010, "LO", "Nobody's private group")
    data.add_new(0x20051035, "CS", "PIXEL")
    return data


@odd
def a_private_object_without_pixels_in_the_series(folder: Path) -> Right:
    """A maker's own object beside each series, under its UID; it holds no image. neurolabusc/dcm_qa_philips_dwi; PS3.4 B.5."""
    series(folder)
    save(private(), folder / "XX_0099")
    return Right((HU,), {"no_pixels": 1})


@odd
def a_private_object_that_speaks_of_rows_and_has_no_pixels(folder: Path) -> Right:
    """The same with Rows and Columns of the images that it is about. As above."""
    series(folder)
    save(private(Rows=24, Columns=20), folder / "XX_0099")
    return Right((HU,), {"no_pixels": 1})


@odd
def a_deflated_private_object_without_pixels(folder: Path) -> Right:
    """The same, deflated, so that nothing tells where pixels would begin. PS3.5 A.5."""
    series(folder)
    save(private(syntax=DeflatedExplicitVRLittleEndian), folder / "XX_0099")
    return Right((HU,), {"no_pixels": 1})


@odd
def a_private_object_with_pixels_in_the_series(folder: Path) -> Right:
    """A picture of a maker's own SOP class is lost, and is no slice of a CT volume: a volume is of one SOP class (PS3.3 A.3)."""
    series(folder)
    save(with_pixels(private(), anatomy()[0]), folder / "XX_0099")
    return Right((HU,), {"unknown_sop_class": 1})


@odd
def a_capture_in_the_series(folder: Path) -> Right:
    """A capture of the screen under the series' UID: refused, since it may show a name, and no slice of it. PS3.3 A.8."""
    series(folder)
    save(
        with_pixels(header(SecondaryCaptureImageStorage, "CT", 99), anatomy()[0]),
        folder / "capture",
    )
    return Right((HU,), {"burned_in_annotation": 1})


@odd
def a_clean_capture_in_the_series(folder: Path) -> Right:
    """A capture that says it shows no name is a picture of its own: it has no place, and a volume is of one SOP class. PS3.3 A.8."""
    series(folder)
    save(
        with_pixels(
            header(SecondaryCaptureImageStorage, "CT", 99, BurnedInAnnotation="NO"),
            anatomy(1, 30, 30)[0],
        ),
        folder / "capture",
    )
    return Right((HU, anatomy(1, 30, 30)[0]))


@odd
def a_slice_that_is_refused_takes_its_volume(folder: Path) -> Right:
    """The other way: a slice of the series' own SOP class that says it shows a name leaves a volume that lacks it. PS3.3 C.7.6.1."""
    series(folder)
    save(
        at(
            with_pixels(header(CTImageStorage, "CT", 7, BurnedInAnnotation="YES"), anatomy()[0]),
            0,
            0,
            21.0,
        ),
        folder / "IM0007",
    )
    return Right((), {"burned_in_annotation": 1, "sibling_rejected": 6})


@odd
def spectra_in_the_series(folder: Path) -> Right:
    """Spectroscopy has rows and columns of voxels and no pixels: neither an image nor made of images. PS3.3 C.8.14."""
    series(folder)
    save(header(MRSpectroscopyStorage, "MR", 99, 1, Rows=1, Columns=1), folder / "spectra")
    return Right((HU,), {"no_pixels": 1})


@odd
def a_label_map_that_the_dictionary_lacks(folder: Path) -> Right:
    """A segmentation of a class that is newer than pydicom's dictionary: derived, no lost image. PS3.4 B.5, PS3.3 A.51."""
    series(folder)
    save(
        with_pixels(header(LABEL_MAP, "SEG", 1, 2), (anatomy() > 500).astype(np.uint8)),
        folder / "labelmap.dcm",
    )
    return Right((HU,), {"derived_object": 1})


@odd
def a_segmentation_of_a_class_that_nobody_knows(folder: Path) -> Right:
    """The same of any class to come, told by its modality. PS3.3 C.7.3.1.1.1: SEG is no acquisition."""
    series(folder)
    save(
        with_pixels(header(NEWER, "SEG", 9), (anatomy() > 500).astype(np.uint8)),
        folder / "later.dcm",
    )
    return Right((HU,), {"derived_object": 1})


@odd
def objects_without_pixels_of_classes_to_come(folder: Path) -> Right:
    """A report of a class that the dictionary lacks is no image. PS3.4 B.5."""
    series(folder)
    save(private(NEWER), folder / "later.dcm")
    return Right((HU,), {"no_pixels": 1})


@odd
def an_image_of_a_class_to_come_is_lost(folder: Path) -> Right:
    """The other way: pixels of a class that nobody knows are an image that is not read, and counted. PS3.4 B.5."""
    save(at(with_pixels(header(NEWER, "CT"), anatomy()[0]), 0, 0, 0), folder / "later.dcm")
    return Right((), {"unknown_sop_class": 1})


@odd
def files_that_systems_leave(folder: Path) -> Right:
    """Apple's, Windows', Synology's and QNAP's files beside a series, some empty, some named like images, some thumbnails. RFC 1740."""
    series(folder, "IM{:04}.dcm".format)
    left = {
        "._IM0001.dcm": DOUBLE,
        "._IM0002.dcm": b"",
        ".DS_Store": b"\0\0\0\1Bud1",
        "Icon\r": b"",
        ".localized": b"",
        "Thumbs.db": b"x",
        "desktop.ini": b"",
        "IM0003.dcm:Zone.Identifier": b"[ZoneTransfer]",
        "IM0004.dcmZone.Identifier": b"",
        "__MACOSX/study/IM0001.dcm": DOUBLE,
        "~$labels.xlsx": b"",
        ".AppleDouble/IM0004.dcm": DOUBLE,
        "$RECYCLE.BIN/$IABC.dcm": b"x",
        "IM0005.dcm@SynoEAStream": b"",
    }
    for name, content in left.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for thumbnails in ("@eaDir/IM0001.dcm", ".@__thumb"):
        (folder / thumbnails).mkdir(parents=True)
        Image.fromarray(anatomy()[0].astype(np.uint8)).save(
            folder / thumbnails / "SYNOPHOTO_THUMB_M.jpg"
        )
    return Right((HU,), {"not_an_image": len(left) + 2})


@odd
def a_zip_of_a_mac(folder: Path) -> Right:
    """A zip as macOS packs it, with a second file beside each. RFC 1740."""
    series(folder / "once", "IM{:04}.dcm".format)
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        for path in sorted((folder / "once").iterdir()):
            archive.write(path, f"study/{path.name}")
            archive.writestr(f"__MACOSX/study/._{path.name}", DOUBLE)
    shutil.rmtree(folder / "once")
    return Right((HU,), {"not_an_image": 6})


@odd
def images_whose_names_only_look_like_a_systems(folder: Path) -> Right:
    """The other way: a sound slice is read whatever its name begins with; content tells. PS3.10 7.1."""
    series(folder, "._IM{:04}".format)
    return Right((HU,))


@odd
def a_broken_image_that_is_named_like_one(folder: Path) -> Right:
    """The other way: macOS's second file in the place of a slice is a lost slice, and the volume may lack it. RFC 1740."""
    series(folder)
    (folder / "IM0007.dcm").write_bytes(DOUBLE)
    return Right((), {"not_what_its_name_says": 1, "maybe_incomplete": 6})


@odd
def a_broken_picture_beside_a_series(folder: Path) -> Right:
    """A PNG that cannot be opened is lost, and is no slice of a DICOM series. PS3.10 7.1."""
    series(folder)
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    return Right((HU,), {"not_decodable": 1})


@odd
def broken_files_that_are_named_as_other_formats(folder: Path) -> Right:
    """Files of other formats, empty, cut or pages of a portal: lost, and no slices. PS3.10 7.1."""
    series(folder)
    for name, content in {
        "logo.png": b"",
        "photo.JPG": b"<html>",
        "mask.nii.gz": gzip.compress(bytes(99))[:-9],
    }.items():
        (folder / name).write_bytes(content)
    return Right((HU,), {"empty_file": 1, "not_what_its_name_says": 1, "truncated": 1})


@odd
def an_empty_file_beside_a_series(folder: Path) -> Right:
    """The other way: an empty file may have been a slice. Nothing says how many there were. PS3.10 7.1."""
    series(folder)
    (folder / "IM0007").touch()
    return Right((), {"empty_file": 1, "maybe_incomplete": 6})


@odd
def files_of_other_formats_beside_a_series(folder: Path) -> Right:
    """A film, a picture and a volume of formats that are not read, whatever they are called, are lost and were never slices of DICOM."""
    series(folder)
    (folder / "IM0007").write_bytes(b"\0\0\0\x18ftypisom" + bytes(99))
    (folder / "IM0008").write_bytes(b"GIF89a" + bytes(99))
    (folder / "run+orig.HEAD").write_bytes(b"\ntype = string-attribute\nname = TYPESTRING\n")
    return Right((HU,), {"film": 1, "unread_picture": 1, "unread_volume": 1})


@odd
def empty_texts_beside_a_series(folder: Path) -> Right:
    """A log with no line, a table to be filled in and a hidden mark of some program were never slices. PS3.10 8.5 gives a slice no ending."""
    series(folder)
    for name in ("export.log", "Notes.TXT", "labels.csv", ".complete", "checksums.md5"):
        (folder / name).touch()
    return Right((HU,), {"not_an_image": 5})


Line = tuple[str, str, str, str, str]  # series, kind of record, file, SOP class, SOP Instance UID


def directory(path: Path, lines: Sequence[Line], linked: bool = True) -> None:
    """A DICOMDIR of one patient and study (PS3.3 F.3); `linked`: by offsets, else with none."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID, data.SOPClassUID, data.SOPInstanceUID = (
        ExplicitVRLittleEndian,
        MediaStorageDirectoryStorage,
        f"{ROOT}.7",
    )
    records, last = (
        [
            item(DirectoryRecordType="PATIENT", PatientID="MADE-1"),
            item(DirectoryRecordType="STUDY", StudyInstanceUID=f"{ROOT}.1"),
        ],
        None,
    )
    for uid, kind, name, sop_class, instance in lines:
        if uid != last:
            records.append(item(DirectoryRecordType="SERIES", Modality="CT", SeriesInstanceUID=uid))
            last = uid
        records.append(
            item(
                DirectoryRecordType=kind,
                ReferencedFileID=["DISC", name],
                ReferencedSOPClassUIDInFile=sop_class,
                ReferencedSOPInstanceUIDInFile=instance,
                ReferencedTransferSyntaxUIDInFile=ExplicitVRLittleEndian,
            )
        )
    for record in records:
        record.OffsetOfTheNextDirectoryRecord = (
            record.OffsetOfReferencedLowerLevelDirectoryEntity
        ) = 0
        record.RecordInUseFlag = 0xFFFF
    data.DirectoryRecordSequence = records
    del data.SOPClassUID, data.SOPInstanceUID
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = (
        MediaStorageDirectoryStorage,
        f"{ROOT}.7",
    )
    data.save_as(path, enforce_file_format=True)
    if linked:
        places = [record.seq_item_tell for record in pydicom.dcmread(path).DirectoryRecordSequence]
        above = None
        for number, record in enumerate(records):
            if record.DirectoryRecordType == "SERIES":
                above = record
                record.OffsetOfReferencedLowerLevelDirectoryEntity = places[number + 1]
            elif (
                above is not None
                and number + 1 < len(records)
                and records[number + 1].DirectoryRecordType != "SERIES"
            ):
                record.OffsetOfTheNextDirectoryRecord = places[number + 1]
        data.save_as(path, enforce_file_format=True)


def disc(folder: Path, more: Sequence[Line] = (), linked: bool = True) -> None:
    """Two CT series in one folder of a disc, and its DICOMDIR, which names `more`."""
    lines = []
    for of in (1, 2):
        series(folder / "DISC", (f"IM{of}" + "{:03}").format, of)
        lines += [
            (
                f"{ROOT}.1.{of}",
                "IMAGE",
                f"IM{of}{number:03}",
                CTImageStorage,
                f"{ROOT}.1.{of}.{number}",
            )
            for number in range(1, 7)
        ]
    directory(folder / "DICOMDIR", [*lines, *more], linked)


@odd
def a_whole_disc(folder: Path) -> Right:
    """A DICOMDIR with all that it names. PS3.3 F.3."""
    disc(folder)
    return Right((HU, HU), {"no_pixels": 1})


@odd
def a_lost_report_of_a_disc(folder: Path) -> Right:
    """A report that the DICOMDIR names and that is gone is no lost slice of any series. PS3.3 F.5."""
    disc(
        folder,
        [
            (f"{ROOT}.1.9", "SR DOCUMENT", "SR0001", BasicTextSRStorage, f"{ROOT}.1.9.1"),
            (f"{ROOT}.1.9", "PRIVATE", "XX0001", PRIVATE, f"{ROOT}.1.9.2"),
        ],
    )
    return Right((HU, HU), {"no_pixels": 1, "missing_no_image": 2})


@odd
def a_lost_slice_of_a_disc(folder: Path) -> Right:
    """The other way: a lost image takes its own series and no other. PS3.3 F.5."""
    disc(folder, [(f"{ROOT}.1.2", "IMAGE", "IM2007", CTImageStorage, f"{ROOT}.1.2.7")])
    return Right((HU,), {"no_pixels": 1, "missing_file": 1, "sibling_rejected": 6})


@odd
def a_lost_image_of_a_lost_series(folder: Path) -> Right:
    """A series of which nothing is there is counted and takes no other; its DICOMDIR has no offsets, so that the order tells. PS3.3 F.3."""
    disc(
        folder, [(f"{ROOT}.1.3", "IMAGE", "IM3001", CTImageStorage, f"{ROOT}.1.3.1")], linked=False
    )
    return Right((HU, HU), {"no_pixels": 1, "missing_file": 1})


@odd
def a_disc_packed_file_by_file(folder: Path) -> Right:
    """IM1001.gz is IM1001. neurolabusc/dcm_qa_philips_dwi."""
    disc(folder)
    for path in sorted((folder / "DISC").iterdir()):
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    return Right((HU, HU), {"no_pixels": 1})


@odd
def a_disc_with_names_of_iso_9660(folder: Path) -> Right:
    """im1001.;1 is IM1001, as some systems show a disc. ISO 9660 7.5."""
    disc(folder)
    for path in sorted((folder / "DISC").iterdir()):
        path.rename(path.with_name(f"{path.name.lower()}.;1"))
    return Right((HU, HU), {"no_pixels": 1})


@odd
def a_disc_with_names_of_its_own(folder: Path) -> Right:
    """Files that a PACS named by their UIDs are found by SOP Instance UID. PS3.3 F.5.1.1 (Referenced SOP Instance UID in File)."""
    disc(folder)
    for number, path in enumerate(sorted((folder / "DISC").iterdir())):
        path.rename(folder / f"{number:032x}")
    (folder / "DISC").rmdir()
    return Right((HU, HU), {"no_pixels": 1})


@odd
def a_directory_with_a_name_of_iso_9660(folder: Path) -> Right:
    """dicomdir.;1 is DICOMDIR, so a slice that it names and that is gone is noticed. ISO 9660 7.5."""
    disc(folder)
    (folder / "DICOMDIR").rename(folder / "dicomdir.;1")
    (folder / "DISC/IM2003").unlink()
    return Right((HU,), {"no_pixels": 1, "missing_file": 1, "sibling_rejected": 5})


@odd
def a_slice_of_another_modality_class_in_the_folder(folder: Path) -> Right:
    """An MR series with a cut file and a CT series in one folder: the cut one takes its own. PS3.3 A.4."""
    series(folder)
    for number in range(1, 7):
        save(
            at(
                with_pixels(header(MRImageStorage, "MR", number, 5), anatomy()[number - 1]),
                0,
                0,
                3.0 * number,
            ),
            folder / f"MR{number}",
        )
    whole = (folder / "MR6").read_bytes()
    (folder / "MR6").write_bytes(whole[:-100])
    return Right((HU,), {"truncated": 1, "sibling_rejected": 5})
