"""What differs between kinds of target has one name: a kind that is made here goes the same way."""

from hashlib import shake_128

import numpy as np
import pandas as pd
import pytest
from jaxtyping import Int

from data_prep.settings import Tasks
from data_prep.targets.label import LABEL
from data_prep.targets.target import Target
from data_prep.tasks import make_tasks
from workspace.errors import Refusal


class Outlined(Target):
    """Images with an outline: all are of one stratum, and each support image teaches its own."""

    column = "structure"

    def read(self, cell: str | None) -> dict[str, object]:
        return {self.column: "outline", "outline": cell}

    def strata(self, records: pd.DataFrame) -> pd.Series:
        return records[self.column]

    def collate(self, support: Int[np.ndarray, "task way shot"]) -> Int[np.ndarray, "task support"]:
        return support.reshape(len(support), -1)


def records(target: Target, cells: list[str]) -> pd.DataFrame:
    """A patient and a study each."""
    names = [f"{at:03}" for at in range(len(cells))]
    same = dict.fromkeys(("record", "patient", "study", "series", "pixel_hash"), names)
    far = [shake_128(name.encode()).hexdigest(72) for name in names]  # no two nearly identical
    table = pd.DataFrame({**same, "perceptual_hash": far})
    answers = pd.DataFrame([target.read(cell) for cell in cells])
    return pd.concat([table, answers], axis=1)


SETTINGS = Tasks(shots=[1, 3], draws=4, pool=0.5, min_query=2)


def test_another_kind_is_split_and_drawn_by_its_own_strata() -> None:
    table = records(Outlined(), [f"mask{at}" for at in range(60)])
    made = make_tasks("s", "target", "t", ["outline"], table, SETTINGS, 0, Outlined())
    assert list(made.draws.columns) == ["draw", "structure", "position", "record"]
    assert "structure" in made.splits and "label" not in made.splits
    assert made.draws.groupby("draw").size().tolist() == [3] * 4
    pool = set(made.splits.query("split == 'pool'")["record"])
    assert set(made.draws["record"]) <= pool
    counted = made.summary["splits"]["pool"]["outline"]
    assert counted == {"patients": len(pool), "records": len(pool)}


def test_strata_without_patients_are_refused_by_name() -> None:
    table = records(Outlined(), ["mask"] * 60)
    with pytest.raises(Refusal, match="class rim.*0 patients for"):
        make_tasks("s", "target", "t", ["outline", "rim"], table, SETTINGS, 0, Outlined())


def test_a_label_is_its_stratum_and_a_number_within_a_task() -> None:
    table = records(LABEL, ["a", "b"] * 30)
    assert LABEL.strata(table).tolist() == ["a", "b"] * 30
    support = np.arange(12).reshape(2, 2, 3)
    assert LABEL.collate(support).tolist() == [[0, 0, 0, 1, 1, 1]] * 2
    assert Outlined().collate(support).tolist() == support.reshape(2, 6).tolist()
