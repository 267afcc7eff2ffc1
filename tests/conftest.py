"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The suite runs a process a core: more threads would only fight for them."""
    torch.set_num_threads(1)
