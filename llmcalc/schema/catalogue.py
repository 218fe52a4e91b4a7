"""Where presets live and which name means which: user folders first, then the presets that ship with the package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import DescriptionError, InputError, UnknownNameError, shown
from .plain_data import LARGEST_FILE

SUFFIX = ".yaml"


class PresetLocation(NamedTuple):
    """A preset's file and the size that the name means (None: the file's default)."""

    file: Path
    size: str | None


def installed_folder() -> Path:
    """The presets inside the installed package, each compiled to JSON beside it; absent in a checkout."""
    return Path(__file__).parent.parent / "presets"


def shipped_folder() -> Path:
    """The presets inside the installed package, or beside it in a checkout."""
    installed = installed_folder()
    return installed if installed.is_dir() else installed.parent.parent / "presets"


def folders() -> list[Path]:
    """All folders, the first one wins: ``$LLMCALC_PATH``, ``./.llmcalc``, the user's configuration, the package."""
    listed = [Path(part) for part in os.environ.get("LLMCALC_PATH", "").split(os.pathsep) if part]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))
    return [*listed, Path(".llmcalc"), config / "llmcalc" / "presets", shipped_folder()]


def files() -> dict[str, Path]:
    """Every preset file by its family name; a file of an earlier folder hides one of a later."""
    found: dict[str, Path] = {}
    for folder in reversed(folders()):
        found |= files_in(folder)
    return found


def files_in(folder: Path) -> dict[str, Path]:
    """The preset files of one folder by family name; none if it cannot be listed."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return {}
    return {entry[: -len(SUFFIX)].lower(): folder / entry for entry in entries if entry.endswith(SUFFIX)}


def find(name: str) -> PresetLocation:
    """The preset that ``name`` means: a family, ``family-size``, or an alias.

    Raises:
        UnknownNameError: no such preset; near names are suggested.
    """
    wanted = name.strip().lower()
    known = files()
    if wanted in known:
        return PresetLocation(known[wanted], None)
    for stem in sorted(known, key=len, reverse=True):
        if wanted.startswith(f"{stem}-"):
            names = dict(_names_of(stem, known[stem], read_preset(known[stem])))
            if wanted in names:
                return names[wanted]
    names = dict(_all_names(known))
    if wanted in names:
        return names[wanted]
    raise UnknownNameError("model", name, names, hint="(llmcalc presets list shows all)")


def _names_of(stem: str, file: Path, data: dict[str, Any]) -> Iterator[tuple[str, PresetLocation]]:
    """The names of a file's models, in lower case: family, family-size, aliases."""
    yield stem, PresetLocation(file, None)
    sizes, aliases = data.get("sizes"), data.get("aliases")
    for size in sizes if isinstance(sizes, dict) else {}:
        yield f"{stem}-{size}".lower(), PresetLocation(file, size)
    for alias, size in (aliases if isinstance(aliases, dict) else {}).items():
        yield alias.lower(), PresetLocation(file, None if size is None else str(size))


def _all_names(known: dict[str, Path]) -> Iterator[tuple[str, PresetLocation]]:
    for stem, file in known.items():
        try:
            data = read_preset(file)
        except InputError:  # a broken file of the user's must not hide the others; it is reported when it is asked for
            continue
        yield from _names_of(stem, file, data)


def names() -> dict[str, PresetLocation]:
    """Every name that ``load`` understands."""
    return dict(_all_names(files()))


@lru_cache(maxsize=512)
def _read_preset(file: Path, stamp: tuple[int, int]) -> dict[str, Any]:
    compiled = file.with_suffix(".json")
    if file.parent == installed_folder() and compiled.is_file():  # elsewhere a .json may be anything
        import json

        data = json.loads(compiled.read_text("utf-8"))
    else:
        from .yaml_reader import read_yaml

        data = read_yaml(read_text(file), str(file)).data
    if not isinstance(data, dict):
        raise DescriptionError(f"a preset is a mapping, not {shown(data)}", where=str(file))
    return data


def read_preset(file: Path) -> dict[str, Any]:
    """A preset file as plain data; those of a wheel were compiled to JSON when it was built. Not to be changed."""
    try:
        status = file.stat()
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=str(file)) from None
    return _read_preset(file, (status.st_mtime_ns, status.st_size))


def read_text(file: Path) -> str:
    """A text file's content, bounded.

    Raises:
        DescriptionError: a folder, an unreadable, too large, binary or empty file.
    """
    where = str(file)
    try:
        if file.is_dir():
            raise DescriptionError("is a folder, not a file", where=where)
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", where=where) from None
    if len(content) > LARGEST_FILE:
        raise DescriptionError(f"is larger than {LARGEST_FILE:,} bytes, which no description is", where=where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DescriptionError(f"is no UTF-8 text (byte {error.start})", where=where) from None
    if not text.strip():
        raise DescriptionError("is empty", where=where)
    return text
