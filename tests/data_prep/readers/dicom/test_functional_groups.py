"""What a frame's header says: its own functional groups first, then the shared ones, then the top of the file; never another frame's."""

import itertools

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from data_prep.readers.dicom.frames import NOT_OF_THE_FILE, SAME_AS, frame_headers
from data_prep.readers.quiet import quiet
from data_prep.rejects import Rejected
from tests.odd_series.made import item

PLACES = ("top", "top_group", "shared", "frame")  # the later one wins
COMBINATIONS = [places for count in range(1, 5) for places in itertools.combinations(PLACES, count)]
# Two values for each kind of element, so that one told from the other shows
VALUES = {
    "CS": ("A", "B"),
    "SH": ("A", "B"),
    "LO": ("A", "B"),
    "ST": ("A", "B"),
    "DT": ("20200101", "20200102"),
    "IS": (1, 2),
    "SQ": ([item(RealWorldValueSlope=1.0)], [item(RealWorldValueSlope=2.0)]),
}
MANY = {
    "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6,
    "ImagePositionVolume": 3,
    "ImageOrientationVolume": 6,
    "PixelSpacing": 2,
    "ImagerPixelSpacing": 2,
    "DiffusionGradientOrientation": 3,
    "VelocityEncodingDirection": 3,
}


def value(keyword: str, number: int) -> object:
    """`number`: 0 or 1."""
    kind = dictionary_VR(keyword)
    if keyword in MANY:
        return [float(number)] * MANY[keyword]
    return VALUES[kind][number] if kind in VALUES else number + 1


def put(data: Dataset, way: tuple[str, ...], content: object) -> None:
    """Set the element at the end of `way`, making the sequences on it."""
    for keyword in way[:-1]:
        if keyword not in data:
            setattr(data, keyword, [Dataset()])
        data = data[keyword].value[0]
    setattr(data, way[-1], content)


def file_of(count: int = 3) -> Dataset:
    data = item(NumberOfFrames=count, SharedFunctionalGroupsSequence=[Dataset()])
    data.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[5, 6, 2.0 * z])])
        for z in range(count)
    ]
    return data


def stated(data: Dataset) -> list[Dataset]:
    with quiet():
        return frame_headers(data)


def same(element: object, expected: object) -> bool:
    return (
        element == expected
        if isinstance(expected, str | Dataset)
        else bool(np.all(np.array(element) == np.array(expected)))
    )


@pytest.mark.parametrize("way", SAME_AS, ids=".".join)
def test_the_nearest_place_that_says_an_element_counts(way: tuple[str, ...]) -> None:
    keyword = SAME_AS[way]
    for places in COMBINATIONS:
        if keyword in NOT_OF_THE_FILE and places == ("top",):
            continue
        # The position is of all frames alike, or of the one that there is: frames without one have no place.
        data = file_of(1 if keyword == "ImagePositionPatient" else 3)
        frame = data.PerFrameFunctionalGroupsSequence[-1]
        if keyword == "ImagePositionPatient":
            del frame.PlanePositionSequence
        if keyword == "DimensionIndexValues":
            data.DimensionIndexSequence = [item(DimensionIndexPointer=0x00209128)]
        for place in places:
            where = {
                "top": data,
                "top_group": data,
                "shared": data.SharedFunctionalGroupsSequence[0],
                "frame": frame,
            }[place]
            put(
                where,
                (keyword,) if place == "top" else way,
                value(keyword if place == "top" else way[-1], int(place == places[-1])),
            )
        assert same(stated(data)[-1][keyword].value, value(way[-1], 1)), places


def test_frames_that_differ_beside_a_value_at_the_top_keep_their_own() -> None:
    data = file_of(6)
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    for number, group in enumerate(data.PerFrameFunctionalGroupsSequence):
        group.PixelValueTransformationSequence = [
            item(RescaleSlope=number + 1, RescaleIntercept=-number)
        ]
    headers = stated(data)
    assert [header.RescaleSlope for header in headers] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ] and data.RescaleSlope == 1
    assert [header.RescaleIntercept for header in headers] == [0, -1, -2, -3, -4, -5]


def test_no_header_shares_an_element() -> None:
    data = file_of()
    for keyword in ("RescaleSlope", "EchoTime"):
        setattr(data, keyword, 1)
    data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = [item(PixelSpacing=[1, 1])]
    first, *others = stated(data)
    for element in first:
        element.value = None
    for header in (data, *others):
        assert header.RescaleSlope == header.EchoTime == 1
    assert all(header.PixelSpacing == [1, 1] for header in others)
    assert data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [1, 1]


def test_what_one_frame_says_is_not_said_of_the_next() -> None:
    data = file_of()
    put(data.PerFrameFunctionalGroupsSequence[0], ("MREchoSequence", "EffectiveEchoTime"), 30.0)
    assert ["EchoTime" in header for header in stated(data)] == [True, False, False]


@pytest.mark.parametrize("element", [None, ""])
def test_an_empty_element_says_nothing(element: object) -> None:
    data = file_of()
    put(
        data.SharedFunctionalGroupsSequence[0],
        ("PixelValueTransformationSequence", "RescaleSlope"),
        4,
    )
    put(
        data.PerFrameFunctionalGroupsSequence[0],
        ("PixelValueTransformationSequence", "RescaleSlope"),
        element,
    )
    assert stated(data)[0].RescaleSlope == 4


@pytest.mark.parametrize(
    ("pointers", "indices", "left"),
    [
        ([0x00209128], 7, [7]),  # of one dimension, a number
        ([0x00209057], 7, None),  # a place within a volume
        ([0x00209056, 0x00209057, 0x00209128], [1, 2, 7], [1, 7]),
        ([0x00209128], [1, 2], None),  # not as many as there are dimensions
        ([], 7, None),
    ],
)
def test_dimensions_that_tell_volumes_apart_are_left(
    pointers: list[int], indices: object, left: list[int] | None
) -> None:
    data = file_of()
    data.DimensionIndexSequence = [item(DimensionIndexPointer=pointer) for pointer in pointers]
    put(
        data.PerFrameFunctionalGroupsSequence[0],
        ("FrameContentSequence", "DimensionIndexValues"),
        indices,
    )
    found = stated(data)[0].get("DimensionIndexValues")
    assert found == left or (left is not None and np.atleast_1d(found).tolist() == left)


@pytest.mark.parametrize(
    "way",
    [
        ("SharedFunctionalGroupsSequence",),
        ("PerFrameFunctionalGroupsSequence",),
        ("DimensionIndexSequence",),
    ],
)
def test_a_group_that_is_no_sequence_is_a_damaged_file(way: tuple[str, ...]) -> None:
    data = file_of()
    data.pop(way[0], None)
    data.add_new(Tag(way[0]), "LO", "x")
    with pytest.raises(Rejected, match="not_decodable"):
        stated(data)


@pytest.mark.parametrize("count", ["two", [1, 2], -1])
def test_a_number_of_frames_that_is_none_is_a_damaged_file(count: object) -> None:
    data = file_of()
    with quiet():
        data.add_new(Tag("NumberOfFrames"), "LO", count)
    with pytest.raises(Rejected, match="not_decodable"):
        stated(data)
