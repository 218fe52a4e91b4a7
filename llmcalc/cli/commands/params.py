"""The ``llmcalc params`` command for counting the parameters of a model."""

from __future__ import annotations

from ...core.type_names import Any
from ..files import has_headers_only, read_headers_only
from ..options import FULL_OUTPUT, MODEL, READING, load_model, refuse
from ..output import Answer, printed
from ..spec import Command, Option

BY = Option(
    "--by", "Break the total down by component, layer or tensor.", default="component",
    choices=("component", "layer", "tensor"),
)  # fmt: skip
LAYOUT = Option("--layout", "List tensors as stored in this checkpoint layout.", "NAME", complete="layouts")


@printed
def run(model: str, by: str, layout: str | None, **given: Any) -> Answer:
    """Print the parameter counts, or the number of stored elements for a checkpoint without a config.json."""
    from ...api.params import params
    from ...report.params import params_document

    if has_headers_only(model):
        from ...report.weights import headers_document

        options = (BY, LAYOUT, *READING)
        refuse(options, {"by": by, "layout": layout, **given}, "on a checkpoint without a config.json")
        return headers_document(read_headers_only(model), "params")
    if layout is not None:
        refuse((BY,), {"by": by}, "on the tensors of a layout")
    return params_document(params(load_model(model, given)), by, layout)


COMMANDS = (Command("params", (MODEL, BY, LAYOUT, *READING, *FULL_OUTPUT), run),)
