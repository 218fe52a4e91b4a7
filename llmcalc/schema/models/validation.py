"""Base class for all models, and translation of pydantic errors to llmcalc errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from ...core.errors import DescriptionError, InputError, UnknownNameError, short_repr

PERCENTAGE = r"^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?%$"
_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "invalid_key": "a string",
    "string_too_short": "a non-empty string",
}
_UNKNOWN_KEY = "unknown_key"


class Model(BaseModel):
    """A mapping with a fixed set of keys and strictly typed values."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def check_keys(cls, data: Any) -> Any:
        """Reject unknown keys before other checks, because an unknown key is often a misspelt required key."""
        for key in data if isinstance(data, Mapping) else ():
            if key not in cls.model_fields:
                raise PydanticCustomError(_UNKNOWN_KEY, "unknown key", {"key": key, "known": [*cls.model_fields]})
        return data


class PlainJsonSchema(GenerateJsonSchema):
    """JSON Schema generator that omits property titles and null defaults, regardless of the pydantic version."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False, because the key already serves as the title of a property."""
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a field, omitting a null default."""
        found: dict[str, Any] = self.generate_inner(schema["schema"])
        return found if schema.get("default") is None else {**found, "default": schema["default"]}

    def literal_schema(self, schema: Any) -> dict[str, Any]:
        """Return a schema for a string with a fixed set of values."""
        return {"enum": list(schema["expected"]), "type": "string"}

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        """Return the schema of a mapping without the redundant ``additionalProperties: true``."""
        return {key: value for key, value in super().dict_schema(schema).items() if value is not True}


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model."""
    return model.model_json_schema(schema_generator=PlainJsonSchema)


def validate(expected: Any, data: Any) -> None:
    """Check that ``data`` matches a model or a type such as ``dict[str, Entry]``."""
    try:
        _adapter(expected).validate_python(data)
    except ValidationError as error:
        raise _first_problem(error.errors(include_url=False), data) from None


@cache
def _adapter(expected: Any) -> TypeAdapter[Any]:
    return TypeAdapter(expected)


def _first_problem(errors: Sequence[ErrorDetails], data: Any) -> InputError:
    """Return the first error. Errors from union alternatives that concern the same value are combined."""
    paths = [_path(error["loc"], data) for error in errors]
    path = max((path for path in paths if path[: len(paths[0])] == paths[0]), key=len)
    alternatives = [error for error, other in zip(errors, paths, strict=True) if other == path]
    first, context = alternatives[0], alternatives[0].get("ctx", {})
    name = ".".join(map(str, path)) or "the file"
    if first["type"] == _UNKNOWN_KEY:
        return UnknownNameError("key", context["key"], context["known"]).under((*path, context["key"]))
    if first["type"] == "missing":
        return DescriptionError(f"missing key {str(first['loc'][-1])!r}").under(path)
    if first["type"] == "union_tag_not_found":
        return DescriptionError(f"missing key {context['discriminator']}").under(path)
    if first["type"] == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        return _unknown_value(key, context["tag"], context["expected_tags"]).under((*path, key))
    if first["type"] == "literal_error":
        return _unknown_value(name, first["input"], context["expected"]).under(path)
    expected = " or ".join(dict.fromkeys(_expected(error) for error in alternatives))
    return DescriptionError(f"{name} must be {expected}, not {short_repr(first['input'])}").under(path)


def _unknown_value(name: str, value: Any, quoted: str) -> InputError:
    """Return an error that lists the valid choices found in the text ``quoted``."""
    known = re.findall(r"'([^']*)'", quoted)
    return UnknownNameError(name, value, known, hint=f"use one of {', '.join(known)}")


def _expected(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if context.get("pattern") == PERCENTAGE:
        return "a percentage such as 0.5%"
    message = error["msg"].removeprefix("Input should be ")
    return _EXPECTED.get(error["type"], message[:1].lower() + message[1:])


def _path(location: Sequence[Any], data: Any) -> tuple[Any, ...]:
    """Return the key path of a location without the names that pydantic adds for union members."""
    path: list[Any] = []
    for part in location:
        is_index = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_index or (isinstance(data, dict) and part in data):
            data = data[part]
            path.append(part)
    return tuple(path)
