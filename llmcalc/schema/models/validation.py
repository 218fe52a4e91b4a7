"""Base class of all models, and their JSON Schema."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema


class Model(BaseModel):
    """A mapping with a fixed set of keys and strictly typed values."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


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


@cache
def json_schema(expected: Any) -> dict[str, Any]:
    """Return the JSON Schema of a model or of a type such as ``dict[str, Entry]``."""
    return TypeAdapter(expected).json_schema(schema_generator=PlainJsonSchema)
