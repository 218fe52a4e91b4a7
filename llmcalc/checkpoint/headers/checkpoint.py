"""A checkpoint as a whole: a folder with or without an index, one file of it, the parts of a split GGUF."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...core.errors import DescriptionError, shown
from ...importers.plain_json import first_repeated, read_json
from . import GGUF, SAFETENSORS, File, Headers, gguf, limits, safetensors

INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".npz")
_PART = re.compile(r"-(\d{5})-of-(\d{5})(\.gguf)$")


def read_headers(path: Path) -> Headers:
    """The headers of a folder of safetensors, of one such file, or of a GGUF with all its parts.

    Raises:
        DescriptionError: nothing there whose header can be read, or headers that contradict each other.
    """
    where = limits.printable(path)
    if path.is_dir():
        return _folder(path, where)
    if path.suffix == GGUF:
        return join(where, "gguf", [gguf.read_file(part) for part in _parts(path, where)], None)
    if path.suffix == SAFETENSORS:
        return join(where, "safetensors", [safetensors.read_file(path)], config_beside(path))
    raise DescriptionError(f"has no header that can be read; {SAFETENSORS} and {GGUF} files have", where=where)


def config_beside(path: Path) -> dict[str, Any] | None:
    """The content of the ``config.json`` of a folder, or beside a file; None if there is none."""
    file = (path if path.is_dir() else path.parent) / CONFIG
    if not file.is_file():
        return None
    from ...schema.catalogue import read_text

    found: dict[str, Any] = read_json(read_text(file), str(file))
    return found


def weights_in(folder: Path) -> list[str]:
    """The names of the weight files of a folder that can be read: those of an index, all safetensors, or a GGUF."""
    if (folder / INDEX).exists():
        return list(dict.fromkeys(_index(folder).values()))
    names = _listed(folder)
    return [name for name in names if name.endswith(SAFETENSORS)] or [name for name in names if name.endswith(GGUF)]


def pickled_in(folder: Path) -> list[str]:
    """Weight files of a folder that are never opened, since reading them may run what they say."""
    return [name for name in _listed(folder) if name.endswith(PICKLED)]


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise DescriptionError(f"cannot be listed: {error.strerror}", where=limits.printable(folder)) from None


def _folder(folder: Path, where: str) -> Headers:
    names = weights_in(folder)
    if not names:
        raise nothing_to_read(folder)
    if names[0].endswith(GGUF):
        whole = [name for name in names if not _PART.search(name) or "-00001-of-" in name]
        if not whole:
            raise DescriptionError("holds parts of a GGUF, but not the first", where=where)
        if len(whole) > 1:
            listed = ", ".join(whole[:5])
            raise DescriptionError(f"holds {len(whole)} GGUF models", where=where, hint=f"name one of them: {listed}")
        return read_headers(folder / whole[0])
    if len(names) > limits.MOST_FILES:
        raise DescriptionError(f"{len(names):,} files; no more than {limits.MOST_FILES:,} are read", where=where)
    files = [safetensors.read_file(within(folder, name)) for name in names]
    headers = join(where, "safetensors", files, config_beside(folder))
    if (folder / INDEX).exists():
        check_index(_index(folder), headers, str(folder / INDEX))
    return headers


def nothing_to_read(folder: Path) -> DescriptionError:
    """Why a folder has no headers; files that would have to be unpickled are named."""
    where = limits.printable(folder)
    pickled = pickled_in(folder)
    if pickled:
        listed = ", ".join(map(limits.printable, pickled[:3])) + (" ..." if len(pickled) > 3 else "")
        hint = f"{listed}: never opened, since unpickling runs what a file says; convert them to safetensors"
        return DescriptionError("is a folder whose weights are pickled", where=where, hint=hint)
    return DescriptionError(f"is a folder without {SAFETENSORS} or {GGUF} files", where=where)


def _index(folder: Path) -> dict[str, str]:
    """The file of each tensor, from the index."""
    file = folder / INDEX
    where = limits.printable(file)
    size = limits.regular_file(file)
    if size > limits.LARGEST_JSON:
        raise DescriptionError(
            f"the index has {size:,} bytes; more than {limits.LARGEST_JSON:,} are not read", where=where
        )
    return read_index(limits.read_range(file, 0, size), where)


def read_index(raw: bytes, where: str) -> dict[str, str]:
    """The file of each tensor, from the text of an index; every file is a plain name.

    Raises:
        DescriptionError: no such mapping, or a path that could lead elsewhere.
    """
    limits.check_json(raw, "the index", where)
    try:
        places = read_json(raw.decode("utf-8"), where).get("weight_map")
    except UnicodeDecodeError:
        raise DescriptionError("is no UTF-8 text", where=where) from None
    if not isinstance(places, dict) or not places or not all(isinstance(file, str) for file in places.values()):
        raise DescriptionError("has no weight_map from tensors to files", where=where)
    for name in dict.fromkeys(places.values()):
        plain = name.isprintable() and not set(name) & set("/\\:") and not name.startswith(".")
        if not plain or not name.endswith(SAFETENSORS):
            raise DescriptionError(f"{shown(name)} is no {SAFETENSORS} file of the folder", where=where)
    return places


def within(folder: Path, name: str) -> Path:
    """A file of a folder, whose links lead nowhere else but to the blobs of the Hub's cache.

    Raises:
        DescriptionError: missing, or a link that leads out.
    """
    path = folder / name
    try:
        real, home = path.resolve(), folder.resolve()
    except (OSError, RuntimeError):  # links in a circle
        raise DescriptionError("is a link that leads nowhere", where=limits.printable(path)) from None
    allowed = [home]
    if home.parent.name == "snapshots":  # models--org--name/snapshots/<revision> links to models--org--name/blobs
        allowed.append(home.parent.parent / "blobs")
    if not any(real.is_relative_to(place) for place in allowed):
        raise DescriptionError("is a link out of its folder", where=limits.printable(path), hint="name the real folder")
    if not path.exists():
        raise DescriptionError("is named by the index, but missing", where=limits.printable(path))
    return path


def check_index(index: dict[str, str], headers: Headers, where: str) -> None:
    """The index and the headers name the same tensors in the same files.

    Raises:
        DescriptionError: they differ.
    """
    held = {tensor.name: file.name for file in headers.files for tensor in file.tensors}
    for name, file in index.items():
        if held.get(name) != file:
            place = f"is in {held[name]}" if name in held else "is in no file"
            raise DescriptionError(f"{shown(name)} {place}, not in {file}", where=where, hint="is the folder complete?")
    extra = next((name for name in held if name not in index), None)
    if extra is not None:
        raise DescriptionError(f"{shown(extra)} of {held[extra]} is not in the index", where=where)


def join(where: str, kind: str, files: Iterable[File], config: dict[str, Any] | None) -> Headers:
    """The files of one checkpoint, whose tensors differ in their names.

    Raises:
        DescriptionError: too many tensors, or one in two files.
    """
    headers = Headers(where, kind, tuple(files), config)
    count = sum(len(file.tensors) for file in headers.files)
    if count > limits.MOST_TENSORS:
        raise DescriptionError(f"{count:,} tensors; no more than {limits.MOST_TENSORS:,} are read", where=where)
    if len(headers.tensors) < count:
        twice = shown(first_repeated(held.name for held in headers))
        raise DescriptionError(f"two of its files hold the tensor {twice}", where=where)
    return headers


def _parts(path: Path, where: str) -> list[Path]:
    """The files of a split GGUF, all of them, whichever was named."""
    match = _PART.search(path.name)
    if not match:
        return [path]
    count = int(match[2])
    if not 0 < int(match[1]) <= count or count > limits.MOST_FILES:
        raise DescriptionError(f"is part {int(match[1])} of {count}", where=where)
    stem = path.name[: match.start()]
    parts = [path.with_name(f"{stem}-{number:05}-of-{count:05}{match[3]}") for number in range(1, count + 1)]
    missing = next((part.name for part in parts if not part.exists()), None)
    if missing:
        raise DescriptionError(f"is one of {count} parts, of which {missing} is missing", where=where)
    return parts
