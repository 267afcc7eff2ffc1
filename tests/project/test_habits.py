"""Code that fits on a screen: short functions, short lines, one idea a statement, small folders."""

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FREE = ("tests/", "findings/")  # a test spells out its case; a finding is one script
LONGEST_FUNCTION, LONGEST_LINE, COMPREHENSIONS, MOST_FILES = 50, 100, 2, 16
# Folders with more files of their own than MOST_FILES, and why.
LARGE = {"findings": "one script a surprise; its README is the index"}
DIALECT = {"said", "resting", "apart", "two_keys"}  # names that a newcomer cannot guess
LOOPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def tracked(*patterns: str) -> list[str]:
    """Files of the repository, those not yet added too."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({name for name in names.splitlines() if (ROOT / name).is_file()})


PYTHON = tracked("*.py")
HELD = [name for name in PYTHON if not name.startswith(FREE)]


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """What a statement holds, without the statements below it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from inside(child)


def long_functions(text: str) -> list[str]:
    """Those of more than LONGEST_FUNCTION lines."""
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        f"{node.lineno} {node.name}"
        for node in functions
        if node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]


def long_lines(text: str) -> list[int]:
    return [at for at, line in enumerate(text.splitlines(), 1) if len(line) > LONGEST_LINE]


def crowded_statements(text: str) -> list[int]:
    """Lines of statements with more than COMPREHENSIONS of them."""
    statements = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    return [
        node.lineno
        for node in statements
        if sum(isinstance(part, LOOPS) for part in inside(node)) > COMPREHENSIONS
    ]


def dialect(text: str) -> list[str]:
    """Names of DIALECT that are bound, taken or looked up."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        for field in ("id", "attr", "arg", "name", "asname"):
            name = getattr(node, field, None)
            if name in DIALECT:
                found.add(f"{getattr(node, 'lineno', 0)} {name}")
    return sorted(found)


def broken(names: list[str], check) -> dict[str, list]:
    """What `check` finds, by file."""
    found = {name: check((ROOT / name).read_text(encoding="utf-8")) for name in names}
    return {name: faults for name, faults in found.items() if faults}


def test_no_function_is_longer_than_a_screen():
    assert broken(HELD, long_functions) == {}


def test_no_line_is_wider_than_the_formatter_makes_it():
    assert broken(HELD, long_lines) == {}


def test_no_statement_holds_three_comprehensions():
    assert broken(HELD, crowded_statements) == {}


def test_no_name_is_of_a_private_dialect():
    assert broken(PYTHON, dialect) == {}
    assert [name for name in PYTHON if Path(name).stem in DIALECT] == []


def test_a_folder_holds_what_can_be_seen_at_a_glance():
    files = Counter(str(Path(name).parent) for name in tracked())
    large = {folder: count for folder, count in files.items() if count > MOST_FILES}
    assert {folder: count for folder, count in large.items() if folder not in LARGE} == {}
    assert LARGE.keys() <= large.keys(), "an exception that is none any more"


@pytest.mark.parametrize(
    ("check", "fits", "does_not"),
    [
        (long_functions, "def f():\n" + "    1\n" * 49, "def f():\n" + "    1\n" * 50),
        (long_functions, "async def f():\n" + " 1\n" * 49, "async def f():\n" + " 1\n" * 50),
        (long_lines, "x" * 100, "x" * 101),
        (crowded_statements, "[1 for _ in ()], {1 for _ in ()}", "[{*(1 for _ in ())} for _ in {1: 1 for _ in ()}]"),
        (crowded_statements, "if [1 for _ in ()]:\n [{1 for _ in ()} for _ in ()]", "[[[1 for _ in ()] for _ in ()] for _ in ()]"),
        (dialect, "# apart\nx = 'said'", "def f(apart): pass"),
        (dialect, "saids = 1", "said = 1"),
        (dialect, "f(x=1)", "f(two_keys=1)"),
        (dialect, "x.rest", "x.resting"),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_looks_for(check, fits, does_not):
    assert not check(fits) and check(does_not)
