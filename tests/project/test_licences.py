"""No package that fewsite needs is under the GPL, so that a hospital or a firm may use and change it on its own terms."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
GPL = re.compile(
    r"\bA?GPL|(?<!Lesser )General Public License", re.IGNORECASE
)  # LGPL has no word boundary before its G
# Under the GPL among other words, and why that binds nobody here.
ALLOWED = {
    "asyncssh": "EPL-2.0 OR GPL-2.0-or-later: the user's choice",
    "dulwich": "Apache-2.0 OR GPL-2.0-or-later: the user's choice",
    "grandalf": "GPL-2.0 OR EPL-1.0: the user's choice",
    "pygit2": "GPL-2.0 with a linking exception, as libgit2's: a program that uses it unchanged is free of it; DVC needs it",
}


def needed(names: list[str]) -> set[str]:
    """Those packages and all that they need, as far as they are installed on this kind of machine."""
    seen: set[str] = set()
    ahead = [Requirement(name) for name in names]
    while ahead:
        requirement = ahead.pop()
        name = canonicalize_name(requirement.name)
        if name in seen or (
            requirement.marker
            and not any(
                requirement.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
            )
        ):
            continue
        try:
            ahead += [Requirement(line) for line in distribution(name).requires or []]
        except PackageNotFoundError:
            continue
        seen.add(name)
    return seen


def licence(name: str) -> str:
    """Every word of a package's metadata on its licence; of a text of several lines the first, which names it."""
    about = distribution(name).metadata
    classified = [line for line in about.get_all("Classifier") or [] if line.startswith("License")]
    return " ; ".join(
        [
            about.get("License-Expression") or "",
            (about.get("License") or "").strip().partition("\n")[0],
            *classified,
        ]
    )


def test_no_required_package_is_under_the_gpl() -> None:
    names = needed(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert {"pydicom", "imagecodecs", "torch", "scmrepo"} <= names
    assert {
        name: licence(name) for name in names - ALLOWED.keys() if GPL.search(licence(name))
    } == {}


def test_the_words_tell_the_gpl_from_the_lgpl() -> None:
    assert all(
        GPL.search(words)
        for words in (
            "GPL-3.0-or-later",
            "GNU General Public License v3 (GPLv3)",
            "AGPL-3.0",
            "License :: GPLv2",
        )
    )
    assert not any(
        GPL.search(words)
        for words in (
            "LGPL-2.1",
            "GNU Lesser General Public License v3",
            "BSD-3-Clause",
            "Apache-2.0",
        )
    )
