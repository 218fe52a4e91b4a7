"""``llmcalc hardware list``: the accelerators that are known by name."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Command


def run(form: str | None, as_json: bool) -> int:
    """List, and print."""
    from ...api.names import accelerators
    from ...report.catalogues import hardware_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(hardware_document(accelerators()), chosen)
    return 0


COMMAND = Command("hardware list", "List the accelerators.", OUTPUT, run, "llmcalc hardware list")
