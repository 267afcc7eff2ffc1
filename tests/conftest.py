"""What all tests share. The synthetic hospitals of tests/eval and tests/browser are imported only where they are used: that takes seconds."""

from collections.abc import Callable

import pytest
import torch

from workspace.paths import Workspace


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The suite runs a process a core: more threads would only fight for them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_workspace(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Workspace]:
    """Build a workspace of synthetic hospitals: make_workspace({"westside": hospital(patients=(60, 40))}, shots=5)."""
    from tests.made_hospitals import build

    return lambda hospitals, **report: build(tmp_path_factory.mktemp("workspace"), hospitals, **report)


@pytest.fixture(scope="session")
def hospital() -> type:
    from tests.made_hospitals import Hospital

    return Hospital
