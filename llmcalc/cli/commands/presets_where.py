"""``llmcalc presets where NAME``: the file that a name is read from."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command

NAME = Argument("name", "A preset's name or alias.", complete="models")


def run(name: str, form: str | None, as_json: bool) -> int:
    """Find, and print."""
    from ...report.presets import where_document
    from ...schema.catalogue import find
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    write(where_document(name, find(name)), chosen)
    return 0


COMMAND = Command(
    "presets where", "Tell which file a name is read from.", (NAME, *OUTPUT), run, "llmcalc presets where gpt3"
)
