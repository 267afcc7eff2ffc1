"""NIfTI files: values and orientation as written, and promises checked before they are believed."""

import gzip
import io
from pathlib import Path

import nibabel
import nibabel.testing
import numpy as np
import pytest

from data_prep.exports.sources import Found, opened
from data_prep.readers import nifti
from data_prep.readers.examine import examine
from data_prep.readers.image_file import ImageFile, Pixels
from data_prep.rejects import Reject, Rejected
from data_prep.volumes.orientation import check_affine, to_common
from tests.data_prep.made_dicom import read_pixels, volume, write

RAS = np.diag([0.5, 0.7, 2.0, 1.0])


def read(path: Path) -> tuple[ImageFile, Pixels]:
    found = Found(path.name, path, path.stat().st_size)
    with opened(found) as stream:
        header = nifti.read_header(stream, found)
    with opened(found) as stream:
        return header, nifti.read_pixels(stream)


def save(
    path: Path, array: np.ndarray, affine: np.ndarray = RAS, kind: type = nibabel.Nifti1Image
) -> Path:
    nibabel.save(kind(array, affine), path)
    return path


def block() -> np.ndarray:
    return np.arange(10 * 12 * 6, dtype=np.int16).reshape(10, 12, 6)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_volume_is_read_in_the_common_order(tmp_path: Path, kind: type, name: str) -> None:
    header, pixels = read(save(tmp_path / name, block(), kind=kind))
    assert header.header.shape == pixels.values.shape == (6, 12, 10)
    assert header.header.facts.spacing == pytest.approx((2.0, 0.7, 0.5))
    # RAS runs to the right and the front; the common order runs to the left and the back.
    assert np.array_equal(pixels.values, block()[::-1, ::-1].transpose(2, 1, 0))


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SRA", "PIR"])
def test_the_same_volume_stored_along_other_axes_reads_the_same(tmp_path: Path, axes: str) -> None:
    image = nibabel.Nifti1Image(block(), RAS)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(RAS), nibabel.orientations.axcodes2ornt(axes)
    )
    nibabel.save(image.as_reoriented(turn), tmp_path / "x.nii")
    header, pixels = read(tmp_path / "x.nii")
    assert np.array_equal(pixels.values, read(save(tmp_path / "y.nii", block()))[1].values)
    assert header.header.facts.spacing == pytest.approx(
        (2.0, 0.7, 0.5)
    ) and header.header.shape == (6, 12, 10)


def test_a_dicom_series_and_its_nifti_have_one_array_order(tmp_path: Path) -> None:
    slices = volume(6)
    columns_rows_slices = np.stack([data.pixel_array.T for data in slices], axis=-1)
    lps = np.diag([0.5, 0.7, 2.0, 1.0])
    lps[:3, 3] = (5, 6, 0)
    ras = np.diag([-1.0, -1, 1, 1]) @ lps
    _, pixels = read(save(tmp_path / "x.nii", columns_rows_slices.astype(np.int16), ras))
    decoded = []
    for number, data in enumerate(slices):
        decoded.append(read_pixels(write(data, tmp_path / str(number)).read_bytes()).values.T)
    assert np.array_equal(pixels.values, to_common(np.stack(decoded, axis=-1), ras))
    assert np.array_equal(
        pixels.values[3], slices[3].pixel_array
    )  # an axial series keeps its own rows and columns


def test_a_plane_is_read_with_its_last_row_on_top(tmp_path: Path) -> None:
    plane = np.arange(20, dtype=np.uint8).reshape(5, 4, 1)  # 5 columns, 4 rows
    header, pixels = read(save(tmp_path / "x.nii.gz", plane))
    assert header.header.shape == (4, 5) and header.header.facts.spacing == pytest.approx(
        (0.7, 0.5)
    )
    assert np.array_equal(pixels.values, plane[..., 0].T[::-1])


