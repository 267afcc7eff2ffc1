"""Formats beside DICOM, as their writers vary them: those that are read, and those that are images and are not."""

import bz2
import gzip
import io
import struct
from pathlib import Path

import nibabel
import numpy as np
from nibabel.freesurfer.mghformat import MGHImage
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import UID, VideoEndoscopicImageStorage, VLWholeSlideMicroscopyImageStorage

from tests.odd_series.case import Right, odd
from tests.odd_series.made import anatomy, header, save, with_pixels

AXIAL = np.diag(
    [-0.6, -0.8, 3.0, 1.0]
)  # as DICOM stores an axial series: to the left, back and head
SIZES = " ".join(map(str, anatomy().shape[::-1]))
HEAD = (
    f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {SIZES}\nspace directions: (0.6,0,0) (0,0.8,0) (0,0,3)\n"
    "kinds: domain domain domain\nendian: little\nspace origin: (1,2,3)\n"
)
RAW = anatomy().astype("<i2").tobytes()
PICTURE = (anatomy()[0] % 256).astype(np.uint8)


def nrrd(path: Path, encoding: str, content: bytes, lines: str = "") -> None:
    """`content`: what follows the header, or nothing where `lines` name data files."""
    path.write_bytes(f"{HEAD}encoding: {encoding}\n{lines}\n".encode() + content)


@odd
def encodings_of_nrrd(folder: Path) -> Right:
    """Every encoding of the format: raw, gzip, bzip2, text and hex, under each of its names. teem.sourceforge.net/nrrd/format.html#encoding;
    mhe/pynrrd#12 and its test data."""
    text = "\n".join(map(str, anatomy().ravel())).encode()
    ways = {
        "raw": RAW,
        "gzip": gzip.compress(RAW),
        "gz": gzip.compress(RAW),
        "bzip2": bz2.compress(RAW),
        "bz2": bz2.compress(RAW),
        "ascii": text,
        "text": text.replace(b"\n", b", "),
        "txt": text,
        "hex": RAW.hex().encode(),
        "HEX": b"\n".join(RAW.hex(" ").encode()[at : at + 60] for at in range(0, 3 * len(RAW), 60)),
    }
    for encoding, content in ways.items():
        nrrd(folder / f"{encoding}.nrrd", encoding, content)
    return Right(volumes=(anatomy(),) * len(ways))


@odd
def lines_and_bytes_before_voxels(folder: Path) -> Right:
    """Line skip first, then byte skip, which is of unpacked bytes where they are packed; -1 means that the voxels come last.
    teem.sourceforge.net/nrrd/format.html#lineskip."""
    nrrd(folder / "lines.nrrd", "raw", b"one\ntwo\n" + RAW, "line skip: 2\n")
    nrrd(folder / "both.nrrd", "raw", b"one\nxyz" + RAW, "lineskip: 1\nbyteskip: 3\n")
    nrrd(folder / "last.nrrd", "raw", b"as long as it likes" + RAW, "byte skip: -1\n")
    nrrd(
        folder / "packed.nrrd",
        "gzip",
        b"one\n" + gzip.compress(b"xyz" + RAW),
        "line skip: 1\nbyte skip: 3\n",
    )
    (folder / "apart.raw").write_bytes(b"one\nxyz" + RAW)
    nrrd(folder / "apart.nhdr", "raw", b"", "line skip: 1\nbyte skip: 3\ndata file: apart.raw\n")
    (folder / "apart.z").write_bytes(b"one\n" + bz2.compress(RAW))
    nrrd(folder / "packed_apart.nhdr", "bzip2", b"", "line skip: 1\ndata file: apart.z\n")
    return Right(volumes=(anatomy(),) * 6)


@odd
def voxels_packed_in_several_streams(folder: Path) -> Right:
    """As pigz, bgzip and pbzip2 pack, one stream behind another (RFC 1952 2.2); and a stream with bytes of no stream behind it."""
    nrrd(folder / "gzip.nrrd", "gzip", gzip.compress(RAW[:1000]) + gzip.compress(RAW[1000:]))
    nrrd(
        folder / "bzip2.nrrd",
        "bzip2",
        bz2.compress(RAW[:1000]) + bz2.compress(RAW[1000:2000]) + bz2.compress(RAW[2000:]),
    )
    nrrd(folder / "tail.nrrd", "gzip", gzip.compress(RAW) + b"\n\0")
    nrrd(folder / "cut.nrrd", "bzip2", bz2.compress(RAW[:1000]) + bz2.compress(RAW[1000:])[:-20])
    nrrd(
        folder / "more.nrrd",
        "gzip",
        gzip.compress(RAW[:1000]) + gzip.compress(RAW[1000:] + b"more"),
    )
    return Right((anatomy(),) * 3, {"truncated": 1, "not_decodable": 1})


