"""Lookup of checkpoint files in a folder (with or without an index), a single file, or part of a split GGUF file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...core.errors import DescriptionError, short_repr
from ...core.strict_json import first_repeated, read_json
from . import GGUF, SAFETENSORS, FileHeader, Headers, gguf, limits, located, safetensors

INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".npz")
_PART = re.compile(r"-(\d{5})-of-(\d{5})(\.gguf)$")


def read_headers(path: Path) -> Headers:
    """Read the headers of a folder, a safetensors file, or a GGUF file with all its parts."""
    where = limits.printable(path)
    with located(where):
        if path.is_dir():
            return _folder(path, where)
        if path.suffix == GGUF:
            return join(where, "gguf", [gguf.read_file(part) for part in _parts(path)], None)
        if path.suffix == SAFETENSORS:
            return join(where, "safetensors", [safetensors.read_file(path)], config_beside(path))
        raise DescriptionError(f"is not a {SAFETENSORS} or {GGUF} file")


def config_beside(path: Path) -> dict[str, Any] | None:
    """Return the contents of the ``config.json`` in a folder or next to a file, or None if this file does not
    exist.
    """
    file = (path if path.is_dir() else path.parent) / CONFIG
    if not file.is_file():
        return None
    from ...schema.config_files import read_config

    return read_config(file)


def weight_files(folder: Path) -> list[str]:
    """Return the weight files listed in a folder's index.

    Without an index, return all safetensors files or, if there are none, all GGUF files.
    """
    if (folder / INDEX).exists():
        return list(dict.fromkeys(read_index(folder / INDEX, limits.printable(folder / INDEX)).values()))
    names = _file_names(folder)
    return [name for name in names if name.endswith(SAFETENSORS)] or [name for name in names if name.endswith(GGUF)]


def pickled_files(folder: Path) -> list[str]:
    """Return the pickled weight files in a folder. These are never opened because unpickling may execute code."""
    return [name for name in _file_names(folder) if name.endswith(PICKLED)]


def _file_names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise DescriptionError(f"cannot list the folder: {error.strerror}", where=limits.printable(folder)) from None


def _folder(folder: Path, where: str) -> Headers:
    names = weight_files(folder)
    if not names:
        raise no_weights_error(folder)
    if names[0].endswith(GGUF):
        models = [name for name in names if not _PART.search(name) or "-00001-of-" in name]
        if not models:
            raise DescriptionError("the first file of the split GGUF is missing")
        if len(models) > 1:
            hint = f"pass one of them: {', '.join(models[:5])}"
            raise DescriptionError(f"contains {len(models)} GGUF models", hint=hint)
        return read_headers(folder / models[0])
    if len(names) > limits.MOST_FILES:
        raise DescriptionError(f"contains {len(names):,} weight files, more than the limit of {limits.MOST_FILES:,}")
    files = [safetensors.read_file(resolve_in(folder, name)) for name in names]
    headers = join(where, "safetensors", files, config_beside(folder))
    index = folder / INDEX
    if index.exists():
        check_index(read_index(index, limits.printable(index)), headers, str(index))
    return headers


def no_weights_error(folder: Path) -> DescriptionError:
    """Return the error for a folder without readable weights. The message lists any pickled files."""
    where = limits.printable(folder)
    pickled = pickled_files(folder)
    if pickled:
        listed = ", ".join(map(limits.printable, pickled[:3])) + (" ..." if len(pickled) > 3 else "")
        hint = f"Pickle files can execute code and are never opened. Convert them to safetensors: {listed}"
        return DescriptionError("contains only pickled weights", where=where, hint=hint)
    return DescriptionError(f"contains no {SAFETENSORS} or {GGUF} files", where=where)


def read_index(file: Path, where: str) -> dict[str, str]:
    """Read an index and return the file name for each tensor. File names must not contain a directory."""
    with located(where):
        size = limits.regular_file(file)
        if size > limits.LARGEST_JSON:
            raise DescriptionError(f"the index has {size:,} bytes, more than the limit of {limits.LARGEST_JSON:,}")
        raw = limits.read_range(file, 0, size)
        limits.check_json(raw, "the index", where)
        try:
            files = read_json(raw.decode("utf-8"), where).get("weight_map")
        except UnicodeDecodeError:
            raise DescriptionError("is not valid UTF-8") from None
        if not isinstance(files, dict) or not files or not all(isinstance(file, str) for file in files.values()):
            raise DescriptionError("weight_map must map tensor names to file names")
        for name in dict.fromkeys(files.values()):
            is_plain = name.isprintable() and not set(name) & set("/\\:") and not name.startswith(".")
            if not is_plain or not name.endswith(SAFETENSORS):
                raise DescriptionError(f"{short_repr(name)} is not a {SAFETENSORS} file name")
        return files


def resolve_in(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder. Links must point into the folder or into the blobs of the Hub cache."""
    path = folder / name
    where = limits.printable(path)
    try:
        real, home = path.resolve(), folder.resolve()
    except (OSError, RuntimeError):  # such as circular links
        raise DescriptionError("is a broken link", where=where) from None
    allowed = [home]
    if home.parent.name == "snapshots":  # models--org--name/snapshots/<revision> links to models--org--name/blobs
        allowed.append(home.parent.parent / "blobs")
    if not any(real.is_relative_to(place) for place in allowed):
        hint = "pass the real folder instead"
        raise DescriptionError("links to a file outside its folder", where=where, hint=hint)
    if not path.exists():
        raise DescriptionError("is listed in the index but does not exist", where=where)
    return path


def check_index(index: dict[str, str], headers: Headers, where: str) -> None:
    """Check that the index and the headers list the same tensors in the same files."""
    files = {tensor.name: file.name for file in headers.files for tensor in file.tensors}
    for name, file in index.items():
        if files.get(name) != file:
            place = f"is in {files[name]}" if name in files else "is missing"
            message = f"tensor {short_repr(name)} {place}, but the index lists it in {file}"
            raise DescriptionError(message, where=where, hint="Check that the folder is complete.")
    extra = next((name for name in files if name not in index), None)
    if extra is not None:
        raise DescriptionError(f"tensor {short_repr(extra)} in {files[extra]} is not listed in the index", where=where)


def join(where: str, kind: str, files: Iterable[FileHeader], config: dict[str, Any] | None) -> Headers:
    """Combine the file headers of one checkpoint."""
    headers = Headers(where, kind, tuple(files), config)
    count = sum(len(file.tensors) for file in headers.files)
    if count > limits.MOST_TENSORS:
        message = f"contains {count:,} tensors, more than the limit of {limits.MOST_TENSORS:,}"
        raise DescriptionError(message, where=where)
    if len(headers.tensors) < count:
        repeated = short_repr(first_repeated(tensor.name for tensor in headers))
        raise DescriptionError(f"two files contain tensor {repeated}", where=where)
    return headers


def _parts(path: Path) -> list[Path]:
    """Return the paths of all parts of a split GGUF file, given the path of any part."""
    match = _PART.search(path.name)
    if not match:
        return [path]
    count = int(match[2])
    if not 0 < int(match[1]) <= count or count > limits.MOST_FILES:
        raise DescriptionError(f"invalid split: part {int(match[1])} of {count}")
    stem = path.name[: match.start()]
    parts = [path.with_name(f"{stem}-{number:05}-of-{count:05}{match[3]}") for number in range(1, count + 1)]
    missing = next((part.name for part in parts if not part.exists()), None)
    if missing:
        raise DescriptionError(f"is one of {count} parts, but {missing} is missing")
    return parts
