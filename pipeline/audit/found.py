"""What a readable view of a file shows: the identifiers that are searched for, and what looks like
one.
"""

import re
from collections.abc import Iterator

from pydicom.uid import UID_dictionary

from pipeline.audit.readable import View
from pipeline.audit.search import Searcher

PATTERNS = {
    "DICOM UIDs": re.compile(rb"(?<![\w.])[012](?:\.(?:0|[1-9]\d{0,38})){5,}(?![\w.])"),
    "dates": re.compile(
        rb"(?<![\w-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)"
        rb"|(?:birth|dob|date)\w{0,8}\W{1,4}(?:19|20)\d\d(?:0[1-9]|1[0-2])"
        rb"(?:0[1-9]|[12]\d|3[01])(?!\d)",
        re.IGNORECASE,
    ),
    "names with a caret": re.compile(rb"[A-Za-z\x80-\xff]{2,}\^[A-Za-z\x80-\xff]{2,}"),
    "e-mail addresses": re.compile(rb"[\w.+-]{2,64}@[A-Za-z0-9-]{2,63}(?:\.[A-Za-z0-9-]{2,63})+"),
}
SHORTEST_UID = 16  # characters; shorter dotted numbers are versions


def kinds_in(
    view: View, searcher: Searcher, own: bytes, found: set[bytes], alike: bool = True
) -> Iterator[str]:
    """The kind of each thing found: identifiers, and in text also what looks like one.

    `own`: text in which nothing is one. `found`: the values that other views of the same file
    showed, so that its bytes do not count its text again; grows. `alike`: also what no export holds
    and looks like an identifier.
    """
    values = [
        value for value in searcher.find(view.content, view.text) if view.text or value not in found
    ]
    found.update(values)
    yield from (searcher.values[value].kind for value in values)
    for kind, pattern in PATTERNS.items() if view.text and alike else ():
        for match in pattern.finditer(view.content):
            stated = match[0]
            known = kind == "DICOM UIDs" and (
                len(stated) < SHORTEST_UID or stated.decode() in UID_dictionary
            )
            if not known and stated.lower() not in found and stated not in own:
                yield f"looks like {kind}"
