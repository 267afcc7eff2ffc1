"""The record: one image or volume, de-identified.

The columns of records.parquet and how rows and pixels are read.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workspace.outputs import write_parquet

# Every column that leaves a hospital's folder, and its type. Identifiers are keyed hashes; nothing
# else of a header gets through.
COLUMNS = {
    "record": "string",  # keyed hash of site and source; rows are sorted by it, row i has pixels i
    "site": "string",
    "task": "string",
    "patient": "string",  # keyed hash, equal at two sites only where they share a patient_namespace
    "study": "string",  # keyed hash
    "series": "string",  # keyed hash
    "label": "string",  # canonical class
    "age": "Float32",  # completed years, capped at 90; missing where unknown
    "sex": "string",  # F, M or O; missing where unknown
    "study_year": "Int16",
    "modality": "string",  # DICOM (0008,0060); OT where the file does not say
    "manufacturer": "string",
    "model": "string",
    # Millimetres, one a spatial axis in the order of the pixels, such as 0.2x0.2; of the source,
    # before any resizing.
    "spacing": "string",
    # DICOM UID; for other files their format: NIFTI, ANALYZE, MGH, NRRD, METAIMAGE, NPZ, PNG, JPEG,
    # JPEG2000, TIFF, BMP.
    "transfer_syntax": "string",
    "photometric": "string",  # DICOM (0028,0004)
    # What the source's values are in, such as HU (data_prep/readers/dicom/units.py); missing where
    # its format says nothing.
    "units": "string",
    "slices": "Int32",  # source files or frames in the record: 1 for an image
    # Degrees that a stack of slices was sheared back by (convert.tilt); missing where it was
    # straight.
    "tilt": "Float32",
    "pixel_hash": "string",  # SHA-256 of the record's row in pixels.npy
    # 576 bits in hex, alike for pictures that look alike; empty where the array is too small for
    # one.
    "perceptual_hash": "string",
}


@dataclass(frozen=True)
class Studies:
    """A converted site.

    `pixels`: (record, channel, *space), memory-mapped; `records`: one row each, in the same order.
    """

    pixels: np.ndarray
    records: pd.DataFrame


def write_records(records: pd.DataFrame, path: Path) -> None:
    """Write records.parquet with exactly the agreed columns and types."""
    write_parquet(records[list(COLUMNS)].astype(COLUMNS), path)


def read_pixels(folder: Path) -> np.ndarray:
    """Open a converted site's arrays, memory-mapped: (record, channel, *space).

    No pickle, nothing copied.
    """
    return np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)


def read_studies(folder: Path) -> Studies:
    """Open a converted site's arrays and records."""
    return Studies(read_pixels(folder), pd.read_parquet(folder / "records.parquet"))


def pixel_hash(row: np.ndarray) -> str:
    """SHA-256 of one record's stored pixels (channel, *space)."""
    return hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest()