def test_a_colour_plane_is_a_photograph(tmp_path: Path) -> None:
    colours = np.zeros((5, 4, 1), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    colours["G"] = 7
    header, pixels = read(save(tmp_path / "x.nii", colours))
    assert (
        pixels.photograph
        and pixels.values.shape == (4, 5, 3)
        and pixels.values[0, 0].tolist() == [0, 7, 0]
    )
    assert header.header.facts.photometric == "RGB"


def test_slope_and_intercept_are_applied_and_metres_become_millimetres(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(block(), np.diag([0.0005, 0.0007, 0.002, 1]))
    image.header.set_slope_inter(2, -1000)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "x.nii")
    header, pixels = read(tmp_path / "x.nii")
    assert header.header.facts.spacing == pytest.approx((2.0, 0.7, 0.5))
    assert (pixels.values.min(), pixels.values.max()) == (-1000, 2 * block().max() - 1000)


def reason(path: Path) -> str:
    with pytest.raises(Rejected) as caught:
        read(path)
    return caught.value.reason


@pytest.mark.parametrize(
    ("array", "affine", "expected"),
    [
        (np.zeros((4, 4, 4, 1, 3), np.int16), RAS, "several_values"),
        (np.zeros((4, 4, 1, 3), np.int16), RAS, "time_series"),
        (np.zeros((4, 4, 4, 10_001), np.uint8), RAS, "too_large"),
        (np.full((4, 4, 4), np.nan, np.float32), RAS, "not_finite"),
        (np.full((4, 4, 4), np.inf, np.float32), RAS, "not_finite"),
        (np.zeros((4, 4, 4), np.complex64), RAS, "unsupported_pixels"),
        (np.full((4, 4, 4), 1e300), RAS, "not_finite"),
        (np.zeros((4, 4, 4), np.complex128), RAS, "unsupported_pixels"),
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), RAS, "several_values"),
        (
            np.zeros((4, 4, 1), [("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")]),
            RAS,
            "unsupported_pixels",
        ),
        (
            block(),
            np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
            "sheared_affine",
        ),
    ],
    ids=[
        "vectors",
        "film",
        "10001 volumes",
        "nan",
        "inf",
        "complex",
        "beyond float32",
        "complex128",
        "rgb volume",
        "rgba",
        "shear",
    ],
)
def test_an_untrustworthy_volume_is_rejected(
    tmp_path: Path, array: np.ndarray, affine: np.ndarray, expected: str
) -> None:
    assert reason(save(tmp_path / "x.nii", array, affine)) == expected


def test_a_volume_without_form_codes_or_with_a_flat_affine_is_rejected(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(block(), RAS)
    image.header.set_sform(None, 0)
    image.header.set_qform(None, 0)
    nibabel.save(image, tmp_path / "x.nii")
    content = bytearray((tmp_path / "x.nii").read_bytes())
    content[252:256] = bytes(4)  # qform_code and sform_code, which nibabel may set again
    (tmp_path / "x.nii").write_bytes(content)
    assert reason(tmp_path / "x.nii") == "no_orientation"
    content[254:256] = b"\x02\0"
    content[280:328] = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]], "<f4").tobytes()
    (tmp_path / "x.nii").write_bytes(content)
    assert reason(tmp_path / "x.nii") == "singular_affine"


def test_a_file_shorter_than_its_header_promises_is_truncated(tmp_path: Path) -> None:
    content = save(tmp_path / "x.nii", block()).read_bytes()
    (tmp_path / "x.nii").write_bytes(content[:-1])
    assert reason(tmp_path / "x.nii") == "truncated"
    (tmp_path / "x.nii").write_bytes(content[:300])
    assert reason(tmp_path / "x.nii") == "truncated"
    (tmp_path / "x.nii").write_bytes(gzip.compress(content)[:-20])
    assert reason(tmp_path / "x.nii") == "truncated"


def test_a_wrong_gzip_checksum_is_noticed(tmp_path: Path) -> None:
    whole = gzip.compress(save(tmp_path / "x.nii", block()).read_bytes())
    (tmp_path / "x.nii").write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    assert reason(tmp_path / "x.nii") == "damaged_member"


def test_a_promise_larger_than_any_file_is_refused_before_it_is_allocated() -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header["vox_offset"] = 352
    with pytest.raises(Rejected, match="too_large"):
        nifti.read_pixels(io.BytesIO(header.binaryblock + bytes(200)))