@odd
def voxels_in_several_files(folder: Path) -> Right:
    """A list of files, and numbered ones, forwards and backwards, a slice or two in each, packed or not.
    teem.sourceforge.net/nrrd/format.html#detached; MetaIO's ElementDataFile."""
    planes = anatomy().astype("<i2")
    for at, plane in enumerate(planes):
        (folder / f"plane_{at:02d}.raw").write_bytes(plane.tobytes())
        (folder / f"down_{10 * (len(planes) - at)}.raw.gz").write_bytes(
            gzip.compress(plane.tobytes())
        )
    for at in range(0, len(planes), 2):
        (folder / f"pair {at}.raw").write_bytes(planes[at : at + 2].tobytes())
    names = "\n".join(f"./pair {at}.raw" for at in range(0, len(planes), 2))
    (folder / "list.nhdr").write_bytes(
        f"{HEAD}encoding: raw\ndata file: LIST 3\n{names}\n".encode()
    )
    nrrd(folder / "numbered.nhdr", "raw", b"", "data file: plane_%02d.raw 0 5 1 2\n")
    nrrd(folder / "down.nhdr", "gzip", b"", "data file: down_%d.raw.gz 60 10 -10\n")
    fields = f"NDims = 3\nDimSize = {SIZES}\nElementType = MET_SHORT\nElementSpacing = 0.6 0.8 3\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    for at, plane in enumerate(planes):
        (folder / f"meta{at}.raw").write_bytes(plane.tobytes())
        (folder / f"row{at}.raw").write_bytes(plane.tobytes())
    (folder / "numbered.mhd").write_text(f"{fields}ElementDataFile = meta%d.raw 0 5 1\n")
    (folder / "list.mhd").write_text(
        fields + "ElementDataFile = LIST\n" + "".join(f"row{at}.raw\n" for at in range(len(planes)))
    )
    return Right(volumes=(anatomy(),) * 5)


@odd
def one_of_several_files_is_gone(folder: Path) -> Right:
    """The fourth of six files is not there: the header and the five are rejected for that."""
    for at, plane in enumerate(anatomy().astype("<i2")):
        if at != 3:
            (folder / f"plane{at}.raw").write_bytes(plane.tobytes())
    nrrd(folder / "x.nhdr", "raw", b"", "data file: plane%d.raw 0 5 1\n")
    return Right(rejects={"bad_data_file": 6})


@odd
def one_volume_in_four_dimensions(folder: Path) -> Right:
    """ITK writes a time series of one moment as MetaImage of four dimensions, the last of size 1: it is a volume."""
    fields = (
        f"NDims = 4\nDimSize = {SIZES} 1\nElementType = MET_SHORT\nElementSpacing = 0.6 0.8 3 1\nOffset = 1 2 3 0\n"
        "TransformMatrix = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\nElementDataFile = LOCAL\n"
    )
    (folder / "x.mha").write_bytes(fields.encode() + RAW)
    (folder / "aslant.mha").write_bytes(fields.replace("= 1 0 0 0 ", "= 1 0 0 1 ").encode() + RAW)
    return Right(volumes=(anatomy(),), rejects={"not_decodable": 1})


@odd
def fewer_numbers_than_promised(folder: Path) -> Right:
    """Text that ends early, digits that are none, and a packed part that is cut: nothing is made up for what is missing."""
    nrrd(folder / "text.nrrd", "ascii", b" 17" * (anatomy().size - 1))
    nrrd(folder / "words.nrrd", "ascii", b" 17" * (anatomy().size - 1) + b" seventeen")
    nrrd(folder / "hex.nrrd", "hex", RAW.hex().encode()[:-2])
    nrrd(folder / "bzip2.nrrd", "bzip2", bz2.compress(RAW)[:-20])
    nrrd(folder / "wide.nrrd", "ascii", b" 70000" * anatomy().size)
    return Right(rejects={"truncated": 3, "not_decodable": 2})


