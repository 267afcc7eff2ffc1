"""What a target is: all that conversion, tasks and episodes know of what a record is asked."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Int


class Target(ABC):
    """What a record is asked: read at conversion, split and drawn by its strata, then collated.

    `column`: of records.parquet, splits.parquet and draws.parquet, where a record's stratum stands.
    Patients are counted by stratum, and k is a number of patients of each.
    """

    column: ClassVar[str]

    @abstractmethod
    def read(self, cell: str | None) -> dict[str, object]:
        """The columns of a record's row, from what the labels table says of it."""

    @abstractmethod
    def strata(self, records: pd.DataFrame) -> pd.Series:
        """Each record's stratum: (record,)."""

    @abstractmethod
    def collate(self, support: Int[np.ndarray, "task way shot"]) -> Int[np.ndarray, "task support"]:
        """What the records of supports are taught as, in the order of a support: way * shot.

        `support`: rows of Images.
        """
