"""Title, year, sizes and aliases of preset files, read without building models."""

from __future__ import annotations

from typing import Any

from ..schema import preset_files


def summaries() -> tuple[list[dict[str, Any]], list[str]]:
    """Return summaries of all readable preset files and error messages for unreadable files."""
    from ..core.errors import InputError

    found, broken = [], []
    for name, file in sorted(preset_files.files().items()):
        try:
            found.append(summary(name, file))
        except InputError as error:
            broken.append(str(error))
    return found, broken


def summary(name: str, file: str) -> dict[str, Any]:
    """Read the title, year, sizes and aliases of a preset file without building a model."""
    data = preset_files.read_preset(file)
    sizes, aliases = data.get("sizes") or {}, data.get("aliases") or {}
    default = data.get("default") or next(iter(sizes), None)
    head = {"name": name, "title": str(data.get("title") or name), "family": str(data.get("family") or name)}
    return head | {
        "year": data.get("year") or _inherited_year(data, file),
        "status": str(data.get("status") or "published"),
        "default": None if default is None else str(default),
        "sizes": [str(size) for size in sizes],
        "aliases": {str(alias): None if size is None else str(size) for alias, size in aliases.items()},
        "file": file,
    }


def _inherited_year(data: dict[str, Any], file: str) -> int | None:
    """Return the year of the nearest base that states one, or None."""
    from ..schema.preset import inherit

    bases = inherit(data, file).bases if data.get("base") else ()
    years = (preset_files.read_preset(base).get("year") for base in bases)
    return next((int(year) for year in years if year), None)
