"""Preset file lookup by name, first in user folders and then in the package."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

from ..core.errors import DescriptionError, InputError, UnknownNameError, short_repr
from ..core.record import NamedTuple
from ..core.type_names import Any, BinaryIO
from .plain_data import MAX_FILE_SIZE

SUFFIX = ".yaml"
OPENED = ("/dev/fd", "/proc/self/fd")  # folders of the files that a shell has opened
PACKAGE = os.path.dirname(os.path.dirname(__file__))


class PresetLocation(NamedTuple):
    """The file and size of a named preset. A size of None selects the default size.

    ``note`` says which preset was chosen, unless the name is that of a preset.
    """

    file: str
    size: str | None
    note: str = ""


def installed_folder() -> str:
    """Return the preset folder of an installed package. The folder does not exist in a source checkout."""
    return os.path.join(PACKAGE, "presets")


def shipped_folder() -> str:
    """Return the preset folder of the installed package or the source checkout."""
    installed = installed_folder()
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(PACKAGE), "presets")


def folders() -> list[str]:
    """Return the preset folders in order of precedence: ``$LLMCALC_PATH``, ``./.llmcalc``, user folder, package."""
    listed = [part for part in os.environ.get("LLMCALC_PATH", "").split(os.pathsep) if part]
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return [*listed, ".llmcalc", os.path.join(config, "llmcalc", "presets"), shipped_folder()]


def files() -> dict[str, str]:
    """Return all preset files by family name. Files in earlier folders shadow files in later folders."""
    found: dict[str, str] = {}
    for folder in reversed(folders()):
        found |= files_in(folder)
    return found


def files_in(folder: str) -> dict[str, str]:
    """Return the preset files of a folder by family name, or an empty mapping if the folder cannot be listed."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return {}
    start = os.path.join(folder, "")
    return {entry[: -len(SUFFIX)].lower(): start + entry for entry in entries if entry.endswith(SUFFIX)}


def find(name: str) -> PresetLocation:
    """Find a preset by family name, ``family-size``, alias, or the name of a repository with the same architecture."""
    wanted = name.strip().lower()
    known = files()
    if wanted in known:
        return PresetLocation(known[wanted], None)
    for stem in sorted(known, key=len, reverse=True):
        if wanted.startswith(f"{stem}-"):
            found = dict(_names_of(stem, known[stem], read_preset(known[stem]))).get(wanted)
            if found:
                return found
    known_names = names()
    meant = find_name(name)
    if meant is None:
        raise UnknownNameError("model", name, known_names, hint="run llmcalc presets list to see all models")
    note = "" if meant == wanted else f"{name.strip()}: using the architecture of preset {meant}"
    return known_names[meant]._replace(note=note)


def find_name(name: str) -> str | None:
    """Return the name or alias of the preset that a name means by the rule of ``model_names.py``, or None.

    Raises:
        InputError: the beginning of the names of several models.
    """
    known = names()
    if (wanted := name.strip().lower()) in known:
        return wanted
    from .model_names import known_name, names_beginning  # not needed by most commands

    if same := known_name(name, known):
        return same
    models: dict[tuple[str, str | None], str] = {}
    for each in names_beginning(name, known):
        file, size, _ = known[each]
        models.setdefault((file, size or read_preset(file).get("default")), each)
    if len(models) > 1:
        raise InputError(f"{short_repr(name)} is ambiguous", hint=f"use one of {', '.join(models.values())}")
    return next(iter(models.values()), None)


def _names_of(stem: str, file: str, data: dict[str, Any]) -> Iterator[tuple[str, PresetLocation]]:
    """Yield (lower-case name, location) for every model name and alias in a preset file."""
    yield stem, PresetLocation(file, None)
    sizes, aliases = data.get("sizes"), data.get("aliases")
    for size in sizes if isinstance(sizes, dict) else {}:
        yield f"{stem}-{size}".lower(), PresetLocation(file, size)
    for alias, size in (aliases if isinstance(aliases, dict) else {}).items():
        yield alias.lower(), PresetLocation(file, None if size is None else str(size))


def names() -> dict[str, PresetLocation]:
    """Return a mapping from every name that ``load`` accepts to a preset location."""
    found: dict[str, PresetLocation] = {}
    for stem, file in files().items():
        with suppress(InputError):  # an invalid file is reported only when loaded
            found |= _names_of(stem, file, read_preset(file))
    return found


def sized_files() -> Iterator[tuple[str, str | None]]:
    """Yield the preset file and the size of every model. An unreadable file has no size."""
    for _, file in sorted(files().items()):
        sizes = None
        with suppress(InputError):
            sizes = read_preset(file).get("sizes")
        yield from ((file, str(size)) for size in sizes) if isinstance(sizes, dict) else [(file, None)]


@lru_cache(maxsize=512)
def _read_preset(file: str, stamp: tuple[int, int]) -> dict[str, Any]:
    compiled = f"{os.path.splitext(file)[0]}.json"
    if os.path.dirname(file) == installed_folder() and os.path.isfile(compiled):  # only packages have compiled presets
        import json

        with open(compiled, encoding="utf-8") as stream:
            data = json.load(stream)
    else:
        from .yaml_reader import read_yaml

        data = read_yaml(read_text(file), file).data
    if not isinstance(data, dict):
        raise DescriptionError(f"a preset must be a mapping, not {short_repr(data)}", where=file)
    return data


def read_preset(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a preset file as plain data that must not be modified. Wheels contain presets as compiled JSON."""
    status = _status(file)
    return _read_preset(os.fspath(file), (status.st_mtime_ns, status.st_size))


def _status(file: str | os.PathLike[str]) -> os.stat_result:
    try:
        return os.stat(file)
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=os.fspath(file)) from None
    except ValueError:  # a NUL, or a surrogate that no path can have
        raise DescriptionError("cannot be read: invalid path", where=os.fspath(file)) from None


def is_opened(path: str) -> bool:
    """Return whether a path denotes a file that the calling shell has opened, as in ``<(command)``."""
    return os.path.dirname(path) in OPENED or path == "/dev/stdin"


@contextmanager
def open_file(file: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to read. Reject pipes and devices, which might never end, unless a shell has opened them, as in
    ``<(command)``.
    """
    where, mode = os.fspath(file), _status(file).st_mode
    if stat.S_ISDIR(mode):
        raise DescriptionError("is a folder, not a file", where=where)
    if not (stat.S_ISREG(mode) or is_opened(where)):
        hint = "use - to read standard input"
        raise DescriptionError("is a pipe or device, not a regular file", where=where, hint=hint)
    try:
        with open(file, "rb") as stream:
            yield stream
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=where) from None


def read_text(file: str | os.PathLike[str], limit: int = MAX_FILE_SIZE) -> str:
    """Read a non-empty UTF-8 text file of at most ``limit`` bytes."""
    where = os.fspath(file)
    with open_file(file) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise DescriptionError(f"exceeds the limit of {limit:,} bytes", where=where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DescriptionError(f"is not valid UTF-8 (byte {error.start})", where=where) from None
    if not text.strip():
        raise DescriptionError("is empty", where=where)
    return text
