"""JSON output with the envelope described in ``report/json_envelope.py``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...core.printable import escaped_json
from ..document import Document

LONG = 1000  # records in a list that are written in one line each


def render(document: Document) -> str:
    """Render the report as a JSON envelope."""
    return escaped_json(indented(document.data()))


def indented(value: Any, indent: str = "") -> str:
    """Return JSON text with an indent of two spaces. The records of a long list are written in one line each.

    >>> print(indented({"a": [], "b": [1]}))
    {
      "a": [],
      "b": [
        1
      ]
    }
    """
    inner = f"\n{indent}  "
    if isinstance(value, dict) and value:
        pairs = (f"{_compact(str(key))}: {indented(item, inner[1:])}" for key, item in value.items())
        return f"{{{inner}{f',{inner}'.join(pairs)}\n{indent}}}"
    if not isinstance(value, (list, tuple)) or not value:
        return _compact(value)
    is_long = len(value) > LONG and isinstance(value[0], dict)
    items = _records(value, inner) if is_long else f",{inner}".join(indented(item, inner[1:]) for item in value)
    return f"[{inner}{items}\n{indent}]"


def _records(values: Sequence[Any], between: str) -> str:
    """Encode a list with one call of the fast encoder. No JSON text contains the separator, a control character."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=("\0", ": "))
    return text[1:-1].replace("}\0{", f"}},{between}{{").replace("\0", ", ")


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