@odd
def an_encoding_that_no_writer_has(folder: Path) -> Right:
    """An encoding that the format does not know is named as the reason."""
    nrrd(folder / "x.nrrd", "zstd", RAW)
    return Right(rejects={"unread_encoding": 1})


@odd
def mgh_volumes(folder: Path) -> Right:
    """FreeSurfer's MGH and MGZ, stored along other axes, and two volumes in one file. surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat."""
    axial = MGHImage(anatomy().T.astype(np.float32), AXIAL)
    axial.to_filename(folder / "axial.mgz")
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(AXIAL), nibabel.orientations.axcodes2ornt("LIA")
    )
    turned = nibabel.Nifti1Image(anatomy().T, AXIAL).as_reoriented(turn)
    MGHImage(np.asanyarray(turned.dataobj), turned.affine).to_filename(folder / "coronal.mgh")
    MGHImage(np.stack([anatomy().T, anatomy().T + 1000], axis=-1), AXIAL).to_filename(
        folder / "two.mgz"
    )
    return Right(volumes=(anatomy(), as_written(turned), anatomy(), anatomy() + 1000))


def as_written(image: nibabel.Nifti1Image) -> np.ndarray:
    """What inspect writes, on the grid of the file: (slices, rows, columns), as the table reads it."""
    values = np.asanyarray(image.dataobj)
    return (values if image.affine[2, 2] >= 0 else values[..., ::-1]).transpose(2, 1, 0)


@odd
def an_mgh_that_does_not_say_how_it_lies(folder: Path) -> Right:
    """goodRASFlag 0: nibabel and FreeSurfer take a coronal volume of 1 mm then, which nothing supports; and one cut short."""
    MGHImage(anatomy().T, AXIAL).to_filename(folder / "x.mgh")
    content = (folder / "x.mgh").read_bytes()
    (folder / "cut.mgh").write_bytes(content[: 284 + anatomy().nbytes - 2])
    (folder / "x.mgh").write_bytes(content[:28] + bytes(2) + content[30:])
    return Right(rejects={"no_orientation": 1, "truncated": 1})


@odd
def nifti_in_two_files(folder: Path) -> Right:
    """NIfTI's pairs, .hdr and .img, packed or in capitals, of either version. nifti1.h, magic ni1."""
    for name, kind in (
        ("one", nibabel.Nifti1Pair),
        ("two", nibabel.Nifti2Pair),
        ("loud", nibabel.Nifti1Pair),
    ):
        nibabel.save(kind(anatomy().T, AXIAL), folder / f"{name}.img")
    (folder / "loud.hdr").rename(folder / "LOUD.HDR")
    (folder / "loud.img").rename(folder / "LOUD.IMG")
    (folder / "two.img.gz").write_bytes(gzip.compress((folder / "two.img").read_bytes()))
    (folder / "two.img").unlink()
    return Right(volumes=(anatomy(),) * 3)


@odd
def half_of_a_pair(folder: Path) -> Right:
    """A header without its voxels, and voxels without a header."""
    nibabel.save(nibabel.Nifti1Pair(anatomy().T, AXIAL), folder / "x.img")
    nibabel.save(nibabel.Nifti1Pair(anatomy().T, AXIAL), folder / "y.img")
    (folder / "x.img").unlink()
    (folder / "y.hdr").unlink()
    return Right(rejects={"bad_data_file": 1, "no_header": 1})


@odd
def analyze(folder: Path) -> Right:
    """Analyze 7.5 has no place for how a volume lies (readers make it up, ITK and SPM in different ways), so that a volume is refused and
    says so; a picture needs none. Of either byte order."""
    for order in "<>":
        head = nibabel.AnalyzeHeader(endianness=order)
        head.set_data_dtype(np.int16)
        nibabel.save(
            nibabel.AnalyzeImage(anatomy().T, None, head), folder / f"volume{ord(order)}.img"
        )
        nibabel.save(
            nibabel.AnalyzeImage(anatomy()[:1].T, None, head), folder / f"plane{ord(order)}.img"
        )
    return Right(volumes=(anatomy()[0, ::-1],) * 2, rejects={"no_orientation": 4})


