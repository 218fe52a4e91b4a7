"""``llmcalc presets search WORDS``: models by name, kind, year and size."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command

WORDS = Argument(
    "words", "Parts of names, kinds (moe, mamba, encoder), years (2024, '>=2023') and sizes ('>10b', 1b-8b).", 1, True
)


def run(words: list[str], form: str | None, as_json: bool) -> int:
    """Search, and print; exit code 1 if nothing matches."""
    from ...report.presets import search_document, summaries
    from ...report.search import search
    from ..output import chosen_format, warn, write

    chosen = chosen_format(form, as_json)
    presets, broken = summaries()
    warn(broken)
    found = list(search(words, presets))
    write(search_document(words, found), chosen)
    return 0 if found else 1


COMMAND = Command(
    "presets search",
    "Find presets by words, year and size.",
    (WORDS, *OUTPUT),
    run,
    "llmcalc presets search moe '>100b'",
)
