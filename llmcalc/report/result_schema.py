"""The JSON Schema of JSON output: the common envelope, and the result keys of each command."""

from __future__ import annotations

from typing import Any

from ..data import table
from ..schema.json_schema import DIALECT
from ..schema.models.result import result_model
from ..schema.models.validation import json_schema
from .json_envelope import SCHEMA

Schema = dict[str, Any]


def result_schema() -> Schema:
    """The schema of every command's JSON, as plain data in JSON Schema's draft 2020-12."""
    commands = table("results")
    return {
        "$schema": DIALECT,
        "$comment": "Made by `llmcalc schema result`.",
        "title": f"llmcalc result, {SCHEMA}",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA},
            "command": {"enum": list(commands)},
            "inputs": {
                "type": "object",
                "description": "The request: model with hash and overrides, workload, conventions.",
            },
            "result": {"type": "object"},
        },
        "required": ["schema", "command", "inputs", "result"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"command": {"const": command}}},
                "then": {"properties": {"result": {"$ref": f"#/$defs/{command.replace(' ', '_')}"}}},
            }
            for command in commands
        ],
        "$defs": {command.replace(" ", "_"): _result(command, keys) for command, keys in commands.items()},
    }


def _result(command: str, keys: dict[str, str]) -> Schema:
    if not keys:
        return {"type": "object", "description": "A preset, see `llmcalc schema preset`."}
    return json_schema(result_model(command, keys))
