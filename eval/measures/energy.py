"""How far two groups of patients lie apart: the energy distance of their features.

Szekely and Rizzo 2013, with what chance gives.
"""

import numpy as np
import pandas as pd


def patient_features(cohort: pd.DataFrame, embeddings: np.ndarray) -> pd.DataFrame:
    """One mean feature vector for each class and query patient, indexed by both: patients are the
    unit, however many images they have.
    """
    rows = cohort[(cohort["split"] == "query") & cohort["embedding"].notna()]
    features = embeddings[rows["embedding"].to_numpy(int)].astype(np.float32)
    return (
        pd.DataFrame(features)
        .groupby([rows["label"].to_numpy(str), rows["patient"].to_numpy(str)])
        .mean()
        .rename_axis(["label", "patient"])
    )


def coefficient(distances: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The energy coefficient of inhomogeneity, E / (2 mean |X - Y|), of the split of the patients
    that each row of `first` makes.

    distances: (patient, patient); first: (split, patient), true for one group and false for the
    other -> (split,). 0: alike; 1: apart. A patient is not paired with itself, so that E is
    unbiased and small groups look no farther apart than large ones: alike ones may fall below 0.
    Where all are the same it is 0.
    """
    one = first.astype(distances.dtype)
    other = 1 - one
    to_one, to_other = one @ distances, other @ distances
    n, m = one.sum(axis=1), other.sum(axis=1)
    across = (to_one * other).sum(axis=1) / (n * m)
    within = (to_one * one).sum(axis=1) / (n * (n - 1)) + (to_other * other).sum(axis=1) / (
        m * (m - 1)
    )
    return np.divide(2 * across - within, 2 * across, out=np.zeros_like(across), where=across > 0)


def random_splits(
    patients: int, first: int, splits: int, generator: np.random.Generator
) -> np.ndarray:
    """Disjoint groups at random, `first` patients in the first and the rest in the other: (split,
    patient).
    """
    return generator.permuted(np.tile(np.arange(patients) < first, (splits, 1)), axis=1)
