"""``llmcalc presets list``: the models that are known by name."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Command


def run(form: str | None, as_json: bool) -> int:
    """List, and print."""
    from ...report.presets import list_document, summaries
    from ..output import chosen_format, warn, write

    chosen = chosen_format(form, as_json)
    presets, broken = summaries()
    warn(broken)
    write(list_document(presets), chosen)
    return 0


COMMAND = Command("presets list", "List the models that are known by name.", OUTPUT, run, "llmcalc presets list")