@odd
def pictures_in_bmp_and_jpeg_2000(folder: Path) -> Right:
    """Pillow reads both; grey JPEG 2000 of 12 bits or with a sign keeps its own values, which Pillow stretches to 16 bits."""
    from openjpeg.utils import encode_array

    Image.fromarray(PICTURE).save(folder / "x.bmp")
    Image.fromarray(PICTURE).save(folder / "x.jp2")
    large = anatomy(1, 64, 64)[0]  # its encoder halves the sides five times
    deep, signed = large.astype(np.uint16), (large - 500).astype(np.int16)
    (folder / "deep.j2k").write_bytes(encode_array(deep, bits_stored=12))
    (folder / "signed.j2k").write_bytes(encode_array(signed, bits_stored=11))
    colour = np.stack([PICTURE, PICTURE[::-1], PICTURE[:, ::-1]], axis=-1)
    Image.fromarray(colour).save(folder / "colour.bmp")
    Image.fromarray(colour).save(folder / "colour.jp2", irreversible=False)
    return Right(volumes=(PICTURE, PICTURE, deep, signed, colour, colour))


@odd
def pictures_cut_short(folder: Path) -> Right:
    """Pixels that are missing are no pixels."""
    for ending in ("bmp", "jp2"):
        Image.fromarray(PICTURE).save(folder / f"x.{ending}")
        content = (folder / f"x.{ending}").read_bytes()
        (folder / f"x.{ending}").write_bytes(content[:-50])
    return Right(rejects={"truncated": 2})


@odd
def formats_that_are_not_read(folder: Path) -> Right:
    """Each is an image, so it is a loss, and its format is named: GIF, WebP, TIFF of several sizes (a slide), MINC, films, HEIC, Photoshop."""
    picture = Image.fromarray(PICTURE)
    picture.save(folder / "x.gif")
    picture.save(folder / "x.webp")
    (folder / "x.heic").write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(600))
    (folder / "x.psd").write_bytes(b"8BPS\0\1" + bytes(600))
    (folder / "minc1.mnc").write_bytes(b"CDF\1" + bytes(600))
    (folder / "minc2").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    (folder / "x.mp4").write_bytes(struct.pack(">I", 32) + b"ftypisom" + bytes(600))
    (folder / "x.avi").write_bytes(b"RIFF" + struct.pack("<I", 600) + b"AVI LIST" + bytes(600))
    (folder / "x.mpg").write_bytes(b"\0\0\1\xba" + bytes(600))
    whole = Image.fromarray(np.tile(PICTURE, (8, 8)))
    whole.save(folder / "reduced.tif", save_all=True, append_images=[picture], tiffinfo={})
    whole.save(
        folder / "x.svs",
        "TIFF",
        save_all=True,
        append_images=[picture],
        description="Aperio Image Library v10",
    )
    return Right(
        rejects={"unread_picture": 4, "unread_volume": 2, "film": 3, "slide": 1, "multi_frame": 1}
    )


@odd
def films_and_slides_in_dicom(folder: Path) -> Right:
    """A film in MPEG-4 is a film and no unknown syntax; a scanned slide in tiles is no film. PS3.5 8.2.7, PS3.3 A.32.8."""
    film = with_pixels(
        header(VideoEndoscopicImageStorage, "ES", BurnedInAnnotation="NO"),
        PICTURE,
        NumberOfFrames=3,
    )
    film.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    film.PixelData = encapsulate([b"\0\0\0\x20ftypisom" + bytes(200)])
    save(film, folder / "film.dcm")
    tiles = np.stack([np.stack([PICTURE] * 3, axis=-1)] * 4)
    slide = with_pixels(header(VLWholeSlideMicroscopyImageStorage, "SM", series=2), PICTURE)
    slide.SamplesPerPixel, slide.PhotometricInterpretation, slide.PlanarConfiguration = 3, "RGB", 0
    slide.NumberOfFrames, slide.PixelData = len(tiles), tiles.tobytes()
    save(slide, folder / "slide.dcm")
    return Right(rejects={"film": 1, "slide": 1})


@odd
def what_is_no_image(folder: Path) -> Right:
    """The neighbours: text, a table and a page named like a picture keep their own reasons."""
    (folder / "notes.txt").write_text("P1 34 56\nBM and GIF are formats\n")
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "page.gif").write_text("<!DOCTYPE html><p>session expired</p>")
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "PNG")
    (folder / "really_png.bmp").write_bytes(stream.getvalue())
    return Right(volumes=(PICTURE,), rejects={"not_an_image": 2, "not_what_its_name_says": 1})
