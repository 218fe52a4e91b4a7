"""``llmcalc timeline``: the growth of models by year."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command, Option

WORDS = Argument("words", "Filter as in presets search, such as llama or '>=2023'.", 0, True)
ALL = Option("--all", "everything", "Show every size (default: the largest of each family).", kind=bool, default=False)


def run(words: list[str], everything: bool, form: str | None, as_json: bool) -> int:
    """Exit code 1 if no model matches."""
    from ...report.presets import summaries
    from ...report.search import search
    from ...report.timeline import points, timeline_document
    from ..output import chosen_format, warn, write

    chosen = chosen_format(form, as_json)
    presets, broken = summaries()
    warn(broken)
    found = list(points(presets, everything or bool(words)))
    if words:
        wanted = {model.name for model in search(words, presets)}
        found = [point for point in found if point.name in wanted]
    write(timeline_document(found, everything or bool(words)), chosen)
    return 0 if found else 1


COMMANDS = (Command("timeline", (WORDS, ALL, *OUTPUT), run, "llmcalc timeline '>=2020' --format svg"),)
