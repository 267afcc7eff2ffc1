"""The voxels that a header promises, counted before they are believed."""

import io
from typing import BinaryIO

from data_prep.exports.sources import MAX_FILE_BYTES
from data_prep.rejects import Rejected

MAX_VOLUMES = 10_000  # of one file; functional MR runs have hundreds
PIECE = 2**24  # bytes read at once: a header may promise more than there is


def promised(stream: BinaryIO, start: int, size: int, whole: int) -> io.BytesIO:
    """`size` bytes from `start` on.

    `whole`: of the file as promised. Raises Rejected where it is too large or ends before.
    """
    if whole > MAX_FILE_BYTES:
        raise Rejected("too_large")
    stream.seek(start)
    content = io.BytesIO()
    while content.tell() < size and (piece := stream.read(min(size - content.tell(), PIECE))):
        content.write(piece)
    # Where the file is compressed, its checksum is checked on the way.
    there = stream.seek(0, io.SEEK_END)
    if there < whole:
        raise Rejected("truncated", f"{there} of {whole} bytes")
    return content
