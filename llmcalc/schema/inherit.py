"""Inheritance between presets: ``base: gpt2`` supplies the keys that a preset does not set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import DescriptionError, UnknownNameError
from . import catalogue
from .plain_data import mapping_at

_INHERITED = ("family", "source", "status", "variables", "architecture", "layout", "unmodelled")


class Family(NamedTuple):
    """A preset's data including inherited keys, its own data, and the files of its bases."""

    data: dict[str, Any]
    own: dict[str, Any]
    bases: tuple[Path, ...]


def inherit(data: Any, file: Path | None) -> Family:
    """The data of a preset file with missing keys taken from its bases, which are looked up in its own folder first."""
    check_preset(data, file)
    own, seen, bases = data, [str(data["name"])], []
    while data.get("base") is not None:
        base = str(data["base"])
        if base in seen:
            circle = " -> ".join([*seen, base])
            raise DescriptionError(f"circular base: {circle}").under(("base",))
        known = {**catalogue.files(), **(catalogue.files_in(file.parent) if file else {})}
        if base not in known:
            raise UnknownNameError("base", base, known).under(("base",))
        base_file = known[base]
        seen.append(base)
        bases.append(base_file)
        parent = catalogue.read_preset(base_file)
        check_preset(parent, base_file)
        rest = {key: value for key, value in data.items() if key != "base"}
        data = {**merge({key: parent[key] for key in _INHERITED if key in parent}, rest), "base": parent.get("base")}
    return Family(dict(data), own, tuple(bases))


def check_preset(data: Any, file: Path | None) -> None:
    """Validate everything around a preset's architecture; shipped presets were validated when the wheel was built."""
    if file is None or file.parent != catalogue.shipped_folder():
        from .models.preset import Preset
        from .models.validation import validate

        validate(Preset, data)


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` updated recursively with ``own``; null marks a key as removed."""
    inner = {key for key, value in own.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **{key: merge(base[key], value) if key in inner else value for key, value in own.items()}}


def choose_size(data: Mapping[str, Any], size: str | None) -> str | None:
    """The given size, else the default, else the only one; None if the preset has no sizes."""
    sizes = mapping_at(data, "sizes")
    if size is None and data.get("default") is not None:
        size = str(data["default"])
    if size is None and len(sizes) > 1:
        hint = f"add 'default:' with one of {', '.join(sizes)}"
        raise DescriptionError(f"{len(sizes)} sizes and no default", hint=hint).under(("sizes",))
    if size is None:
        return next(iter(sizes), None)
    if size not in sizes:
        raise UnknownNameError(f"size of {data['name']}", size, sizes).under(("default",))
    return size
