"""The ``llmcalc schema`` command for printing the JSON Schema of presets or results."""

from __future__ import annotations

from ...core.errors import UnknownNameError
from ..output import write_text
from ..spec import Argument, Command

KINDS = ("preset", "result")
KIND = Argument(
    "kind", "Schema kind: preset (default; for editors) or result (for programs that read --json output).", least=0
)


def run(kind: str | None) -> int:
    """Print a JSON Schema."""
    import json
    import os

    from ...schema.preset_files import installed_folder

    chosen = kind or KINDS[0]
    if chosen not in KINDS:
        raise UnknownNameError("schema", chosen, KINDS, hint=f"use one of {', '.join(KINDS)}")
    compiled = os.path.join(installed_folder(), f"{chosen}.schema.json")
    if os.path.isfile(compiled):
        with open(compiled, encoding="utf-8") as stream:
            write_text(stream.read())
        return 0
    if chosen == "preset":
        from ...schema.json_schema import preset_schema as make
    else:
        from ...report.result_schema import result_schema as make
    write_text(json.dumps(make(), indent=1, ensure_ascii=False))
    return 0


COMMANDS = (Command("schema", (KIND,), run),)
