"""What decoded bytes depend on besides files and settings: this code, the libraries that it calls and the kind of processor."""

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from workspace.outputs import digest, to_json

LIBRARIES = (
    "highdicom",
    "imagecodecs",
    "nibabel",
    "numpy",
    "pillow",
    "pydicom",
    "pyjpegls",
    "pylibjpeg",
    "pylibjpeg-openjpeg",
    "scipy",
    "SimpleITK",
)


@cache
def code_mark() -> str:
    """SHA-256, equal where the same files and settings give the same bytes."""
    root = Path(__file__).parents[2]
    files = sorted(
        path
        for package in ("data_prep", "workspace")
        for path in (root / package).rglob("*.py")
        if "phantom" not in path.parts
    )
    about = {"machine": platform.machine(), **{name: version(name) for name in LIBRARIES}}
    return digest(b"".join([to_json(about).encode(), *(path.read_bytes() for path in files)]))
