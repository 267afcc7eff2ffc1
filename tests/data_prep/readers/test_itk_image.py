"""NRRD and MetaImage files: values and orientation as SimpleITK reads them, and every promise checked before it is believed."""

import gzip
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from data_prep import convert as stage
from data_prep.exports.sources import Found, opened
from data_prep.readers import itk_image, nifti
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.readers.itk.geometry import affine_of
from data_prep.readers.itk.header import header_of, read_fields
from data_prep.readers.registry import recognised
from data_prep.rejects import Reject
from tests.data_prep.test_convert import workspace

NAMES = ["x.nrrd", "x.nhdr", "x.mha", "x.mhd"]
DIRECTION = (
    0,
    1,
    0,
    0,
    0,
    -1,
    -1,
    0,
    0,
)  # columns to the feet, rows to the left, slices to the front


def block(dtype: type = np.int16) -> np.ndarray:
    return np.arange(6 * 12 * 10, dtype=dtype).reshape(6, 12, 10)


def save(
    path: Path,
    array: np.ndarray,
    direction: tuple[float, ...] | None = DIRECTION,
    packed: bool = False,
    colour: bool = False,
) -> Path:
    image = sitk.GetImageFromArray(array, isVector=colour)
    image.SetSpacing((0.5, 0.7, 2.0)[: image.GetDimension()])
    if direction and image.GetDimension() == 3:
        image.SetDirection(direction)
        image.SetOrigin((1, 2, 3))
    sitk.WriteImage(image, str(path), packed)
    return path


def read(path: Path) -> tuple[ImageFile, Pixels]:
    """As convert does: the header first, its data file found by the name that it gives, then the pixels."""
    image = examine(Found(path.name, path, path.stat().st_size))
    if isinstance(image, Reject):
        raise AssertionError(f"{image.reason}: {image.found}")
    data = tuple(
        Found(part, path.parent / part, (path.parent / part).stat().st_size) for part in image.parts
    )
    image = replace(image, identity=replace(image.identity, data=data))
    with opened(image.identity.found) as stream:
        return image, itk_image.read_pixels(stream, image)


def reason(path: Path) -> str:
    """Why the header or the pixels are rejected."""
    image = examine(Found(path.name, path, path.stat().st_size))
    if isinstance(image, Reject):
        return image.reason
    with pytest.raises(itk_image.Rejected) as caught:
        read(path)
    return caught.value.reason


def edit(path: Path, old: str, new: str) -> Path:
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(content.replace(old.encode(), new.encode(), 1))
    return path


def as_nifti(path: Path, source: Path) -> np.ndarray:
    """The same image as the NIfTI reader has it."""
    sitk.WriteImage(sitk.ReadImage(str(source)), str(path))
    return nifti.read_pixels(io.BytesIO(path.read_bytes())).values


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_volume_is_read_as_its_nifti_is(tmp_path: Path, name: str, packed: bool) -> None:
    header, pixels = read(save(tmp_path / name, block(), packed=packed))
    assert np.array_equal(pixels.values, as_nifti(tmp_path / "x.nii", tmp_path / name))
    assert header.header.shape == pixels.values.shape == (10, 6, 12)
    assert header.header.facts.spacing == pytest.approx((0.5, 2.0, 0.7))


@pytest.mark.parametrize(
    "dtype",
    [
        np.int8,
        np.uint8,
        np.int16,
        np.uint16,
        np.int32,
        np.uint32,
        np.int64,
        np.uint64,
        np.float32,
        np.float64,
    ],
)
@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
def test_every_type_of_voxel_is_read_as_written(tmp_path: Path, name: str, dtype: type) -> None:
    axial = (block() % 100).astype(dtype)
    _, pixels = read(save(tmp_path / name, axial, direction=None))
    assert np.array_equal(pixels.values, axial)  # an axial volume in LPS keeps its own order


