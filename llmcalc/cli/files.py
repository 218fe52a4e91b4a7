"""Files that a command writes: whole or not at all, and never over something else unasked."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from ..core.errors import InputError

READABLE = 0o666  # less what the process's mask takes away


def write_file(path: Path, text: str, *, force: bool = False) -> None:
    """Write a text file in one step.

    Raises:
        InputError: it exists and ``force`` is not given, is no regular file, or cannot be written.
    """
    where = str(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError("is no regular file", where=where)
        descriptor, temporary = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            Path(temporary).chmod(READABLE & ~_mask())
            _put(temporary, path, force)
        finally:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
    except FileExistsError:
        raise InputError("exists already", where=where, hint="--force writes over it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be written: {getattr(error, 'strerror', None) or error}", where=where) from None


def _put(temporary: str, path: Path, force: bool) -> None:
    """Give a written file its name; without ``force`` only if nothing has that name."""
    if force:
        Path(temporary).replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists() or path.is_symlink():
            raise FileExistsError from None
        Path(temporary).replace(path)


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
