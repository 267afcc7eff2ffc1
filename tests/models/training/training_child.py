"""One process of those that torchrun starts: trains each learner that it is told to, in a folder that stands for its machine's.

torchrun tests/models/training/training_child.py FOLDER_OF_PROCESS_0 FOLDER_OF_PROCESS_1 LEARNER...
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import data_prep.episodes.images
import models.train
import models.training.loop
from models.learners.supervised import Supervised
from models.method import Learner
from models.training.loop import take_gradient
from workspace.errors import Problem, Refusal, run_stage


@contextmanager
def precisely() -> Iterator[pytest.MonkeyPatch]:
    """Training in float64 that keeps the last weights: those are to be compared.

    In float32 Adam makes whole steps of the rounding of a gradient that is zero in theory, as of MAML's class vector.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_prep.episodes.images, "as_float", lambda stored: stored.double() / 255)
        for method in (Learner, Supervised):
            patch.setattr(method, "keeps_last", True, raising=False)
        torch.set_default_dtype(torch.float64)
        try:
            yield patch
        finally:
            torch.set_default_dtype(torch.float32)


def take_gradient_or_refuse(model, batch, precision):
    """As training does, but the third step finds something wrong."""
    if batch.step == 2:
        raise Refusal(Problem("site b", "other pixels", "those that were split", "split anew"))
    return take_gradient(model, batch, precision)


if __name__ == "__main__":
    folders, learners = sys.argv[1:3], sys.argv[3:]
    os.chdir(folders[int(os.environ["RANK"])])
    with precisely() as patch:
        if Path("refuse").is_file():  # this machine alone refuses
            patch.setattr(models.training.loop, "take_gradient", take_gradient_or_refuse)
        for learner in learners:
            run_stage("train", lambda name=learner: models.train.main(name, 0))
