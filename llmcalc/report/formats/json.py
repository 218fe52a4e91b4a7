"""JSON output with the envelope described in ``report/json_envelope.py``."""

from __future__ import annotations

import json

from ...core.printable import escaped_json
from ..document import Document


def render(document: Document) -> str:
    """Render the report as a JSON envelope."""
    return escaped_json(json.dumps(document.data(), indent=2, ensure_ascii=False, allow_nan=False))
