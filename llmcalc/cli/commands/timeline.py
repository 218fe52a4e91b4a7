"""``llmcalc timeline``: how models grew over the years."""

from __future__ import annotations

from ..options import OUTPUT
from ..spec import Argument, Command, Option

WORDS = Argument("words", "Which models, in the words of presets search, such as llama or '>=2023'.", 0, True)
ALL = Option("--all", "everything", "Every size, not the largest of each family alone.", kind=bool, default=False)


def run(words: list[str], everything: bool, form: str | None, as_json: bool) -> int:
    """Collect, and print; exit code 1 if no model matches."""
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


COMMAND = Command(
    "timeline",
    "Show how models grew: parameters and training compute by year.",
    (WORDS, ALL, *OUTPUT),
    run,
    "llmcalc timeline '>=2020' --format svg",
)
