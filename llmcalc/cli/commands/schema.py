"""``llmcalc schema``: the preset language, or what ``--json`` prints, as a JSON Schema."""

from __future__ import annotations

from ...core.errors import UnknownNameError
from ..spec import Argument, Command

KINDS = ("preset", "result")
KIND = Argument("kind", "preset (the default), for editors, or result, for readers of --json.", least=0)


def run(kind: str | None) -> int:
    """Make, and print."""
    import json

    from ..output import write_text

    chosen = kind or KINDS[0]
    if chosen not in KINDS:
        raise UnknownNameError("schema", chosen, KINDS, hint=f"one of {', '.join(KINDS)}")
    if chosen == "preset":
        from ...schema.json_schema import preset_schema as make
    else:
        from ...report.result_schema import result_schema as make
    write_text(json.dumps(make(), indent=1, ensure_ascii=False))
    return 0


COMMAND = Command(
    "schema",
    "Print the preset language, or what --json prints, as a JSON Schema.",
    (KIND,),
    run,
    "llmcalc schema > preset.schema.json",
)
