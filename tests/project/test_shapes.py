"""The shapes that functions and classes name are checked at run time, in every test."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from data_prep.episodes.draw import EpisodeRows
from data_prep.episodes.images import Images
from models.baselines.majority import Majority
from models.encoders.features import features_of
from models.heads.label import LabelHead
from models.support import Support, nearness

ROOT = Path(__file__).parents[2]
IMAGES = Images(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), {"a": 0})
FILES = [
    path.relative_to(ROOT).with_suffix("")
    for room in ("data_prep", "models", "eval", "pipeline")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "from jaxtyping import" in path.read_text()
]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_that_names_shapes_is_checked(file):
    loader = import_module(".".join(file.parts)).__loader__
    assert type(loader).__module__.startswith("jaxtyping"), "add it in tests/conftest.py"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Support(torch.zeros(1, 5, 3), torch.zeros(1, 4, dtype=torch.int64), 2),
        lambda: Support(torch.zeros(1, 5, 3), torch.zeros(1, 5), 2),  # labels are whole numbers
        lambda: nearness(torch.zeros(2, 3, 4), torch.zeros(1, 7, 4)),
        lambda: LabelHead().loss(torch.zeros(6, 3), torch.zeros(5, dtype=torch.int64)),
        lambda: Majority().predict(torch.zeros(3), torch.zeros(1, 7, 4)),
        lambda: IMAGES.gather(np.zeros((2, 2), np.int64)),
        lambda: EpisodeRows(
            np.zeros((1, 2, 3), np.int64),
            np.zeros((1, 4), np.int64),
            np.zeros((1, 5), np.int64),
            (),
        ),
    ],
    ids=["class", "kind", "task", "method", "baseline", "array", "class of arrays"],
)
def test_a_wrong_shape_raises(wrong):
    with pytest.raises(TypeCheckError):
        wrong()


def test_what_a_function_returns_is_checked_too():
    rows = np.arange(4)
    assert features_of(torch.nn.Flatten(), IMAGES, rows).shape == (4, 64)
    with pytest.raises(TypeCheckError):
        features_of(torch.nn.Flatten(0), IMAGES, rows)
