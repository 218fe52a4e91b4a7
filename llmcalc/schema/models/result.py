"""pydantic models of the commands' JSON results, generated from the keys in ``data/results.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Any

from pydantic import ConfigDict, Field, create_model, model_validator

from .validation import Model

ENTRY = r"^(maybe )?([a-z]+(?: or [a-z]+)*): (.+)$"
DIGITS = "_str"  # suffix of the key with the digits of an integer that a 64-bit float cannot represent
_TYPES: dict[str, Any] = {
    "integer": int,
    "number": float,
    "string": str,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
    "null": None,
}
_DIGITS_SCHEMA: dict[str, Any] = {
    f"{DIGITS}$": {"description": "The digits of an integer above 2^53, or a list of them."}
}


class Result(Model):
    """The result of a command."""

    model_config = ConfigDict(json_schema_extra={"patternProperties": _DIGITS_SCHEMA})

    @model_validator(mode="before")
    @classmethod
    def drop_digits(cls, data: Any) -> Any:
        """Drop the digit strings added for JSON readers that cannot represent large integers exactly."""
        if not isinstance(data, Mapping):
            return data
        digits = {f"{key}{DIGITS}" for key in cls.model_fields}
        return {key: value for key, value in data.items() if key not in digits}


def result_model(command: str, keys: Mapping[str, str]) -> type[Result]:
    """Build the result model of a command from entries such as ``maybe integer or null: meaning``."""
    fields: dict[str, Any] = {}
    for key, entry in keys.items():
        found = re.match(ENTRY, entry, re.DOTALL)
        assert found, entry
        types = reduce(or_, (_TYPES[name] for name in found[2].split(" or ")))
        fields[key] = (types, Field(None if found[1] else ..., description=found[3]))
    return create_model(f"{command} result", __base__=Result, **fields)
