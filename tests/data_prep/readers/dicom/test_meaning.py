"""Every row of the table of elements does what it says: it parts a volume or leaves it whole, and tells volumes apart or does not."""

from dataclasses import replace
from pathlib import Path

import nibabel.nicom
import pytest
from pydicom.datadict import dictionary_VR, private_dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from data_prep.readers.dicom.meaning import (
    STATED,
    STATED_VOLUMES,
    TABLE,
    TELLS,
    VARIES,
    Element,
    Order,
)
from data_prep.readers.image_file import ImageFile
from data_prep.rejects import Rejected
from data_prep.volumes.series import group_slices, make_volume, split_repeats
from tests.data_prep.made_dicom import volume
from tests.data_prep.volumes.test_series import read

PLACES = 4
PACKED = [element for element in TELLS if element.field]
PLAIN = [element for element in TELLS if not element.field]
VALUES = {
    "CS": ["ONE", "TWO", "THREE"],
    "LO": ["ONE", "TWO", "THREE"],
    "SH": ["ONE", "TWO", "THREE"],
    "UI": ["1.2.3", "1.2.4", "1.2.5"],
    "TM": ["235958", "235959", "000001"],
    "DT": ["20200101235958", "20200101235959", "20200102000001"],
}
DAYS = ("20200101", "20200101", "20200102")
OTHER_VRS = {
    "PhilipsImageType": "CS",
    "PhilipsDynamicScanBeginTime": "FL",
    "PhilipsDiffusionBValueNumber": "IS",
    "PhilipsLabelType": "CS",
    "PhilipsGradientOrientationNumber": "IS",
    "UnitedImagingBValue": "FD",
    "UnitedImagingGradientDirection": "FD",
    "SiemensTimeAfterStartXA": "DS",
}  # not in pydicom's dictionary


def say(data: Dataset, element: Element, which: int) -> None:
    """Set an element to the first, second or third of three values."""
    if element.private:
        group, creator, byte = element.private
        vr = OTHER_VRS.get(element.name) or private_dictionary_VR((group, 0x1000 + byte), creator)
        value = 100 * (which + 1) if vr not in VALUES else VALUES[vr][which]
        data.private_block(group, creator, create=True).add_new(
            byte, vr, [value, 1, 2] if "Direction" in element.name and vr == "FD" else value
        )
        return
    vr = dictionary_VR(tag_for_keyword(element.name))
    value = VALUES[vr][which] if vr in VALUES else 100 * (which + 1)
    if element.name == "DiffusionGradientOrientation":
        value = [float(which == axis) for axis in range(3)]
    if element.name in ("AcquisitionTime", "ContentTime"):
        setattr(data, element.name.replace("Time", "Date"), DAYS[which])
    setattr(data, element.name, value)
    if element.name == "RescaleSlope":
        data.RescaleIntercept = 0


def stack(folder: Path, slices: list[Dataset]) -> list[list[ImageFile]]:
    """What the slices are parted into; each part is then a volume, or the first that is none says why."""
    for number, data in enumerate(slices):
        data.SOPInstanceUID = f"1.2.{number + 1}"
    (group,), rejects = group_slices(read(folder, slices))
    assert not rejects
    parts = split_repeats(group.slices)
    for part in parts:
        make_volume(replace(group, slices=part), broken_nearby=False)
    return parts


def repeated(times: int = 3) -> list[list[Dataset]]:
    return [volume(PLACES, seed=time) for time in range(times)]


def names(element: Element) -> str:
    return element.name


@pytest.mark.parametrize("element", STATED, ids=names)
def test_what_must_be_the_same_parts_slices_of_the_same_places(
    tmp_path: Path, element: Element
) -> None:
    first, second = repeated(2)
    for which, slices in enumerate((first, second)):
        for data in slices:
            say(data, element, which)
    parts = stack(tmp_path, first + second)
    found = [sorted(image.identity.elements["SOPInstanceUID"] for image in part) for part in parts]
    assert found == [
        [f"1.2.{number}" for number in numbers] for numbers in ((1, 2, 3, 4), (5, 6, 7, 8))
    ]