def patched(path: Path, *changes: tuple[int, str, object]) -> Path:
    """A sound NIfTI-1 file with fields of its header written over: offset, type, values."""
    content = bytearray(save(path, block()).read_bytes())
    for offset, kind, values in changes:
        written = np.array(values, kind).tobytes()
        content[offset : offset + len(written)] = written
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("offset", "kind", "value", "expected"),
    [
        (108, "<f4", np.nan, "not_decodable"),
        (108, "<f4", np.inf, "not_decodable"),
        (108, "<f4", -1000, "not_decodable"),
        (108, "<f4", 0, "not_decodable"),
        (108, "<f4", 352.5, "not_decodable"),
        (108, "<f4", 1e9, "truncated"),
        (40, "<i2", 0, "not_decodable"),
        (40, "<i2", 8, "not_decodable"),
        (42, "<i2", -5, "not_decodable"),
        (42, "<i2", 11, "truncated"),
        (70, "<i2", 999, "not_decodable"),
        (70, "<i2", 1, "unsupported_pixels"),
        (112, "<f4", np.inf, "bad_rescale"),
        (112, "<f4", (1, np.nan), "bad_rescale"),
        (112, "<f4", (3e38, 0), "not_finite"),
        (123, "u1", 7, "no_spacing"),
        (280, "<f4", np.nan, "singular_affine"),
        (0, "<i4", 347, "not_what_its_name_says"),
    ],
)
def test_a_malformed_header_is_rejected_for_its_reason(
    tmp_path: Path, offset: int, kind: str, value: object, expected: str
) -> None:
    path = patched(tmp_path / "x.nii", (offset, kind, value))
    examined = examine(Found("x.nii", path, path.stat().st_size))
    assert (examined.reason if isinstance(examined, Reject) else reason(path)) == expected


@pytest.mark.parametrize("slope", [0, np.nan])
def test_a_slope_that_says_nothing_leaves_values_as_stored(tmp_path: Path, slope: float) -> None:
    _, pixels = read(patched(tmp_path / "x.nii", (112, "<f4", (slope, np.nan))))
    assert (pixels.values.min(), pixels.values.max()) == (0, block().max())


