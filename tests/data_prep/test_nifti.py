"""NIfTI files: values and orientation as written, and promises checked before they are believed."""

import gzip
import io
from pathlib import Path

import nibabel
import numpy as np
import pytest

from data_prep import dicom, nifti
from data_prep.image_file import ImageFile, Pixels
from data_prep.orientation import to_common
from data_prep.rejects import Rejected
from data_prep.sources import Found, opened
from tests.data_prep.made_dicom import volume, write

RAS = np.diag([0.5, 0.7, 2.0, 1.0])


def read(path: Path) -> tuple[ImageFile, Pixels]:
    found = Found(path.name, path, path.stat().st_size)
    with opened(found) as stream:
        header = nifti.read_header(stream, found)
    with opened(found) as stream:
        return header, nifti.read_pixels(stream)


def save(path: Path, array: np.ndarray, affine: np.ndarray = RAS, kind: type = nibabel.Nifti1Image) -> Path:
    nibabel.save(kind(array, affine), path)
    return path


def block() -> np.ndarray:
    return np.arange(10 * 12 * 6, dtype=np.int16).reshape(10, 12, 6)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_volume_is_read_in_the_common_order(tmp_path: Path, kind: type, name: str) -> None:
    header, pixels = read(save(tmp_path / name, block(), kind=kind))
    assert header.shape == pixels.values.shape == (6, 12, 10)
    assert header.facts.spacing == pytest.approx((2.0, 0.7, 0.5))
    # RAS runs to the right and the front; the common order runs to the left and the back.
    assert np.array_equal(pixels.values, block()[::-1, ::-1].transpose(2, 1, 0))


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SRA", "PIR"])
def test_the_same_volume_stored_along_other_axes_reads_the_same(tmp_path: Path, axes: str) -> None:
    image = nibabel.Nifti1Image(block(), RAS)
    turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(RAS), nibabel.orientations.axcodes2ornt(axes))
    nibabel.save(image.as_reoriented(turn), tmp_path / "x.nii")
    header, pixels = read(tmp_path / "x.nii")
    assert np.array_equal(pixels.values, read(save(tmp_path / "y.nii", block()))[1].values)
    assert header.facts.spacing == pytest.approx((2.0, 0.7, 0.5)) and header.shape == (6, 12, 10)


def test_a_dicom_series_and_its_nifti_have_one_array_order(tmp_path: Path) -> None:
    slices = volume(6)
    columns_rows_slices = np.stack([data.pixel_array.T for data in slices], axis=-1)
    lps = np.diag([0.5, 0.7, 2.0, 1.0])
    lps[:3, 3] = (5, 6, 0)
    ras = np.diag([-1.0, -1, 1, 1]) @ lps
    _, pixels = read(save(tmp_path / "x.nii", columns_rows_slices.astype(np.int16), ras))
    decoded = []
    for number, data in enumerate(slices):
        with write(data, tmp_path / str(number)).open("rb") as stream:
            decoded.append(dicom.read_pixels(stream).values.T)
    assert np.array_equal(pixels.values, to_common(np.stack(decoded, axis=-1), ras))
    assert np.array_equal(pixels.values[3], slices[3].pixel_array)  # an axial series keeps its own rows and columns


def test_a_plane_is_read_with_its_last_row_on_top(tmp_path: Path) -> None:
    plane = np.arange(20, dtype=np.uint8).reshape(5, 4, 1)  # 5 columns, 4 rows
    header, pixels = read(save(tmp_path / "x.nii.gz", plane))
    assert header.shape == (4, 5) and header.facts.spacing == pytest.approx((0.7, 0.5))
    assert np.array_equal(pixels.values, plane[..., 0].T[::-1])


def test_a_colour_plane_is_a_photograph(tmp_path: Path) -> None:
    colours = np.zeros((5, 4, 1), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    colours["G"] = 7
    header, pixels = read(save(tmp_path / "x.nii", colours))
    assert pixels.photograph and pixels.values.shape == (4, 5, 3) and pixels.values[0, 0].tolist() == [0, 7, 0]
    assert header.facts.photometric == "RGB"


def test_slope_and_intercept_are_applied_and_metres_become_millimetres(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(block(), np.diag([0.0005, 0.0007, 0.002, 1]))
    image.header.set_slope_inter(2, -1000)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "x.nii")
    header, pixels = read(tmp_path / "x.nii")
    assert header.facts.spacing == pytest.approx((2.0, 0.7, 0.5))
    assert (pixels.values.min(), pixels.values.max()) == (-1000, 2 * block().max() - 1000)


def reason(path: Path) -> str:
    with pytest.raises(Rejected) as caught:
        read(path)
    return caught.value.reason


@pytest.mark.parametrize(("array", "affine", "expected"), [
    (np.zeros((4, 4, 4, 3), np.int16), RAS, "time_series"),
    (np.full((4, 4, 4), np.nan, np.float32), RAS, "not_finite"),
    (np.full((4, 4, 4), np.inf, np.float32), RAS, "not_finite"),
    (np.zeros((4, 4, 4), np.complex64), RAS, "unsupported_pixels"),
    (block(), np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "sheared_affine"),
], ids=["4d", "nan", "inf", "complex", "shear"])
def test_an_untrustworthy_volume_is_rejected(tmp_path: Path, array: np.ndarray, affine: np.ndarray, expected: str) -> None:
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
    with pytest.raises(Rejected, match="too_large"):
        nifti.read_pixels(io.BytesIO(header.binaryblock + bytes(200)))
