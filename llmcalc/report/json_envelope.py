"""JSON envelope for every command, with the keys ``schema``, ``command``, ``inputs`` and ``result``.

    {"schema": "llmcalc/1", "command": "params",
     "inputs": {"model": "gpt3-175b", "hash": "sha256:...", "overrides": [], ...},
     "result": {"total": 174604259328, ...}}

If the input is invalid, ``error`` replaces ``result``:

    {"schema": "llmcalc/1", "command": "params", "inputs": {"arguments": ["params", "gpt33", ...]},
     "error": {"message": "unknown model 'gpt33'", "hint": "did you mean gpt3?", "parameter": "", "where": ""}}

The keys of ``result`` are the attribute names of the Python results. Integers are exact. Because many JSON
readers use 64-bit floats, integers above 2^53 are repeated as strings, such as ``total_str`` for ``total``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCHEMA = "llmcalc/1"
LARGEST_EXACT_FLOAT = 2**53
PLAIN = frozenset((str, int, float, bool, type(None)))


def envelope(command: str, inputs: Mapping[str, Any], result: Any) -> dict[str, Any]:
    """Wrap a result in the JSON envelope."""
    return {"schema": SCHEMA, "command": command, "inputs": dict(inputs), "result": with_texts(result)}


def error_envelope(command: str, arguments: list[str], error: Mapping[str, str]) -> dict[str, Any]:
    """Wrap an error and the words of the command line in the JSON envelope."""
    return {"schema": SCHEMA, "command": command, "inputs": {"arguments": arguments}, "error": dict(error)}


def with_texts(data: Any) -> Any:
    """Add ``<key>_str`` for every integer whose magnitude exceeds 2^53, and for every list that contains one.

    >>> with_texts({"a": 2**53, "b": 2**53 + 1})
    {'a': 9007199254740992, 'b': 9007199254740993, 'b_str': '9007199254740993'}
    """
    if isinstance(data, (list, tuple)):
        return list(data) if PLAIN.issuperset(map(type, data)) else [with_texts(item) for item in data]
    if not isinstance(data, Mapping):
        return data
    texts: dict[str, Any] = {}
    for key, value in data.items():
        kind = type(value)
        texts[key] = value if kind in PLAIN else with_texts(value)
        if kind is int and _large(value):
            texts[f"{key}_str"] = str(value)
        elif kind in (list, tuple) and any(map(_large, value)):
            texts[f"{key}_str"] = [str(item) for item in value]
    return texts


def _large(value: Any) -> bool:
    return type(value) is int and not -LARGEST_EXACT_FLOAT <= value <= LARGEST_EXACT_FLOAT
