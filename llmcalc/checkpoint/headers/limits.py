"""How much of a file is read, and how much it may claim: enough for any checkpoint, too little to hurt.

The JSON of a header or index becomes Python objects at up to twenty times its size, so that brackets, commas and
colons, which are what objects come from, are counted before it is read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...core.errors import DescriptionError, shown

LARGEST_JSON = 16 << 20  # bytes of a header or an index; the largest that are published have about 13 million
LARGEST_WIDE = 2 << 20  # ... if it is not ASCII alone, which takes up to four times the room
MOST_BRACKETS = 600_000
MOST_COMMAS = 1_200_000
MOST_COLONS = 600_000  # a tensor has four of them in a header, and one in an index
MOST_TENSORS = 200_000
MOST_FILES = 4_000
MOST_DIMENSIONS = 8
LONGEST_NAME = 1_000
LARGEST = 1 << 62  # of any size, offset or length: what fits a file system


def regular_file(path: Path) -> int:
    """The size of a file that is one; pipes and devices would wait or never end.

    Raises:
        DescriptionError: no such file, or none that can be read.
    """
    where = printable(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise DescriptionError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=where) from None
    if not stat.S_ISREG(found.st_mode):
        raise DescriptionError("is a folder, pipe or device, not a file", where=where)
    return found.st_size


def read_range(path: Path, start: int, length: int) -> bytes:
    """So many bytes of a file, or fewer at its end.

    Raises:
        DescriptionError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read(length)
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=printable(path)) from None


def check_json(raw: bytes, what: str, where: str) -> None:
    """Refuse a JSON text that would take more room than any checkpoint's does.

    Raises:
        DescriptionError: too long, or too many values.
    """
    longest = LARGEST_JSON if raw.isascii() else LARGEST_WIDE
    if len(raw) > longest:
        raise DescriptionError(f"{what} has {len(raw):,} bytes; more than {longest:,} are not read", where=where)
    brackets, commas, colons = raw.count(b"[") + raw.count(b"{"), raw.count(b","), raw.count(b":")
    if brackets > MOST_BRACKETS or commas > MOST_COMMAS or colons > MOST_COLONS:
        raise DescriptionError(f"{what} lists more than any checkpoint holds", where=where)


def printable(path: str | Path) -> str:
    """A path as messages show it."""
    text = str(path)
    return text if text.isprintable() and len(text) <= 4 * LONGEST_NAME else shown(text)
