"""``llmcalc laws show NAME``: one scaling law, with its form, constants, range and source."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command

NAME = Argument("name", "A scaling law, such as besiroglu.", complete="laws")


def run(name: str, form: str | None, as_json: bool) -> int:
    """Look up, and print."""
    from ...api import scale as scaling
    from ...report.laws import law_document
    from ..output import chosen_format, write

    write(law_document(scaling.law(name)), chosen_format(form, as_json))
    return 0


COMMAND = Command(
    "laws show",
    "Show a scaling law: form, constants, range, source.",
    (NAME, *OUTPUT),
    run,
    "llmcalc laws show besiroglu",
)