@pytest.mark.parametrize(
    "half",
    [lambda place: place % 2, lambda place: place // 3],
    ids=["by turns", "one after the other"],
)
@pytest.mark.parametrize("element", STATED, ids=names)
def test_what_must_be_the_same_and_is_not_refuses_a_volume_by_name(
    tmp_path: Path, element: Element, half
) -> None:
    slices = volume(6)
    for place, data in enumerate(slices):
        say(data, element, half(place))
    with pytest.raises(Rejected, match="^mixed_values$") as caught:
        stack(tmp_path, slices)
    assert element.name in caught.value.found and not any(
        str(value) in caught.value.found for value in ("ONE", "100", "1.2.3")
    )


@pytest.mark.parametrize("element", STATED, ids=names)
def test_what_one_slice_does_not_say_contradicts_nothing(tmp_path: Path, element: Element) -> None:
    slices = volume(6)
    for data in slices[1:]:
        say(data, element, 0)
    if element.absent is None:
        assert len(stack(tmp_path, slices)) == 1
    else:
        with pytest.raises(Rejected, match="^mixed_values$"):
            stack(tmp_path, slices)


@pytest.mark.parametrize("element", PLAIN, ids=names)
def test_what_may_tell_volumes_apart_does(tmp_path: Path, element: Element) -> None:
    times = repeated()
    for which, slices in enumerate(times):
        for data in slices:
            say(data, element, which)
    parts = stack(tmp_path, [times[time][place] for place in range(PLACES) for time in (0, 1, 2)])
    found = [
        sorted(int(image.identity.elements["SOPInstanceUID"][4:]) for image in part)
        for part in parts
    ]
    assert (sorted(found) if element.order is Order.NUMBER else found) == [
        [1, 4, 7, 10],
        [2, 5, 8, 11],
        [3, 6, 9, 12],
    ]


@pytest.mark.parametrize("element", [*PLAIN, *VARIES], ids=names)
def test_what_may_vary_within_a_volume_does_not_part_it(tmp_path: Path, element: Element) -> None:
    for way, half in enumerate(
        (lambda place: place % 2, lambda place: place // 3, lambda place: place // 2)
    ):
        slices = volume(6)
        for place, data in enumerate(slices):
            if (
                element.name not in ("TemporalPositionIdentifier", "DimensionIndexValues")
                or way == 2
            ):
                say(data, element, half(place))
        assert len(stack(tmp_path / str(way), slices)) == 1


@pytest.mark.parametrize("element", VARIES, ids=names)
def test_what_only_varies_tells_nothing_apart(tmp_path: Path, element: Element) -> None:
    times = repeated()
    for which, slices in enumerate(times):
        for data in slices:
            say(data, element, which)
    with pytest.raises(Rejected, match="^duplicate_position$") as caught:
        stack(tmp_path, sum(times, []))
    assert (
        caught.value.found.startswith("none differ and part nothing")
        and element.name not in caught.value.found
    )


@pytest.mark.parametrize(
    "element", [element for element in TELLS if element.order is Order.RANK], ids=names
)
def test_times_that_differ_from_place_to_place_count_by_their_order(
    tmp_path: Path, element: Element
) -> None:
    times = repeated()
    for which, slices in enumerate(times):
        for place, data in enumerate(slices):
            say(data, element, which)
            found = (
                data.private_block(*element.private[:2])[element.private[2]]
                if element.private
                else data[element.name]
            )
            found.value = float(found.value) + 40 * place * (which + 1)
    parts = stack(tmp_path, [times[time][place] for place in range(PLACES) for time in (2, 0, 1)])
    assert [
        sorted(int(image.identity.elements["SOPInstanceUID"][4:]) for image in part)
        for part in parts
    ] == [[2, 5, 8, 11], [3, 6, 9, 12], [1, 4, 7, 10]]


def test_siemens_packed_header_tells_weightings_apart(tmp_path: Path) -> None:
    samples = Path(nibabel.nicom.__file__).parent / "tests" / "data"
    slices = [data for which in (1, 0) for data in volume(PLACES, seed=which)]
    for number, data in enumerate(slices):
        content = (samples / ("csa2_b1000.bin", "csa2_b0.bin")[number // PLACES]).read_bytes()
        # As in real series, no two headers are the same bytes: what follows the tags is not read.
        content += bytes([number, 0])
        data.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", content)
    first, second = stack(tmp_path, slices)
    assert {image.identity.elements["SOPInstanceUID"] for image in first} == {
        "1.2.5",
        "1.2.6",
        "1.2.7",
        "1.2.8",
    } and len(second) == PLACES
    assert {element.field for element in PACKED} == {"B_value", "DiffusionGradientDirection"}


def test_each_element_is_named_once_with_its_source() -> None:
    found = [element.name for element in TABLE]
    assert len(set(found)) == len(found) and all(element.source for element in TABLE)
    assert all(
        tag_for_keyword(name)
        for name in [
            *STATED_VOLUMES,
            *(element.name for element in (*STATED, *TELLS, *VARIES) if not element.private),
        ]
    )
