"""Rules of image processors, read from the config of a model and its ``preprocessor_config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..calc.images.rule import ImageRule
from ..core.errors import InputError
from ..core.record import NOTHING, fields
from ..data import table
from ..schema.config_files import read_config

PROCESSOR = "preprocessor_config.json"


def find_image_rule(config: Mapping[str, Any], processor: Mapping[str, Any] = NOTHING) -> ImageRule | None:
    """Return the rule of the image processor of a model, or None if it is not known.

    >>> find_image_rule({"model_type": "qwen2_5_vl"}).measure(1036, 1036).tokens
    1371
    """
    kind, rules = config.get("model_type"), table("image_rules")
    entry = next((rule for name, rule in rules.items() if kind == name or kind in rule.get("aliases", ())), None)
    if entry is None:
        return None
    data, names = {**config, "processor": processor}, [field.name for field in fields(ImageRule)]
    return ImageRule(**{name: _value(entry[name], data) for name in names if name in entry})


def read_processor(file: str) -> Mapping[str, Any]:
    """Return the image processor's config beside a ``config.json``, or nothing if there is none."""
    path = Path(file).with_name(PROCESSOR)
    try:
        return read_config(path) if path.is_file() else NOTHING
    except (OSError, ValueError):  # the name of the model is not a path
        return NOTHING


def _value(value: Any, data: Mapping[str, Any]) -> Any:
    """Return the first of the named values that is set, or a value that is not a list of names."""
    if isinstance(value, Mapping):
        return {name: _value(inner, data) for name, inner in value.items()}
    if not isinstance(value, list):
        return value
    *places, usual = value
    for place in places:
        found: Any = data
        for key in place.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, list) and isinstance(usual, str):
            return " ".join("x".join(map(str, sides)) for sides in found if isinstance(sides, list))
        if isinstance(found, int | float) and not isinstance(found, bool) and isinstance(usual, int | float):
            return found
        if found is not None and not isinstance(found, Mapping):
            raise InputError(f"invalid value {found!r}", parameter=place)
    return usual
