"""Size limits that admit any real checkpoint but protect against malicious weight files.

Parsed JSON uses up to 20 times the memory of its text, so brackets, commas and colons are counted before
parsing.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ...core.errors import DescriptionError, short_repr

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_JSON = 16 << 20  # size of a header or an index in bytes; the largest published ones have about 13 million
LARGEST_WIDE = 2 << 20  # the same limit for non-ASCII text, which takes up to four times the memory
MOST_BRACKETS = 600_000
MOST_COMMAS = 1_200_000
MOST_COLONS = 600_000  # a header has four per tensor, an index one
MOST_TENSORS = 200_000
MOST_FILES = 4_000
MOST_DIMENSIONS = 8
LONGEST_NAME = 1_000
LARGEST = 1 << 62  # largest allowed size, offset or length


def regular_file(path: Path) -> int:
    """Return the size of a regular file in bytes. Reject pipes and devices because reading them might never end."""
    where = printable(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise DescriptionError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=where) from None
    if not stat.S_ISREG(status.st_mode):
        raise DescriptionError("is a folder, pipe or device, not a regular file", where=where)
    return status.st_size


def read_range(path: Path, start: int, length: int) -> bytes:
    """Read ``length`` bytes from ``start``, or fewer at the end of the file."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read(length)
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=printable(path)) from None


def check_json(raw: bytes, what: str, where: str) -> None:
    """Reject JSON text that would take too much memory to parse."""
    longest = LARGEST_JSON if raw.isascii() else LARGEST_WIDE
    if len(raw) > longest:
        raise DescriptionError(f"{what} has {len(raw):,} bytes, more than the limit of {longest:,}", where=where)
    brackets, commas, colons = raw.count(b"[") + raw.count(b"{"), raw.count(b","), raw.count(b":")
    if brackets > MOST_BRACKETS or commas > MOST_COMMAS or colons > MOST_COLONS:
        raise DescriptionError(f"{what} has too many values for a checkpoint", where=where)


def printable(path: str | Path) -> str:
    """Return the printable form of a path for messages."""
    text = str(path)
    return text if text.isprintable() and len(text) <= 4 * LONGEST_NAME else short_repr(text)
