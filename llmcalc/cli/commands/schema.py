"""``llmcalc schema``: the preset language as a JSON Schema, for editors."""

from __future__ import annotations

from ..spec import Command


def run() -> int:
    """Make, and print."""
    import json

    from ...schema.json_schema import preset_schema
    from ..output import write_text

    write_text(json.dumps(preset_schema(), indent=1, ensure_ascii=False))
    return 0


COMMAND = Command(
    "schema",
    "Print the preset language as a JSON Schema, for editors.",
    (),
    run,
    "llmcalc schema > preset.schema.json",
)
