"""What all tests share. The synthetic hospitals of tests/eval and tests/browser are imported only where they are used: that takes seconds."""

import re
import traceback
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
import torch
from jaxtyping import install_import_hook

# before the first import of ours: whatever names a shape is held to it; an int may stand for a
# float, as type checkers allow
install_import_hook(
    [
        "models",
        "data_prep.episodes",
        "data_prep.store",
        "data_prep.targets.label",
        "data_prep.targets.target",
        "eval.adapt",
    ],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)
from data_prep import rejects  # noqa: E402
from workspace.paths import Workspace  # noqa: E402


@pytest.fixture(autouse=True)
def reader_faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No test may make a reader of fewsite fail. One that does so on purpose empties the list."""
    faults: list[str] = []
    real = rejects.reader_fault

    def noted(error: Exception, raised: traceback.FrameSummary) -> rejects.Rejected:
        faults.append("".join(traceback.format_exception(error)))
        return real(error, raised)

    monkeypatch.setattr(rejects, "reader_fault", noted)
    yield faults
    if faults:
        pytest.fail(f"{len(faults)} files on which fewsite failed; the first: {faults[0]}")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The suite runs a process a core: more threads would only fight for them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_workspace(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Workspace]:
    """Build a workspace of synthetic hospitals: make_workspace({"westside": hospital(patients=(60, 40))}, shots=5)."""
    from tests.made_hospitals import build

    return lambda hospitals, **report: build(
        tmp_path_factory.mktemp("workspace"), hospitals, **report
    )


@pytest.fixture(scope="session")
def hospital() -> type:
    from tests.made_hospitals import Hospital

    return Hospital


@pytest.fixture(scope="session")
def words_of() -> Callable[[Any], str]:
    """A section's text with single spaces, figures left out."""
    from eval.page.render import render

    def words(section: Any) -> str:
        page = re.sub(
            r"<svg.*?</svg>", " ", render(section.template, shown=section.shown), flags=re.S
        )
        return re.sub(
            r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)).replace("\N{NO-BREAK SPACE}", " ")
        )

    return words


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: else one process runs it at the end while the other waits."""
    items.sort(key=lambda item: item.path.name != "test_end_to_end.py")
