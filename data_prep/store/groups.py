"""What must stay on one side of a split: patients, and whatever shares a study, a series or a
picture with them.
"""

import hashlib

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data_prep.store.duplicates import near_pairs

TIES = ("patient", "study", "series", "pixel_hash")


def group_of(records: pd.DataFrame, ties: tuple[str, ...] = TIES) -> pd.Series:
    """Name for each record the group that it may not be parted from: the smallest patient key among
    all it is tied to.

    `ties`: the columns in which equal values tie two records, also by way of others; nearly
    identical pictures always do. Most groups are one patient. Two patient numbers with identical or
    nearly identical pixels are one group: probably one patient twice.
    """
    rows, nodes, offset = [], [], 0
    for tie in ties:
        codes, values = pd.factorize(records[tie], sort=True)
        known = codes >= 0
        rows.append(np.flatnonzero(known))
        nodes.append(codes[known] + len(records) + offset)
        offset += len(values)
    alike = near_pairs(records)
    rows.append(alike[:, 0])
    nodes.append(alike[:, 1])
    row, node = np.concatenate(rows), np.concatenate(nodes)
    edges = coo_array((np.ones(len(row), bool), (row, node)), shape=(len(records) + offset,) * 2)
    component = connected_components(edges, directed=False)[1][: len(records)]
    return records["patient"].groupby(component).transform("min")


def place(key: str, purpose: str) -> float:
    """A number in [0, 1) that depends on `key` and `purpose` alone, so adding patients moves
    nobody.

    The keys are already HMACs under the workspace's secret; the digest only parts one purpose from
    another.
    """
    return int.from_bytes(hashlib.sha256(f"{purpose}:{key}".encode()).digest()[:8], "big") / 2**64
