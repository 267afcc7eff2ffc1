"""What decoded bytes depend on besides files and settings: code, libraries, kind of processor."""

import platform
from functools import cache

from workspace.code_mark import code_digest
from workspace.outputs import digest


@cache
def conversion_mark() -> str:
    """SHA-256, equal where the same files and settings give the same bytes."""
    return digest(f"{code_digest('data_prep.convert')} {platform.machine()}".encode())
