"""The JSON Schema of ``--json`` output: the common envelope, and the result keys of each command."""

from __future__ import annotations

import re
from typing import Any

from ..data import table
from ..schema.json_schema import DIALECT
from .json_envelope import SCHEMA

Schema = dict[str, Any]

_ENTRY = re.compile(r"(maybe )?((?:[a-z]+)(?: or [a-z]+)*): (.+)", re.DOTALL)
_TEXTS = {"_str$": {"description": "The digits of an integer beyond 2^53, or a list of them."}}


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
                "description": "What was asked: the model with its hash and overrides, the workload, conventions.",
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
        "$defs": {command.replace(" ", "_"): _result(keys) for command, keys in commands.items()},
    }


def _result(keys: dict[str, str]) -> Schema:
    """One command's keys; none: a preset, which has a schema of its own."""
    if not keys:
        return {"type": "object", "description": "A preset, see `llmcalc schema preset`."}
    entries = {key: _ENTRY.fullmatch(text) for key, text in keys.items()}
    properties: dict[str, Schema] = {}
    required = []
    for key, entry in entries.items():
        assert entry, key
        types = entry[2].split(" or ")
        properties[key] = {"type": types if len(types) > 1 else types[0], "description": entry[3]}
        if not entry[1]:
            required.append(key)
    shape: Schema = {"type": "object", "properties": properties, "patternProperties": _TEXTS}
    return shape | {"required": required, "additionalProperties": False}
