"""``llmcalc laws list``: the scaling laws, and how well each is known."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Command


def run(form: str | None, as_json: bool) -> int:
    """List, and print."""
    from ...api import scale as scaling
    from ...report.laws import laws_document
    from ..output import chosen_format, write

    write(laws_document(scaling.laws()), chosen_format(form, as_json))
    return 0


COMMAND = Command("laws list", "List the scaling laws.", OUTPUT, run, "llmcalc laws list")
