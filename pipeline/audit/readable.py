"""What can be read in an output: its text, decoded out of whatever holds it, and its raw bytes."""

import base64
import binascii
import gzip
import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

Bytes = Any  # bytes, or the map of a file into memory: slices give bytes
DEPTH = 3  # containers within containers
BASE64 = re.compile(r"data:[^;,\"']{0,100};base64,([A-Za-z0-9+/=\s]+)")
SVG_ID = re.compile(
    r'<g id="[A-Za-z0-9.]+_\d+">'
)  # matplotlib's own numbering of the parts of a figure


@dataclass(frozen=True)
class View:
    """One way to look at an output.

    `text`: made of words, where a short value is told from chance.
    """

    content: Bytes
    text: bool


def views(content: Bytes, depth: int = 0) -> Iterator[View]:
    """The texts in a file and its bytes, by what it holds and never by its name.

    What cannot be opened is looked at as bytes.
    """
    start = bytes(content[:512])
    try:
        if start.startswith(b"PAR1"):
            yield from _joined(_cells(pq.read_table(io.BytesIO(content))))
        elif start.startswith(b"\x93NUMPY"):
            yield from _array(content)
        elif start.startswith(b"PK\x03\x04") and depth < DEPTH:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for info in archive.infolist():
                    yield from _joined([info.filename])
                    yield from views(archive.read(info), depth + 1)
        elif start.startswith(b"\x1f\x8b") and depth < DEPTH:
            yield from views(gzip.decompress(content), depth + 1)
        elif start[8:9] == b"{" and (length := int.from_bytes(start[:8], "little")) < len(
            content
        ):  # safetensors
            yield from _joined(_strings(json.loads(bytes(content[8 : 8 + length]))))
        elif start.lstrip()[:1] in (b"{", b"["):
            yield from _joined(_strings(json.loads(bytes(content))))
        elif start.startswith(b"schema:"):
            yield from _joined(_strings(YAML(typ="safe").load(bytes(content).decode())))
        else:
            yield from _text(bytes(content), start, depth)
            return
    except Exception:
        # a damaged output, or one that only starts like these: its text, if it is text, and its
        # bytes are all there is
        yield from _text(bytes(content), start, depth)
        return
    yield View(content, text=False)


def _text(content: bytes, start: bytes, depth: int) -> Iterator[View]:
    """Text with entities unescaped and embedded files taken out and looked into; else bytes."""
    try:
        text = content.decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        yield View(content, text=False)
        return
    for embedded in BASE64.findall(text):
        try:
            yield from views(base64.b64decode(embedded), depth + 1)
        except binascii.Error:
            continue
    yield from _joined([html.unescape(SVG_ID.sub("<g>", BASE64.sub("", text)))])


def _joined(texts: Any) -> Iterator[View]:
    yield View("\n".join(texts).encode("utf-8", "surrogateescape"), text=True)


def _strings(value: Any) -> Iterator[str]:
    """All strings and keys in nested values; plain numbers are counts and measurements."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _cells(table: pa.Table) -> Iterator[str]:
    """The different texts in each column."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        yield name
        if not (
            pa.types.is_integer(column.type)
            or pa.types.is_floating(column.type)
            or pa.types.is_boolean(column.type)
        ):
            yield from {
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                for value in column.to_pylist()
            }


def _array(content: Bytes) -> Iterator[View]:
    """A .npy file's header, and its text if it holds text."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(stream)
    yield View(bytes(content[: stream.tell()]), text=True)
    if dtype.kind in "US":
        stream.seek(0)
        values = np.load(stream, allow_pickle=False).ravel()
        yield from _joined(
            str(value) if dtype.kind == "U" else bytes(value).decode("latin-1") for value in values
        )
