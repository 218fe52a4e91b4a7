"""Reading of ``config.json`` files of limited size."""

from __future__ import annotations

import os
from typing import Any

from ..core.errors import DescriptionError
from ..core.strict_json import read_json
from .plain_data import MAX_CONFIG_SIZE, MAX_CONFIG_VALUES
from .preset_files import read_text


def read_config(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the contents of a ``config.json`` file."""
    return parse_config(read_text(file, MAX_CONFIG_SIZE), os.fspath(file))


def parse_config(text: str, where: str) -> dict[str, Any]:
    """Return the contents of the text of a ``config.json`` file, after bounding the number of values.

    Each value follows a comma or opens an object or a list, so that counting these bounds the memory of the values.
    """
    if sum(map(text.count, ",{[")) > MAX_CONFIG_VALUES:
        raise DescriptionError(f"more than {MAX_CONFIG_VALUES:,} values", where=where)
    data: dict[str, Any] = read_json(text, where)
    return data
