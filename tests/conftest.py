"""What all tests share."""

import pytest
import torch

from tests.made_hospitals import hospital, make_workspace  # noqa: F401  fixtures of tests/eval and tests/browser


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The suite runs a process a core: more threads would only fight for them."""
    torch.set_num_threads(1)
