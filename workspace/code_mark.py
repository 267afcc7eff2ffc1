"""The same code and libraries: one mark of them for stages, kept records, checkpoints and results.

A mark covers what a module imports, however far, and nothing else: a change in a section of the
page moves the mark of the reports alone.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workspace.outputs import digest, to_json

ROOT = Path(__file__).parents[1]
ROOMS = tuple(sorted(path.parent.name for path in ROOT.glob("*/py.typed")))
# Libraries that another one calls without an import of ours.
CALLED = {"pydicom": ("openjpeg", "pylibjpeg", "jpeg_ls")}
# Modules whose distribution has another name.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "jpeg_ls": "pyjpegls",
    "openjpeg": "pylibjpeg-openjpeg",
    "sklearn": "scikit-learn",
}
# They read settings, show progress, name shapes and share out work, and decide no pixel, weight or
# number.
UNDECIDING = ("distributed", "jaxtyping", "pydantic", "rich", "ruamel", "typer")


def code_mark(*modules: str) -> dict[str, Any]:
    """What the outputs of these modules depend on besides inputs and settings.

    `code`: SHA-256 of all of ours that they import, with the templates beside it; `libraries`:
    name and version. Where a module imports others by name, `import_module(f"a.b.{name}")`, all of
    a.b count, or of those in a.b the ones that are given here.
    """
    files, libraries = _imported(modules)
    content = {path.relative_to(ROOT).as_posix(): digest(path.read_bytes()) for path in files}
    return {
        "code": digest(to_json(content).encode()),
        "libraries": {name: _version(name) for name in sorted(libraries)},
    }


def code_digest(*modules: str) -> str:
    """SHA-256 of the mark."""
    return digest(to_json(code_mark(*modules)).encode())


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # an extra
        return "not installed"


def _imported(modules: tuple[str, ...]) -> tuple[list[Path], set[str]]:
    """Our files that these modules stand on, sorted, and the distributions that those import."""
    files: set[Path] = set()
    libraries: set[str] = set()
    ahead = list(modules)
    while ahead:
        path = _file(ahead.pop())
        if path is None or path in files:
            continue
        files |= {path, *_beside(path)}
        for name in _names(path):
            package, _, last = name.rpartition(".")
            if name.split(".")[0] not in ROOMS:
                libraries |= _distributions(name.split(".")[0])
            elif last == "*":
                given = [module for module in modules if module.startswith(f"{package}.")]
                ahead += given or _modules_in(package)
            else:
                ahead.append(name)
    return sorted(files), libraries


def _file(module: str) -> Path | None:
    """A module's file; None where the name is none, such as that of a class in a module."""
    place = ROOT.joinpath(*module.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in files if path.is_file()), None)


def _modules_in(package: str) -> list[str]:
    found = ROOT.joinpath(*package.split(".")).glob("[a-z]*.py")
    return [f"{package}.{path.stem}" for path in found]


def _beside(module: Path) -> list[Path]:
    """The templates beside a module."""
    return [] if module.name == "__init__.py" else sorted(module.parent.glob("templates/*"))


@cache
def _names(path: Path) -> list[str]:
    """All that a file imports: modules, and names in them that may be modules."""
    return [name for node in ast.walk(ast.parse(path.read_bytes())) for name in _of(node)]


def _of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), names=names):
            yield module
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.Call(
            func=ast.Name(id="import_module"),
            args=[ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]), *_],
        ):
            yield f"{start}*"


def _distributions(module: str) -> set[str]:
    """The distributions of a library's module and of what it calls, if any."""
    if module in sys.stdlib_module_names or module in UNDECIDING:
        return set()
    called = CALLED.get(module, ())
    return {DISTRIBUTIONS.get(name, name) for name in (module, *called)}
