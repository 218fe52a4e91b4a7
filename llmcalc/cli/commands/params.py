"""``llmcalc params MODEL``: the number of parameters, by part."""

from __future__ import annotations

from typing import Any

from ..files import has_headers_only, read_headers_only
from ..options import MODEL, OUTPUT, READING
from ..spec import Command, Option

BY = Option(
    "--by", "by", "Break the total down by component, layer or tensor.", default="component",
    choices=("component", "layer", "tensor"),
)  # fmt: skip
LAYOUT = Option(
    "--layout", "layout", "List tensors as this checkpoint layout stores them.", metavar="NAME", complete="layouts"
)


def run(model: str, by: str, layout: str | None, form: str | None, as_json: bool, **reading: Any) -> int:
    """Count, and print."""
    from ...api.load import load
    from ...api.params import params
    from ...report.params import params_document
    from ..output import chosen_format, write

    chosen = chosen_format(form, as_json)
    if has_headers_only(model):
        from ...report.weights import headers_document

        write(headers_document(read_headers_only(model), "params"), chosen)
        return 0
    result = params(load(model, **reading))
    write(params_document(result, by, layout, with_tree=chosen == "tree"), chosen)
    return 0


COMMANDS = (Command("params", (MODEL, BY, LAYOUT, *READING, *OUTPUT), run, "llmcalc params gpt3"),)
