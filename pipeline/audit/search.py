"""Which of many values stand in some bytes, however they are encoded, in one pass."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from data_prep.privacy.identifying_values import DATE, PERSON

SHORTEST = 5  # characters; a shorter value stands in any text by chance
SHORTEST_NUMBER = 6  # digits
# bytes with a letter: 20,000 values meet 1 GB of random bytes by chance in 3 of 10,000 searches
SHORTEST_IN_BINARY = 8
ANYWHERE = 10  # characters; a shorter value must stand alone, with no letter or digit beside it
DISTINCT = 3  # different characters at least: 000000 and -----A are fillers
LONGEST = 96  # characters searched of a longer value
PIECE = 1 << 22  # bytes searched at once
START = 5  # bytes that a value is first recognised by
START_MASK = np.uint64((1 << 8 * START) - 1)
UID_FORM = re.compile(r"[0-2](\.\d+){2,}")  # PS3.5 9.1, whatever holds it
ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")


@dataclass(frozen=True)
class Value:
    """One way to write an identifying value, in one encoding.

    `alone`: only where no letter or digit is beside it; `binary`: also among raw bytes.
    """

    kind: str
    written: str
    alone: bool
    binary: bool
    number: bool


class Searcher:
    """Values by their lower-case bytes. They are found in any case of ASCII letters."""

    def __init__(self, values: Mapping[bytes, Value]):
        self.values = dict(values)
        self._by_start: dict[bytes, list[bytes]] = defaultdict(list)
        for content in sorted(self.values, key=len, reverse=True):
            self._by_start[content[:START]].append(content)
        self._starts = np.array(
            sorted(int.from_bytes(start, "little") for start in self._by_start), np.uint64
        )
        self._hashed = np.zeros(1 << 24, bool)
        self._hashed[_hash(self._starts)] = True

    def find(self, content: bytes, text: bool) -> Iterator[bytes]:
        """The values that stand in `content`, once for each place; of values that overlap, the
        first and longest.
        """
        free = 0  # where the last value found ends
        for begin in range(0, len(content), PIECE):
            before = max(begin - 2, 0)
            piece = bytes(content[before : begin + PIECE + 4 * LONGEST]).lower()
            for place in self._candidates(piece, begin - before, min(PIECE, len(content) - begin)):
                if before + place < free:
                    continue
                found = self._at(piece, place, text)
                if found:
                    free = before + place + len(found)
                    yield found

    def _candidates(self, piece: bytes, first: int, count: int) -> Iterable[int]:
        """Places in piece[first : first + count] where START bytes begin a value."""
        padded = piece + bytes(8)
        words = (
            np.ndarray(len(piece), "<u8", padded, strides=(1,))[first : first + count] & START_MASK
        )
        likely = np.flatnonzero(self._hashed[_hash(words)])
        at = np.minimum(np.searchsorted(self._starts, words[likely]), max(len(self._starts) - 1, 0))
        return (
            (likely[self._starts[at] == words[likely]] + first).tolist()
            if len(self._starts)
            else []
        )

    def _at(self, piece: bytes, place: int, text: bool) -> bytes | None:
        for content in self._by_start[piece[place : place + START]]:
            value = self.values[content]
            if (
                piece.startswith(content, place)
                and (text or value.binary)
                and (not value.alone or _stands_alone(piece, place, content, value))
            ):
                return content
        return None


def spellings(value: str, kind: str, makers: Iterable[str] = ()) -> dict[bytes, Value]:
    """All bytes to look for because of one value; none where it is too short or too plain to tell
    it from other text.
    """
    found: dict[bytes, Value] = {}
    for written in _written(value, kind):
        number = not re.search(r"[^\W\d_]", written)
        uid = UID_FORM.fullmatch(written) is not None
        if not _telling(written, kind, number, uid) or written.casefold() in makers:
            continue
        written = written[:LONGEST]
        for encoding in ENCODINGS:
            if encoding == "latin-1" and written.isascii():
                continue
            try:
                content = written.encode(encoding, "strict").lower()
            except UnicodeEncodeError:
                continue
            binary = len(content) >= SHORTEST_IN_BINARY and (not number or uid)
            found[content] = Value(kind, written, len(written) < ANYWHERE or number, binary, number)
    return found


def _written(value: str, kind: str) -> Iterator[str]:
    """A value as it stands and as people and programs write it."""
    yield value
    yield " ".join(value.split())
    if kind == PERSON:
        for name in value.split("="):  # PS3.5 6.2.1: alphabetic, ideographic and phonetic
            parts = [part for part in name.split("^") if part]
            yield from (
                sep.join(order)
                for order in (parts[:2], parts[1::-1])
                for sep in (" ", ", ", "_", "^")
            )
            yield from parts
    elif kind == DATE and re.fullmatch(r"\d{8}", value):
        year, month, day = value[:4], value[4:6], value[6:]
        yield from (
            f"{year}-{month}-{day}",
            f"{year}/{month}/{day}",
            f"{day}.{month}.{year}",
            f"{month}/{day}/{year}",
            f"{day}/{month}/{year}",
        )


def _telling(written: str, kind: str, number: bool, uid: bool) -> bool:
    if len(written) < SHORTEST or len(set(written)) < DISTINCT:
        return False
    if uid:
        return len(written) >= ANYWHERE
    if not number:
        return True
    digits = re.sub(r"[-/ .]", "", written) if kind == DATE else re.sub(r"[-/ ]", "", written)
    return digits.isdigit() and len(digits) >= SHORTEST_NUMBER and len(set(digits)) >= DISTINCT


def _stands_alone(piece: bytes, place: int, content: bytes, value: Value) -> bool:
    before, after = (
        piece[max(place - 2, 0) : place],
        piece[place + len(content) : place + len(content) + 2],
    )
    if _joins(before[-1:]) or _joins(after[:1]):
        return False
    if value.number:  # a part of a decimal number is none
        return not (before[-1:] in (b".", b"-") and before[:1].isdigit()) and not (
            after[:1] == b"." and after[1:].isdigit()
        )
    return True


def _joins(beside: bytes) -> bool:
    return beside.isalnum() or beside >= b"\x80"


def _hash(words: np.ndarray) -> np.ndarray:
    return (words * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(
        40
    )  # Knuth's multiplicative hashing, 24 bits