def test_big_endian_voxels_and_bytes_before_them_are_understood(tmp_path: Path) -> None:
    save(tmp_path / "x.mhd", block(), direction=None)
    (tmp_path / "x.raw").write_bytes(b"junk" + block(">i2").tobytes())
    edit(
        tmp_path / "x.mhd",
        "BinaryDataByteOrderMSB = False",
        "BinaryDataByteOrderMSB = True\nHeaderSize = -1",
    )
    assert np.array_equal(read(tmp_path / "x.mhd")[1].values, block())
    save(tmp_path / "y.nhdr", block(), direction=None)
    (tmp_path / "y.raw").write_bytes(b"junk" + block(">i2").tobytes())
    edit(tmp_path / "y.nhdr", "endian: little", "endian: big\nbyte skip: 4")
    assert np.array_equal(read(tmp_path / "y.nhdr")[1].values, block())


@pytest.mark.parametrize("space", ["right-anterior-superior", "RAS", "left-anterior-superior"])
def test_a_nrrd_in_another_space_is_turned_as_simpleitk_turns_it(
    tmp_path: Path, space: str
) -> None:
    edit(save(tmp_path / "x.nrrd", block()), "left-posterior-superior", space)
    assert np.array_equal(
        read(tmp_path / "x.nrrd")[1].values, as_nifti(tmp_path / "x.nii", tmp_path / "x.nrrd")
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_plane_is_read_as_stored_and_colours_are_a_photograph(tmp_path: Path, name: str) -> None:
    header, pixels = read(save(tmp_path / name, block()[0]))
    assert np.array_equal(
        pixels.values, block()[0]
    ) and header.header.facts.spacing == pytest.approx((0.7, 0.5))
    picture = np.random.default_rng(0).integers(0, 255, (12, 10, 3), np.uint8)
    header, pixels = read(save(tmp_path / name, picture, colour=True))
    assert np.array_equal(pixels.values, picture) and pixels.photograph
    assert (header.header.shape, header.header.facts.photometric) == ((12, 10), "RGB")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("x.nrrd", "space origin: (1,2,3)", 'space units: "m" "m" "m"'),
        ("x.mha", "NDims = 3", "NDims = 3\nDistanceUnits = m"),
    ],
)
def test_metres_become_millimetres(tmp_path: Path, name: str, old: str, new: str) -> None:
    edit(save(tmp_path / name, block(), direction=None if name == "x.mha" else DIRECTION), old, new)
    assert sorted(read(tmp_path / name)[0].header.facts.spacing) == pytest.approx([500, 700, 2000])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_voxels_that_end_early_are_truncated(tmp_path: Path, name: str, packed: bool) -> None:
    save(tmp_path / name, block(), packed=packed)
    data = next((path for path in tmp_path.iterdir() if path.name != name), tmp_path / name)
    data.write_bytes(data.read_bytes()[:-9])
    assert reason(tmp_path / name) == "truncated"


