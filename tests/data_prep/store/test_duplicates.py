import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from data_prep.settings import Tasks
from data_prep.split import gather
from data_prep.store import duplicates
from data_prep.store.duplicates import (
    BITS,
    NEAR,
    count_duplicates,
    near_any,
    near_pairs,
    perceptual_hash,
)
from data_prep.store.groups import group_of
from data_prep.tasks import split_records

RNG = np.random.default_rng(0)


def picture(seed: int, shape: tuple[int, ...] = (64, 64)) -> np.ndarray:
    """Clouds at several scales: (1, *shape) uint8."""
    noise = np.random.default_rng(seed)
    clouds = sum(scale * gaussian_filter(noise.normal(size=shape), scale) for scale in (1, 2, 4, 8))
    return np.interp(clouds, (clouds.min(), clouds.max()), (20, 200)).astype(np.uint8)[None]


def jpeg(row: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(row[0]).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream))[None]


def turned(bits: bytes, number: int) -> str:
    """A hash that differs from `bits` in `number` places."""
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8))
    unpacked[RNG.permutation(BITS)[:number]] ^= 1
    return np.packbits(unpacked).tobytes().hex()


def records(
    hashes: list[str],
    patients: list[str] | None = None,
    pixels: list[str] | None = None,
    prefix: str = "",
) -> pd.DataFrame:
    names = [f"{prefix}{at:03}" for at in range(len(hashes))]
    return pd.DataFrame(
        {
            "record": names,
            "patient": patients or names,
            "study": names,
            "series": names,
            "label": "a",
            "pixel_hash": pixels or names,
            "perceptual_hash": hashes,
        }
    )


def series(*hashes: str) -> pd.Series:
    return pd.Series(hashes, dtype="string")


@pytest.mark.parametrize(
    "change",
    [
        jpeg,
        lambda row: (row * 0.8 + 30).astype(np.uint8),
        lambda row: np.minimum(row.astype(int) + 25, 255).astype(np.uint8),
        lambda row: np.asarray(Image.fromarray(row[0]).resize((58, 58)).resize((64, 64)))[None],
        lambda row: np.repeat(row, 3, axis=0),
    ],
    ids=["jpeg", "contrast", "brightness", "resized", "colour"],
)
def test_a_changed_copy_is_near_to_its_original_and_to_no_other_picture(change):
    copies = series(*(perceptual_hash(change(picture(seed))) for seed in range(20)))
    for seed in range(20):
        assert near_any(copies, series(perceptual_hash(picture(seed)))).tolist() == [
            at == seed for at in range(20)
        ]


def test_a_changed_volume_is_near_to_its_original_and_to_no_other_volume():
    volumes = [picture(seed, (16, 32, 32)) for seed in range(8)]
    changed = series(
        *(
            perceptual_hash((volume * 0.9 + 10 + RNG.normal(0, 2, volume.shape)).astype(np.uint8))
            for volume in volumes
        )
    )
    for at, volume in enumerate(volumes):
        assert near_any(changed, series(perceptual_hash(volume))).tolist() == [
            other == at for other in range(8)
        ]


def test_an_array_too_small_for_the_hash_has_none_and_is_near_to_nothing():
    assert perceptual_hash(picture(0, (23, 64))) == ""
    assert (
        len(perceptual_hash(picture(0, (24, 24))))
        == len(perceptual_hash(picture(0, (8, 16, 16))))
        == BITS // 4
    )
    assert not near_any(series("", ""), series("", pd.NA)).any()
    assert len(near_pairs(records(["", ""]))) == 0


@pytest.mark.filterwarnings("error")
def test_records_that_all_lack_the_hash_tie_nobody_and_pandas_does_not_mind():
    without = records(["", ""]).assign(perceptual_hash=np.nan)
    assert count_duplicates(without)["near_pairs"] == 0 and len(near_pairs(without)) == 0


