"""``llmcalc hardware show NAME``: what is known of an accelerator, and how well."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command

NAME = Argument("name", "An accelerator's name or alias.", complete="accelerators")


def run(name: str, form: str | None, as_json: bool) -> int:
    """Find, and print."""
    from ...api.names import accelerator
    from ...report.catalogues import accelerator_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(accelerator_document(accelerator(name)), chosen)
    return 0


COMMAND = Command(
    "hardware show", "Show an accelerator: memory, peaks, sources.", (NAME, *OUTPUT), run, "llmcalc hardware show h100"
)
