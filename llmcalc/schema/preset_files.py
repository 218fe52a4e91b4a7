"""Preset file lookup by name, first in user folders and then in the package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import DescriptionError, InputError, UnknownNameError, short_repr
from .plain_data import MAX_FILE_SIZE

SUFFIX = ".yaml"


class PresetLocation(NamedTuple):
    """The file and size of a named preset. A size of None selects the default size."""

    file: Path
    size: str | None


def installed_folder() -> Path:
    """Return the preset folder of an installed package. The folder does not exist in a source checkout."""
    return Path(__file__).parent.parent / "presets"


def shipped_folder() -> Path:
    """Return the preset folder of the installed package or the source checkout."""
    installed = installed_folder()
    return installed if installed.is_dir() else installed.parent.parent / "presets"


def folders() -> list[Path]:
    """Return the preset folders in order of precedence: ``$LLMCALC_PATH``, ``./.llmcalc``, user folder, package."""
    listed = [Path(part) for part in os.environ.get("LLMCALC_PATH", "").split(os.pathsep) if part]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))
    return [*listed, Path(".llmcalc"), config / "llmcalc" / "presets", shipped_folder()]


def files() -> dict[str, Path]:
    """Return all preset files by family name. Files in earlier folders shadow files in later folders."""
    found: dict[str, Path] = {}
    for folder in reversed(folders()):
        found |= files_in(folder)
    return found


def files_in(folder: Path) -> dict[str, Path]:
    """Return the preset files of a folder by family name, or an empty mapping if the folder cannot be listed."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return {}
    return {entry[: -len(SUFFIX)].lower(): folder / entry for entry in entries if entry.endswith(SUFFIX)}


def find(name: str) -> PresetLocation:
    """Find a preset by family name, ``family-size`` or alias."""
    wanted = name.strip().lower()
    known = files()
    if wanted in known:
        return PresetLocation(known[wanted], None)
    for stem in sorted(known, key=len, reverse=True):
        if wanted.startswith(f"{stem}-"):
            found = dict(_names_of(stem, known[stem], read_preset(known[stem]))).get(wanted)
            if found:
                return found
    if wanted in names():
        return names()[wanted]
    raise UnknownNameError("model", name, names(), hint="run llmcalc presets list to see all")


def _names_of(stem: str, file: Path, data: dict[str, Any]) -> Iterator[tuple[str, PresetLocation]]:
    """Yield the lower-case names and aliases of the models in a preset file."""
    yield stem, PresetLocation(file, None)
    sizes, aliases = data.get("sizes"), data.get("aliases")
    for size in sizes if isinstance(sizes, dict) else {}:
        yield f"{stem}-{size}".lower(), PresetLocation(file, size)
    for alias, size in (aliases if isinstance(aliases, dict) else {}).items():
        yield alias.lower(), PresetLocation(file, None if size is None else str(size))


def names() -> dict[str, PresetLocation]:
    """Return the preset location for every name that ``load`` accepts."""
    found: dict[str, PresetLocation] = {}
    for stem, file in files().items():
        with suppress(InputError):  # an invalid file is reported only when loaded
            found |= _names_of(stem, file, read_preset(file))
    return found


@lru_cache(maxsize=512)
def _read_preset(file: Path, stamp: tuple[int, int]) -> dict[str, Any]:
    compiled = file.with_suffix(".json")
    if file.parent == installed_folder() and compiled.is_file():  # only the package contains compiled presets
        import json

        data = json.loads(compiled.read_text("utf-8"))
    else:
        from .yaml_reader import read_yaml

        data = read_yaml(read_text(file), str(file)).data
    if not isinstance(data, dict):
        raise DescriptionError(f"a preset must be a mapping, not {short_repr(data)}", where=str(file))
    return data


def read_preset(file: Path) -> dict[str, Any]:
    """Return a preset file as plain data that must not be modified. Wheels contain presets as compiled JSON."""
    try:
        status = file.stat()
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=str(file)) from None
    return _read_preset(file, (status.st_mtime_ns, status.st_size))


def read_text(file: Path) -> str:
    """Read a non-empty UTF-8 text file of limited size."""
    where = str(file)
    try:
        if file.is_dir():
            raise DescriptionError("is a folder, not a file", where=where)
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=where) from None
    if len(content) > MAX_FILE_SIZE:
        raise DescriptionError(f"exceeds the limit of {MAX_FILE_SIZE:,} bytes", where=where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DescriptionError(f"is not valid UTF-8 (byte {error.start})", where=where) from None
    if not text.strip():
        raise DescriptionError("is empty", where=where)
    return text
