"""Edits of params.yaml that keep its comments and its layout."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ruamel.yaml import YAML

from workspace.outputs import write_whole
from workspace.paths import Workspace


@contextmanager
def edited(workspace: Workspace) -> Iterator[Any]:
    """Yield params.yaml as nested mappings and write it whole afterwards, only if it changed."""
    yaml = YAML()
    yaml.width = 130
    yaml.preserve_quotes = True
    before = workspace.params_file.read_text(encoding="utf-8")
    content = yaml.load(before)
    untouched = _text(yaml, content)
    yield content
    after = _text(yaml, content)
    if after != untouched:
        write_whole(workspace.params_file, after)


def _text(yaml: YAML, content: Any) -> str:
    stream = io.StringIO()
    yaml.dump(content, stream)
    return stream.getvalue()
