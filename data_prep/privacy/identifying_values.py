"""Identifying values, for a search through the outputs.

They are held in memory, never written or shown.
"""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

PERSON, NUMBER, UID, DATE = "person's name", "patient or visit number", "UID", "date"
TEXT, NESTED, PRIVATE, META = (
    "text element",
    "nested element",
    "private element",
    "file meta element",
)
PREAMBLE, NAME, CELL, PICTURE = (
    "preamble or header text",
    "file or folder name",
    "labels table identifier",
    "picture's text",
)
MOST_BYTES = 4096  # of a private element of bytes; longer ones are tables and images
# Bytes: of a header of text, of what follows an MGH file's voxels, of one box of JPEG 2000.
MOST_TEXT = 2**20
PRINTABLE = re.compile(rb"[\x20-\x7e]{6,}")  # shorter runs of printable bytes are chance
# A name before its value, as headers of text write them.
FIELD = re.compile(r"[#\s]*[\w ./-]*?\w\s*(?::=|[:=])(?=.)")
BETWEEN = re.compile(r"[;\"<>\0]")  # several values


@dataclass
class IdentifyingValues:
    """Value -> its kind.

    `makers`: makers' and models' names. `unread`: files known by name alone.
    """

    values: dict[str, str] = field(default_factory=dict)
    makers: set[str] = field(default_factory=set)
    files: int = 0
    unread: int = 0

    def add(self, kind: str, value: str) -> None:
        """The first kind of a value stays."""
        value = value.strip(" \0\r\n\t")
        if value:
            self.values.setdefault(value, kind)

    def update(self, other: "IdentifyingValues") -> None:
        for value, kind in other.values.items():
            self.values.setdefault(value, kind)
        self.makers |= other.makers
        self.files += other.files
        self.unread += other.unread

    def add_path(self, name: str) -> None:
        path = PurePosixPath(name)
        for part in (*path.parts, path.stem):
            self.add(NAME, part)

    def add_text(self, kind: str, text: str) -> None:
        """A text as it stands and, since outputs would hold it alone, what it says of a field."""
        self.add(kind, text)
        for part in BETWEEN.split(FIELD.sub("", text, count=1) if FIELD.match(text) else text):
            part = part.strip("# \t")
            if part != text:
                self.add(PERSON if "^" in part else kind, part)

    def add_printable(self, kind: str, content: bytes) -> None:
        """What of `content` reads as text."""
        for run in PRINTABLE.findall(content):
            self.add_text(kind, run.decode("ascii"))

    def add_lines(self, content: bytes) -> None:
        """A header of text."""
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        for line in text.splitlines():
            self.add_text(PREAMBLE, line)

    def add_commands(self, content: bytes) -> None:
        """Command lines, whose words may be paths that hold a patient's name."""
        self.add_printable(PREAMBLE, content)
        for word in content.replace(b"\0", b" ").split():
            self.add_path(word.decode("utf-8", "replace"))
