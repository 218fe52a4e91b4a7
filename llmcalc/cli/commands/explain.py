"""``llmcalc explain MODEL QUANTITY``: how a number is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..memory_options import CACHE, DTYPE, MEANT, SIZES, TABLE, arguments, refuse_others
from ..options import MODEL
from ..spec import Argument, Command, Option
from ..step_options import STEP, step

if TYPE_CHECKING:
    from ...core.architecture import Architecture
    from ...core.tree import Node
    from ...core.workload import Workload

QUANTITY = Argument("quantity", "What to explain: params, flops, state or memory.", complete="quantities")
DEPTH = Option("--depth", "depth", "Go down to this level of the tree only.", kind=int, metavar="N")
SELECT = Option("--select", "select", "Show only the parts whose path contains this text.", metavar="TEXT")
QUANTITIES = ("params", "flops", "state", "memory")


def run(
    model: str,
    quantity: str,
    depth: int | None,
    select: str | None,
    overrides: list[str],
    form: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Derive, and print."""
    from ...core.errors import InputError, UnknownNameError
    from ...loading import load
    from ...report.explain import explain_document
    from ..output import chosen_format, write

    if quantity not in QUANTITIES:
        raise UnknownNameError("quantity", quantity, QUANTITIES, hint=f"(explained are: {', '.join(QUANTITIES)})")
    if depth is not None and depth < 0:
        raise InputError(f"--depth is {depth}", hint="give 0 for the total alone, 1 for its parts, and so on")
    of_bytes = (DTYPE, CACHE) if quantity == "state" else ()  # its elements are explained
    refuse_others([option for option in MEANT[quantity] if option not in of_bytes], given, quantity)
    chosen = chosen_format(form, as_json)
    architecture = load(model, overrides=overrides)
    tree, workload = derive(architecture, quantity, given)
    write(explain_document(architecture, quantity, tree, depth, select, workload), chosen)
    return 0


def derive(architecture: Architecture, quantity: str, given: dict[str, Any]) -> tuple[Node, Workload | None]:
    """The tree of a quantity, and the workload that it belongs to."""
    if quantity == "params":
        from ...calc.params import params

        return params(architecture).tree, None
    from ...calc import trees
    from ...report.workload import usual_seq

    usual = 1 if given["mode"] == "decode" else usual_seq(architecture)
    sizes = {option.name: given[option.name] for option in SIZES}
    sizes["seq"] = usual if given["seq"] is None else given["seq"]
    words, convention = arguments(given), {"convention": given["convention"]}
    if quantity == "flops":
        from ...calc.flops import flops

        counted = flops(architecture, **sizes, **step(given), **convention)
        return trees.flops_tree(counted), counted.workload
    if quantity == "state":
        from ...calc.state import state

        cache = {name: words[name] for name in ("beams", "page") if name in words}
        held = state(architecture, **sizes, **cache, **convention)
        return trees.state_tree(held), held.workload
    from ...answers import memory

    result = memory(architecture, **words, **sizes)
    return trees.memory_tree(result), result.workload


COMMAND = Command(
    "explain",
    "Show how a number is made: formulas, values, sources.",
    (MODEL, QUANTITY, DEPTH, SELECT, *STEP, *TABLE),
    run,
    "llmcalc explain gpt3 params --depth 2",
)
