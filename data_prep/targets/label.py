"""The target that is one class an image."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from data_prep.targets.target import Target


class LabelTarget(Target):
    """A record has a class, and each class is a stratum."""

    column = "label"

    def read(self, cell: str | None) -> dict[str, object]:
        return {self.column: cell}

    def strata(self, records: pd.DataFrame) -> pd.Series:
        return records[self.column]

    def collate(self, support: Int[np.ndarray, "task way shot"]) -> Int[np.ndarray, "task support"]:
        """0..way-1: classes mean something within a task only."""
        tasks, way, shot = support.shape
        return np.tile(np.repeat(np.arange(way), shot), (tasks, 1))


LABEL = LabelTarget()
