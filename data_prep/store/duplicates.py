"""Nearly identical pictures: a perceptual hash of each record's stored pixels, and the pairs of
records whose hashes nearly agree.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.fft import dctn

# Lowest frequencies an axis, by the number of axes: 576 coefficients, a bit each.
KEPT = {
    2: (24, 24),
    3: (4, 12, 12),
}
BITS = 576
# Bits that near duplicates may differ in; docs/measurements/near-duplicates.md has the figures that
# chose it.
NEAR = 80
ROUNDING = 6  # decimals: what is 0 but for the machine's arithmetic has no sign
BLOCK = (
    1024  # hashes compared with as many others at once: megabytes, whatever the number of records
)


def perceptual_hash(row: np.ndarray) -> str:
    """The signs of the lowest DCT coefficients of a record's pixels (channel, *space), in hex
    (pHash: Zauner 2010, with more bits).

    Empty for an image with fewer pixels along an axis than coefficients are kept: it is compared by
    its pixel hash alone.
    """
    grey = row.mean(axis=0)
    kept = KEPT[grey.ndim]
    if any(size < most for size, most in zip(grey.shape, kept, strict=True)):
        return ""
    lowest = dctn(grey, norm="ortho")[tuple(map(slice, kept))]
    return np.packbits(lowest.round(ROUNDING).ravel() > 0).tobytes().hex()


def near_pairs(records: pd.DataFrame) -> Int[np.ndarray, "pair 2"]:
    """Positions of every two records of different patients that look alike.

    All are compared with all: at this radius no index of hashes saves work, since two near ones
    need to share no more than 7 bits in a row. The products are whole numbers up to 576, which
    float32 holds exactly.
    """
    hashes, patients = records["perceptual_hash"], pd.factorize(records["patient"])[0]
    pairs = [np.empty((0, 2), np.int64)]
    for start in range(0, len(records), BLOCK):
        signs = as_signs(hashes.iloc[start : start + BLOCK])
        for other in range(start, len(records), BLOCK):
            first, second = np.nonzero(_near(signs, as_signs(hashes.iloc[other : other + BLOCK])))
            first, second = first + start, second + other
            kept = (first < second) & (patients[first] != patients[second])
            pairs.append(np.stack([first[kept], second[kept]], axis=1))
    return np.concatenate(pairs)


def near_any(hashes: pd.Series, others: pd.Series) -> pd.Series:
    """Whether each hash is near to one of `others`."""
    signs, known = as_signs(hashes), as_signs(others.drop_duplicates())
    near = [
        _near(signs[start : start + BLOCK], known).any(axis=1)
        for start in range(0, len(signs), BLOCK)
    ]
    return pd.Series(np.concatenate([np.empty(0, bool), *near]), index=hashes.index)


def count_duplicates(records: pd.DataFrame) -> dict[str, int]:
    """Pairs of pictures of two patients, identical or nearly so, and how many patients they tie.

    A picture counts once a patient.
    """
    pictures = records.drop_duplicates(["patient", "pixel_hash"])
    pixels = pictures["pixel_hash"].to_numpy(object)
    near = near_pairs(pictures)
    near = near[pixels[near[:, 0]] != pixels[near[:, 1]]]
    holders = pictures.groupby("pixel_hash")["patient"].transform("size")
    shared = pictures["pixel_hash"].value_counts()
    tied = np.union1d(np.flatnonzero(holders > 1), near)
    return {
        "identical_pairs": int((shared * (shared - 1) // 2).sum()),
        "near_pairs": len(near),
        "patients": int(pictures["patient"].iloc[tied].nunique()),
    }


def _near(
    signs: Float[np.ndarray, "record bit"], others: Float[np.ndarray, "other bit"]
) -> Bool[np.ndarray, "record other"]:
    # The product of two hashes: bits that agree less those that differ.
    return signs @ others.T >= BITS - 2 * NEAR


def as_signs(hashes: pd.Series) -> Float[np.ndarray, "record bit"]:
    """A row of 1 and -1 a hash; of 0 where there is none, which is near to nothing."""
    signs = np.zeros((len(hashes), BITS), np.float32)
    # A column without any hash is one of floats.
    texts = hashes.astype("string").fillna("").to_numpy(object)
    known = np.flatnonzero(texts != "")
    packed = np.frombuffer(bytes.fromhex("".join(texts[known])), np.uint8).reshape(
        len(known), BITS // 8
    )
    signs[known] = 2.0 * np.unpackbits(packed, axis=1) - 1
    return signs