def test_the_sform_goes_before_the_qform_and_the_qform_serves_alone(tmp_path: Path) -> None:
    turned = np.array([[0, 0.7, 0, 0], [0.5, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(block(), None)
    image.set_qform(RAS, 1)
    image.set_sform(turned, 1)
    nibabel.save(image, tmp_path / "both.nii")
    assert np.array_equal(
        read(tmp_path / "both.nii")[1].values,
        read(save(tmp_path / "turned.nii", block(), turned))[1].values,
    )
    content = bytearray((tmp_path / "both.nii").read_bytes())
    content[254:256] = bytes(2)  # sform_code
    (tmp_path / "both.nii").write_bytes(content)
    assert np.array_equal(
        read(tmp_path / "both.nii")[1].values, read(save(tmp_path / "ras.nii", block()))[1].values
    )


def test_a_quaternion_that_is_none_is_rejected(tmp_path: Path) -> None:
    path = patched(tmp_path / "x.nii", (252, "<i2", (1, 0)), (256, "<f4", (2, 2, 2)))
    assert reason(path) == "singular_affine"


def test_microns_become_millimetres_and_a_big_endian_file_reads_the_same(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(block(), np.diag([500, 700, 2000, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "x.nii")
    assert read(tmp_path / "x.nii")[0].header.facts.spacing == pytest.approx((2.0, 0.7, 0.5))
    big = nibabel.Nifti1Image(block(), RAS, nibabel.Nifti1Header(endianness=">"))
    nibabel.save(big, tmp_path / "big.nii")
    assert np.array_equal(read(tmp_path / "big.nii")[1].values, read(tmp_path / "x.nii")[1].values)


@pytest.mark.parametrize("name", ["x.dcm", "x.png", "no_ending", "x.nii.gz"])
def test_a_nifti_is_told_by_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    content = save(tmp_path / "y.nii", block()).read_bytes()
    (tmp_path / name).write_bytes(content)
    assert examine(Found(name, tmp_path / name, len(content))).header.kind == "nifti"


def test_a_page_named_nifti_is_not_what_its_name_says(tmp_path: Path) -> None:
    (tmp_path / "x.nii").write_text("<!DOCTYPE html>" + "x" * 600)
    assert examine(Found("x.nii", tmp_path / "x.nii", 600)).reason == "not_what_its_name_says"


def series() -> np.ndarray:
    """Six volumes, each of other values."""
    return np.stack([block() + 1000 * moment for moment in range(6)], axis=-1)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_each_volume_of_a_time_series_is_as_nibabel_slices_it(tmp_path: Path, name: str) -> None:
    image = nibabel.Nifti1Image(series(), np.diag([-0.5, -0.7, 2.0, 1.0]))
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / name)
    header, first = read(tmp_path / name)
    assert (header.header.volumes, header.header.shape) == (6, (6, 12, 10))
    assert [volume.header.frame for volume in header.slices] == list(range(6)) and len(
        {volume.source for volume in header.slices}
    ) == 6
    for moment in range(6):
        with opened(header.identity.found) as stream:
            values = nifti.read_pixels(stream, moment).values
        assert np.array_equal(
            values, np.asarray(nibabel.load(tmp_path / name).dataobj[..., moment], np.float32).T
        )
    assert first.values.max() == block().max() / 2 - 3


def test_the_other_volumes_of_an_uncompressed_series_are_not_read(tmp_path: Path) -> None:
    class Counted(io.FileIO):
        count = 0

        def readinto(self, buffer: memoryview) -> int:
            read = super().readinto(buffer)
            self.count += read
            return read

    path = save(tmp_path / "x.nii", np.repeat(series(), 50, axis=-1))
    raw = Counted(path)
    nifti.read_pixels(io.BufferedReader(raw), 299)
    assert raw.count < path.stat().st_size / 10


def test_a_series_that_ends_early_is_truncated_whichever_volume_is_asked_for(
    tmp_path: Path,
) -> None:
    path = save(tmp_path / "x.nii", series())
    path.write_bytes(path.read_bytes()[:-1])
    assert reason(path) == "truncated"
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert reason(tmp_path / "x.nii.gz") == "truncated"


def test_a_damaged_end_of_a_compressed_series_is_noticed_in_its_first_volume(
    tmp_path: Path,
) -> None:
    whole = gzip.compress(save(tmp_path / "x.nii", series()).read_bytes())
    (tmp_path / "x.nii").write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    assert reason(tmp_path / "x.nii") == "damaged_member"


# nibabel's own samples: what becomes of each
SAMPLES = {
    "anatomical.nii": "",
    "reoriented_anat_moved.nii": "",
    "standard.nii.gz": "",
    "resampled_anat_moved.nii": "not_finite",
    "example4d.nii.gz": "",
    "example_nifti2.nii.gz": "",
    "functional.nii": "",
    "row_major.dconn.nii": "several_values",
    "nifti1.hdr": "file_changed",
    "nifti2.hdr": "file_changed",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_nibabels_samples_are_read_as_nibabel_reads_them_or_rejected_for_a_reason(
    name: str,
) -> None:
    path = Path(str(nibabel.testing.data_path)) / name
    examined = examine(Found(name, path, path.stat().st_size))
    if SAMPLES[name]:
        assert (examined.reason if isinstance(examined, Reject) else reason(path)) == SAMPLES[name]
    else:
        image = nibabel.load(path)
        turn = nibabel.orientations.ornt_transform(
            nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt("LPS")
        )
        expected = image.as_reoriented(turn)
        header, _ = read(path)
        assert header.header.facts.spacing == pytest.approx(
            expected.header.get_zooms()[2::-1], rel=1e-5
        )
        volumes = np.asarray(expected.dataobj).reshape(*expected.shape[:3], -1)
        assert header.header.volumes == volumes.shape[-1]
        for moment in {0, header.header.volumes - 1}:
            with opened(header.identity.found) as stream:
                assert np.array_equal(
                    nifti.read_pixels(stream, moment).values,
                    volumes[..., moment].astype(np.float32).T,
                )


@pytest.mark.filterwarnings("error")
def test_an_affine_that_leaves_the_range_of_numbers_is_singular() -> None:
    with pytest.raises(Rejected, match="singular_affine"):
        check_affine(np.diag([1e300, 1e300, 1e300, 1.0]))
