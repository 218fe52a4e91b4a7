"""Atomic file output, and header access for checkpoints without a config.json."""

from __future__ import annotations

import os

from ..core.errors import InputError
from ..core.type_names import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..checkpoint.headers import Headers

READABLE = 0o666  # before the process's umask


def write_file(path: Path, text: str, *, force: bool = False) -> None:
    """Write a text file atomically."""
    from contextlib import suppress
    from pathlib import Path
    from tempfile import mkstemp

    where = str(path)
    try:
        if path.exists() and not path.is_file():
            raise InputError("is not a regular file", where=where)
        descriptor, temporary = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
            Path(temporary).chmod(READABLE & ~_umask())
            _rename(temporary, path, force)
        finally:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
    except FileExistsError:
        raise InputError("file exists", where=where, hint="pass {force=True} to overwrite") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be written: {getattr(error, 'strerror', None) or error}", where=where) from None


def _rename(temporary: str, path: Path, force: bool) -> None:
    """Move a temporary file to its final path. Unless ``force`` is set, fail if the path exists."""
    if force:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # file system without hard links
        if path.exists() or path.is_symlink():
            raise FileExistsError from None
        os.replace(temporary, path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def has_headers_only(model: str) -> bool:
    """Return whether a model is a safetensors checkpoint without a config.json."""
    if model.endswith(".safetensors"):
        return os.path.isfile(model) and not os.path.exists(os.path.join(os.path.dirname(model), "config.json"))
    if os.sep not in model or not os.path.isdir(model) or os.path.exists(os.path.join(model, "config.json")):
        return False
    return any(name.endswith((".safetensors", ".safetensors.index.json")) for name in os.listdir(model))


def read_headers_only(model: str) -> Headers:
    """Read the headers of a safetensors file or folder."""
    from pathlib import Path

    from ..checkpoint.headers.checkpoint_files import read_headers

    return read_headers(Path(model))