@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
def test_packed_voxels_that_fail_their_checksum_are_rejected(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, block(), packed=True)
    content = bytearray(path.read_bytes())
    content[-6 if name == "x.nrrd" else -2] ^= 0xFF
    path.write_bytes(content)
    assert reason(path) == "truncated"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_rejected(tmp_path: Path, name: str, value: float) -> None:
    array = block(np.float64)
    array[2, 3, 4] = value
    assert reason(save(tmp_path / name, array)) == "not_finite"


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("x.nrrd", "sizes: 10 12 6", "sizes: 30000 30000 30000", "too_large"),
        ("x.mha", "DimSize = 10 12 6", "DimSize = 30000 30000 30000", "too_large"),
        ("x.nrrd", "sizes: 10 12 6", "sizes: 10 12 -6", "not_decodable"),
        ("x.mha", "DimSize = 10 12 6", "DimSize = 10 12", "not_decodable"),
        ("x.mha", "DimSize = 10 12 6", "DimSize =", "not_decodable"),
        ("x.mha", "NDims = 3", "NDims = 3\nHeaderSize = -2", "not_decodable"),
        ("x.mha", "NDims = 3", "NDims = 3\nElementNumberOfChannels = 0", "not_decodable"),
        ("x.nrrd", "dimension: 3", "dimension: three", "not_decodable"),
        ("x.mha", "DimSize = 10 12 6", "DimSize = 10 12 6\nDimSize = 1 1 1", "not_decodable"),
        ("x.nrrd", "space: left-posterior-superior", "space: scanner-xyz", "no_orientation"),
        ("x.nrrd", "space: left-posterior-superior\n", "", "no_orientation"),
        ("x.mha", "TransformMatrix = 0 0 -1 1 0 0 0 -1 0\n", "", "no_orientation"),
        ("x.mha", "ElementSpacing = 0.5 0.69999999999999996 2\n", "", "no_spacing"),
        (
            "x.mha",
            "ElementSpacing = 0.5 0.69999999999999996 2",
            "ElementSpacing = 0.5 0 2",
            "singular_affine",
        ),
        (
            "x.mha",
            "ElementSpacing = 0.5 0.69999999999999996 2",
            "ElementSpacing = 0.5 ZZPHI 2",
            "singular_affine",
        ),
        (
            "x.mha",
            "TransformMatrix = 0 0 -1 1 0 0 0 -1 0",
            "TransformMatrix = 0 0 -1 1 0 0 1 0 0",
            "singular_affine",
        ),
        (
            "x.mha",
            "TransformMatrix = 0 0 -1 1 0 0 0 -1 0",
            "TransformMatrix = 0 0 -1 1 0 0 0 -1 .2",
            "sheared_affine",
        ),
        ("x.mha", "NDims = 3", "NDims = 3\nDistanceUnits = furlong", "no_spacing"),
        ("x.mha", "ElementType = MET_SHORT", "ElementType = MET_OTHER", "unsupported_pixels"),
        ("x.mha", "NDims = 3", "NDims = 3\nElementNumberOfChannels = 3", "several_values"),
        ("x.mha", "BinaryData = True", "BinaryData = False", "not_decodable"),
        ("x.mha", "NDims = 3", "NDims = 3\nElementToIntensityFunctionSlope = 2", "bad_rescale"),
        ("x.nrrd", "encoding: raw", "encoding: ascii", "not_decodable"),
        ("x.nrrd", "encoding: raw", "encoding: hex", "not_decodable"),
        ("x.nrrd", "encoding: raw", "encoding: bzip2", "truncated"),
        ("x.nrrd", "encoding: raw", "encoding: lzma", "unread_encoding"),
        ("x.nrrd", "encoding: raw", "encoding: raw\nline skip: 100000", "truncated"),
        ("x.nrrd", "encoding: raw", "encoding: raw\nline skip: -1", "not_decodable"),
        ("x.nrrd", "type: short", "type: block", "unsupported_pixels"),
        ("x.nrrd", "kinds: domain domain domain", "kinds: domain domain time", "time_series"),
    ],
)
def test_a_header_that_cannot_be_trusted_is_rejected(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, old: str, new: str, expected: str
) -> None:
    assert reason(edit(save(tmp_path / name, block()), old, new)) == expected
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
def test_a_time_series_is_rejected(tmp_path: Path, name: str) -> None:
    image = sitk.JoinSeries([sitk.GetImageFromArray(block())] * 3)
    sitk.WriteImage(image, str(tmp_path / name))
    assert reason(tmp_path / name) == "time_series"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"NRRD0005\ntype: short\n", "nrrd"),
        (b"ObjectType = Image\r\nNDims = 3\r\n", "metaimage"),
        (b"NDims=2\n", "metaimage"),
        (b"Comment = x\nNDims = 3\n", "metaimage"),
        (b"key = value\n", "other"),
        (b"see NDims = 3\n", "other"),
    ],
)
def test_a_header_is_told_by_content(head: bytes, kind: str) -> None:
    assert recognised(head)[0] == kind


