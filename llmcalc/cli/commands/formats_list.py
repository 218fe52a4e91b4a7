"""``llmcalc formats list``: the number formats that are known by name."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Command


def run(form: str | None, as_json: bool) -> int:
    """List, and print."""
    from ...api.names import number_format
    from ...data import table, tables
    from ...report.catalogues import formats_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    found = {name: number_format(name) for name in tables("formats")}
    write(formats_document(found, table("mixtures")), chosen)
    return 0


COMMAND = Command("formats list", "List number formats and mixtures of them.", OUTPUT, run, "llmcalc formats list")