@pytest.mark.parametrize("bits", [0, NEAR, NEAR + 1])
def test_two_hashes_are_near_up_to_the_stated_number_of_bits(bits):
    start = RNG.bytes(BITS // 8)
    assert near_any(series(start.hex()), series(turned(start, bits))).tolist() == [bits <= NEAR]


@given(seed=st.integers(0, 1000), count=st.integers(0, 30), block=st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_the_pairs_are_those_of_comparing_each_with_each(seed, count, block):
    rng = np.random.default_rng(seed)
    start = rng.bytes(BITS // 8)
    hashes = [
        "" if rng.random() < 0.1 else turned(start, int(rng.integers(0, 70))) for _ in range(count)
    ]
    table = records(hashes, [f"p{rng.integers(10)}" for _ in hashes])
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)) for text in hashes]
    expected = [
        (i, j)
        for i in range(count)
        for j in range(i + 1, count)
        if hashes[i]
        and hashes[j]
        and table["patient"][i] != table["patient"][j]
        and (bits[i] != bits[j]).sum() <= NEAR
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "BLOCK", block)
        assert sorted(map(tuple, near_pairs(table).tolist())) == expected


def test_a_group_joins_patients_with_nearly_the_same_picture_and_leaves_the_others_apart():
    start = RNG.bytes(BITS // 8)
    table = records([start.hex(), turned(start, NEAR), turned(start, BITS // 2), ""])
    assert group_of(table).tolist() == ["000", "000", "002", "003"]


def test_adding_a_near_duplicate_moves_nobody_but_those_that_it_ties():
    before = records([RNG.bytes(BITS // 8).hex() for _ in range(60)])
    after = pd.concat(
        [before, records([turned(bytes.fromhex(before["perceptual_hash"][7]), 20)], prefix="x")],
        ignore_index=True,
    )
    old, new = (
        split_records(table, "target", Tasks()).set_index("record")["split"]
        for table in (before, after)
    )
    assert (new[before["record"]] == old).all() and new["x000"] == old["007"]


def test_pairs_are_counted_between_patients_a_picture_once_and_identical_ones_apart():
    start, other = RNG.bytes(BITS // 8), RNG.bytes(BITS // 8)
    hashes = [
        start.hex(),
        start.hex(),
        start.hex(),
        turned(start, 10),
        other.hex(),
        turned(other, 5),
    ]
    table = records(hashes, ["a", "a", "b", "c", "d", "d"], ["x", "x", "x", "y", "z", "w"])
    assert count_duplicates(table) == {"identical_pairs": 1, "near_pairs": 2, "patients": 3}
    assert count_duplicates(table.iloc[:0]) == {
        "identical_pairs": 0,
        "near_pairs": 0,
        "patients": 0,
    }


def test_a_picture_near_to_another_sites_query_or_validation_set_trains_nothing_and_one_near_to_training_stands_for_one_patient():
    first, second = (
        records([RNG.bytes(BITS // 8).hex() for _ in range(80)], prefix=site) for site in "ab"
    )
    first, second = (split_records(table, "source", Tasks()) for table in (first, second))
    trains = second.index[second["split"] == "train"]
    for at, part in zip(trains, ("query", "validation", "train"), strict=False):
        held = first.loc[first["split"] == part, "perceptual_hash"].iloc[0]
        second.loc[at, "perceptual_hash"] = turned(bytes.fromhex(held), 30)
    about = {"task": "t", "classes": ["a"], "secret": "s"}
    sites = gather({"b": second, "a": first}, {"a": about, "b": about}).sites
    assert set(second["record"]) - set(sites["b"].records["record"]) == {
        *second.loc[trains[:2], "record"],
        *second.loc[second["split"] == "query", "record"],
    }
    assert sites["b"].left_out == {"tied_to_query": 1, "tied_to_validation": 1}
    shared = sites["b"].records.set_index("record").loc[second.loc[trains[2], "record"], "group"]
    assert shared in set(sites["a"].records["group"])