def site(root: Path, **sources: str) -> tuple[Path, dict]:
    """Convert an export of volumes with a header and a data file each, after `sources` were written over it."""
    made = workspace(
        root,
        "{file: labels.csv, match: file, class: view}",
        size="[8, 8, 8]",
        extra="max_rejected: 1",
    )
    export = made.incoming("site")
    for number, name in enumerate(("a.mhd", "b.nhdr", "c.mha", "d.mhd")):
        save(export / name, block() + number)
    edit(export / "a.mhd", "a.raw", sources.get("a", "a.raw"))
    (export / "labels.csv").write_text("file,view\na.mhd,AP\nb.nhdr,PA\nc.mha,PA\nd.mhd,lateral\n")
    if "in_zip" in sources:
        with zipfile.ZipFile(whole := export / "all.zip", "w") as archive:
            for path in sorted(export.iterdir()):
                if path not in (whole, export / "labels.csv"):
                    archive.write(path, path.name)
                    path.unlink()
    stage.convert(made, "site")
    return made.studies("site"), json.loads((made.studies("site") / "summary.json").read_text())


def test_a_data_file_shares_the_fate_of_its_header(tmp_path: Path) -> None:
    folder, told = site(tmp_path)
    assert (told["files"], told["used"], told["rejected"], told["not_images"], told["records"]) == (
        8,
        5,
        2,
        1,
        3,
    )
    assert told["rejects"] == {"label_ignored": 2, "not_an_image": 1} and told[
        "transfer_syntaxes"
    ] == {"METAIMAGE": 2, "NRRD": 1}
    assert len((folder / "rejects.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("../incoming/a.raw", "outside the header's folder"),
        ("/etc/hostname", "outside the header's folder"),
        ("..\\\\a.raw", "outside"),
        ("nothing.raw", "missing"),
        ("c.mha", "another header's, or an image itself"),
        ("b.raw", ""),
        ("a.mhd", "an image itself"),
        ("a%03d.raw", "missing"),
        ("a%03d.raw 1 2 1", "missing"),
        ("a%03d.raw 1 99999999 1", "too many"),
        ("a%03d.raw 1 2 0", "no data file"),
        ("LIST", "no data file"),
        ("LIST\n../incoming/a.raw", "outside the header's folder"),
        ("LIST\na.raw\na.raw", "another header's"),
        ("LIST\na.raw\nb.raw", "another header's, or an image itself"),
    ],
)
def test_a_header_with_a_data_file_that_is_not_its_own_is_rejected(
    tmp_path: Path, written: str, found: str
) -> None:
    folder, told = site(tmp_path, a=written)
    assert told["files"] == told["used"] + told["rejected"] + told["not_images"] == 8
    assert told["rejects"]["bad_data_file"] >= 1 and found in (folder / "rejects.csv").read_text()
    assert "b.raw" not in (folder / "rejects.csv").read_text()


def test_a_gzipped_file_is_unpacked(tmp_path: Path) -> None:
    whole = save(tmp_path / "x.mha", block()).read_bytes()
    (tmp_path / "y.mha.gz").write_bytes(gzip.compress(whole))
    assert np.array_equal(read(tmp_path / "y.mha.gz")[1].values, read(tmp_path / "x.mha")[1].values)


def test_a_header_and_its_data_file_are_read_from_a_zip(tmp_path: Path) -> None:
    folder, told = site(tmp_path, in_zip="yes")
    assert (told["files"], told["used"], told["records"]) == (8, 5, 3)


def test_the_affine_is_the_one_that_nibabel_reads_from_the_same_image(tmp_path: Path) -> None:
    save(tmp_path / "x.nrrd", block())
    as_nifti(tmp_path / "x.nii", tmp_path / "x.nrrd")
    fields, *_ = read_fields((tmp_path / "x.nrrd").open("rb"))
    assert np.allclose(
        affine_of(header_of(fields)),
        nibabel.load(tmp_path / "x.nii").affine,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "line", ["TransformMatrix = 1", "Offset = 1 2", "ElementSpacing = 0.5 0.7 2 1"]
)
def test_a_metaimage_with_too_few_or_many_numbers_is_refused_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture, line: str
) -> None:
    content = save(tmp_path / "x.mha", block()).read_bytes()
    field = line.partition(" ")[0].encode()
    lines = [line.encode() if old.startswith(field) else old for old in content.split(b"\n")]
    (tmp_path / "x.mha").write_bytes(b"\n".join(lines))
    with pytest.raises(AssertionError, match="not_decodable"):
        read(tmp_path / "x.mha")
    assert capfd.readouterr() == ("", "")
